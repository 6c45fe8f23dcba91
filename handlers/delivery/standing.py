"""Whether alerts come to somebody, and if not, what holds them back and until when; and when what was held comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.delivery.policy import HeldBack, comes_at, smaller_cap
from domain.delivery.quiet import zone_of
from domain.stored.alerts import HeldCall
from domain.subscribers.subscriber import Preferences, Subscriber
from domain.subscribers.zones import show_zone
from handlers.conversation.base import Services
from handlers.conversation.menus import View, lines
from services.delivery.held import HeldCalls
from services.delivery.policy import PolicyService
from services.subscribers.roster import state_of
from texts.markup import Html, join

_SOON: Final = timedelta(hours=20)
"""Within it an hour and a minute say which one is meant."""


_CHANGES: Final = {"quiet": "state.quiet.change", "cap": "state.cap.change", "kept": "state.cap.change"}


async def subscriber_state(
    services: Services,
    view: View,
    subscriber: Subscriber,
    said: Literal["state", "their_state"] = "state",
    *,
    in_delivery: bool = False,
) -> Html:
    """Say whether alerts come, and if not, what to do; as `their_state` to an admin, of somebody else.

    `in_delivery`: where that is done is shown already.
    """
    now = services.conversation.clock()
    account = state_of(subscriber, now)
    if account != "receiving":
        return view.html(f"{said}.{account}")
    if not subscriber.filter_sets:
        return view.html(f"{said}.no_filter")
    if not any(filter_set.enabled for filter_set in subscriber.filter_sets):
        return view.html(f"{said}.disabled")
    held = await _held_back(services, subscriber, now)
    if held is None:
        return view.html(f"{said}.receiving")
    included = services.plans.subscriptions.plans.of(subscriber.plan).alerts_per_hour
    per_hour = smaller_cap(subscriber.preferences.alerts_per_hour, included)
    until = local_moment(subscriber.preferences, held.until, now)
    state = view.html(f"{said}.{held.reason}", until=until, count=per_hour, used=held.used)
    change = None if in_delivery or said != "state" else _CHANGES.get(held.reason)
    return join(" ", (state, view.html(change))) if change else state


def local_moment(preferences: Preferences, at: datetime, now: datetime) -> str:
    """`08:00 (Europe/Berlin)`, with the day where it is not clear."""
    local = at.astimezone(zone_of(preferences.time_zone))
    day = "" if at - now < _SOON else f"{local:%a %d %b} "
    return f"{day}{local:%H:%M} ({show_zone(preferences.time_zone)})"


def is_paused(subscriber: Subscriber, now: datetime) -> bool:
    """Whether they have paused, for good or for a while."""
    until = subscriber.preferences.snoozed_until
    return subscriber.paused or (until is not None and now < until)


async def held_calls(services: Services, user_id: int) -> Sequence[HeldCall]:
    """Return what waits for a digest; before a change, for what the change lets go leaves at once."""
    held = services.find(HeldCalls)
    return () if held is None else await held.of(user_id)


def what_comes(services: Services, view: View, subscriber: Subscriber, held: Sequence[HeldCall]) -> Html:
    """Say which of the calls that were held come now, and when the others do.

    A digest that falls due while somebody has paused for good is not sent.
    """
    now, preferences = services.conversation.clock(), subscriber.preferences
    state = state_of(subscriber, now)
    if not held or state not in ("receiving", "paused"):
        return Html()
    later = sorted(at for one in held if (at := comes_at(preferences, one.reason, one.held_at, now)) > now)
    comes, waits = Html(), Html()
    if (ready := len(held) - len(later)) and state == "receiving":
        comes = view.html("held.now", count=ready)
    if later:
        until = local_moment(preferences, later[0], now)
        key = "held.later" if state == "receiving" else "held.if_resumed"
        waits = view.html(key, count=len(later), until=until)
    return lines(comes, waits)


async def what_waits(services: Services, view: View, subscriber: Subscriber) -> Html:
    """Say how many calls are held now, and when they come; nothing where none is."""
    return what_comes(services, view, subscriber, await held_calls(services, subscriber.user_id))


async def _held_back(services: Services, subscriber: Subscriber, now: datetime) -> HeldBack | None:
    policy = services.find(PolicyService)
    return None if policy is None else await policy.held_back(subscriber, now)
