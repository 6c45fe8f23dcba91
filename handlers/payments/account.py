"""What a subscriber has, until when, and what plans cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from domain.payments.plans import TRIAL, Offer, Plan
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import command
from handlers.filters.buttons import ShowSettings
from handlers.filters.list_menus import subscriber_state
from services.plans.subscriptions import SubscriptionStatus
from texts.markup import Html, join

_MINUTE = timedelta(minutes=1)


class PaymentsMixin(BotBase):
    @command("status", help="help.status")
    async def status(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        status = self.services.plans.subscriptions.status(subscriber)
        view = view_of(self.services, turn)
        text = view.html(
            "status.main",
            plan=view.label("plan", status.plan),
            time=_time(view, status),
            state=subscriber_state(view, subscriber, self.services.conversation.clock()),
            limits=join("\n", _limits(view, status)),
            rules=_rules(view, subscriber),
            next=view.html(_next_step(status)),
        )
        settings = view.button("button.settings", ShowSettings())
        await self.reply(turn, message(text, keyboard=((settings,),)))

    @command("plan", help="help.plan")
    async def plan(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        subscriptions = self.services.plans.subscriptions
        status, plans = subscriptions.status(subscriber), subscriptions.plans
        view = view_of(self.services, turn)
        lines = [_plan(view, plan) for plan in plans.sold]
        if plans.free:
            lines.append(_free(view, plans.free))
        text = view.html(
            "plans.overview",
            plan=view.label("plan", status.plan),
            time=_time(view, status),
            plans=view.listed(lines, "\n\n"),
        )
        await self.reply(turn, message(text))

    @command("terms", help="help.terms")
    async def terms(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("terms.text")))

    @command("privacy", help="help.privacy")
    async def privacy(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("privacy.text")))

    @command("paysupport", help="help.paysupport")
    async def pay_support(self, turn: Turn) -> None:
        await self.reply(turn, message(view_of(self.services, turn).html("paysupport.text")))


def _time(view: View, status: SubscriptionStatus) -> Html:
    if status.ends_at is None:
        return view.html("status.no_end" if status.active else "status.no_time")
    until = _date(status.ends_at)
    if status.active:
        return view.html("status.time_left", days=status.days_left, until=until)
    if status.grace_until:
        return view.html("status.grace", until=until, grace=_date(status.grace_until))
    return view.html("status.ended", until=until)


def _limits(view: View, status: SubscriptionStatus) -> Iterator[Html]:
    yield view.html(
        "status.sets_paused" if status.filter_sets_paused else "status.sets",
        used=status.filter_sets,
        limit=status.filter_sets_limit,
        paused=status.filter_sets_paused,
    )
    if status.alerts_per_hour is None:
        yield view.html("status.any_per_hour")
    else:
        yield view.html("status.per_hour", count=status.alerts_per_hour)
    yield view.html("status.delay" if status.delay else "status.no_delay", minutes=status.delay // _MINUTE)


def _next_step(status: SubscriptionStatus) -> str:
    if status.grace_until:
        return "status.next_grace"
    if status.filter_sets_paused:
        return "status.next_larger"
    if status.ends_at is None or not status.active:
        return "status.next_buy"
    return "status.next_choose" if status.plan == TRIAL else "status.next_renew"


def _plan(view: View, plan: Plan) -> Html:
    return view.html(
        "plans.plan",
        plan=view.label("plan", plan.key),
        sets=plan.filter_sets,
        per_hour=_per_hour(view, plan),
        offers=join("\n", (_offer(view, offer) for offer in plan.offers)),
    )


def _free(view: View, plan: Plan) -> Html:
    return view.html(
        "plans.free" if plan.delay else "plans.free_at_once",
        plan=view.label("plan", plan.key),
        sets=plan.filter_sets,
        per_hour=_per_hour(view, plan),
        minutes=plan.delay // _MINUTE,
    )


def _per_hour(view: View, plan: Plan) -> Html:
    if plan.alerts_per_hour is None:
        return view.html("plans.any_per_hour")
    return view.html("plans.per_hour", count=plan.alerts_per_hour)


def _offer(view: View, offer: Offer) -> Html:
    return view.html(
        "plans.offer" if offer.stars is None else "plans.offer_stars",
        months=offer.months,
        days=offer.days,
        price=_price(offer.price_usd),
        stars=offer.stars,
    )


def _rules(view: View, subscriber: Subscriber) -> Html:
    enabled = [filter_set for filter_set in subscriber.filter_sets if filter_set.enabled]
    if not enabled:
        return view.html("status.no_filter")
    return view.listed(
        view.html("status.filter", name=view.set_name(filter_set), rules=view.rules_short(filter_set.rules))
        if filter_set.rules
        else view.html("status.open_filter", name=view.set_name(filter_set))
        for filter_set in enabled
    )


def _date(at: datetime) -> str:
    return at.strftime("%d %b %Y, %H:%M UTC")


def _price(price_usd: Decimal) -> str:
    whole = price_usd == price_usd.to_integral_value()
    return f"${price_usd:,.0f}" if whole else f"${price_usd:,.2f}"
