"""What a subscriber has and until when, and what stands in writing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from domain.delivery.messages import Message
from domain.payments.plans import TRIAL
from domain.subscribers.subscriber import Preferences, Subscriber
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.menus import RULES_AT_A_GLANCE, View, lines, message, view_of
from handlers.conversation.routing import command
from handlers.delivery.buttons import ShowMuted
from handlers.delivery.muting_menus import what_is_muted
from handlers.delivery.standing import subscriber_state, what_is_held
from handlers.filters.buttons import ShowSettings
from handlers.payments.plans import per_hour, sets_used, time_left
from handlers.payments.renewals import renewal_lines, renewals_of
from services.plans.subscriptions import SubscriptionStatus
from texts.markup import Html, join

_MINUTE = timedelta(minutes=1)
_RENEWED_BY_ITSELF: Final = ("status.next_renew", "status.next_grace")


class PaymentsMixin(BotBase):
    @command("status", help="help.status", goes_on=True)
    async def status(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.reply(turn, await status_message(self.services, view_of(self.services, turn), subscriber))

    @command("terms", help="help.terms", goes_on=True)
    async def terms(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("terms.text")))

    @command("privacy", help="help.privacy", goes_on=True)
    async def privacy(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("privacy.text")))

    @command("paysupport", help="help.paysupport", goes_on=True)
    async def pay_support(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("paysupport.text")))


def _silenced(view: View, preferences: Preferences, now: datetime) -> Html:
    what = what_is_muted(view, preferences, now)
    return view.html("status.muted", what=what) if what else Html()


async def status_message(services: Services, view: View, subscriber: Subscriber) -> Message:
    """Say what somebody has, until when, and what stands."""
    status = services.plans.subscriptions.status(subscriber)
    why = services.conversation.standing.read_only()
    notice = Html() if why is None else view.html("maintenance.notice", why=why)
    silenced = _silenced(view, subscriber.preferences, services.conversation.clock())
    state = await subscriber_state(services, view, subscriber)
    waits = await what_is_held(services, view, subscriber)
    text = view.html(
        "status.main",
        plan=view.label("plan", status.plan),
        time=time_left(view, status, subscriber.preferences.time_zone),
        state=lines(state, waits, silenced),
        limits=join("\n", _limits(view, status)),
        rules=_rules(view, subscriber),
        next=await _next(services, view, subscriber, status),
    )
    buttons = [view.button("button.settings", ShowSettings())]
    if silenced:
        buttons.append(view.button("button.muted_list", ShowMuted(0)))
    return message(notice, text, keyboard=(tuple(buttons),))


def _limits(view: View, status: SubscriptionStatus) -> Iterator[Html]:
    yield sets_used(view, status)
    yield per_hour(view, status)
    yield view.html("status.watches", count=status.watches)
    yield view.html("status.delay" if status.delay else "status.no_delay", minutes=status.delay // _MINUTE)


async def _next(services: Services, view: View, subscriber: Subscriber, status: SubscriptionStatus) -> Html:
    """What renews by itself is said in place of how to renew."""
    renewing = await renewals_of(services, subscriber.user_id)
    lines = renewal_lines(view, "status.renews", renewing, subscriber.preferences.time_zone)
    step = _next_step(status)
    if not lines or step not in _RENEWED_BY_ITSELF:
        lines.append(view.html(step))
    return join("\n", lines)


def _next_step(status: SubscriptionStatus) -> str:
    if status.grace_until:
        return "status.next_grace"
    if status.filter_sets_paused:
        return "status.next_larger"
    if status.ends_at is None or not status.active:
        return "status.next_buy"
    return "status.next_choose" if status.plan == TRIAL else "status.next_renew"


def _rules(view: View, subscriber: Subscriber) -> Html:
    enabled = [filter_set for filter_set in subscriber.filter_sets if filter_set.enabled]
    if not enabled:
        return view.html("status.no_filter")
    return view.listed(
        view.html(
            "status.filter", name=view.set_name(filter_set), rules=view.rules_short(filter_set.rules, RULES_AT_A_GLANCE)
        )
        if filter_set.rules
        else view.html("status.open_filter", name=view.set_name(filter_set))
        for filter_set in enabled
    )
