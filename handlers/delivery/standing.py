"""Whether alerts come to somebody, in one sentence, and if not, what holds them back and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from domain.delivery.policy import HeldBack
from domain.delivery.quiet import zone_of
from domain.subscribers.subscriber import Preferences, Subscriber
from domain.subscribers.zones import show_zone
from handlers.conversation.base import Services
from handlers.conversation.menus import View
from services.delivery.policy import PolicyService
from services.subscribers.roster import state_of
from texts.markup import Html

_SOON: Final = timedelta(hours=20)
"""Within it an hour and a minute say which one is meant."""


async def subscriber_state(
    services: Services, view: View, subscriber: Subscriber, said: Literal["state", "their_state"] = "state"
) -> Html:
    """Say whether alerts come, and if not, what to do; as `their_state` to an admin, of somebody else."""
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
    per_hour = services.plans.subscriptions.status(subscriber).alerts_per_hour or 0
    until = local_moment(subscriber.preferences, held.until, now)
    return view.html(f"{said}.{held.reason}", until=until, count=per_hour)


def local_moment(preferences: Preferences, at: datetime, now: datetime) -> str:
    """`08:00 (Europe/Berlin)`, with the day where it is not clear."""
    local = at.astimezone(zone_of(preferences.time_zone))
    day = "" if at - now < _SOON else f"{local:%a %d %b} "
    return f"{day}{local:%H:%M} ({show_zone(preferences.time_zone)})"


async def _held_back(services: Services, subscriber: Subscriber, now: datetime) -> HeldBack | None:
    policy = services.find(PolicyService)
    return None if policy is None else await policy.held_back(subscriber, now)
