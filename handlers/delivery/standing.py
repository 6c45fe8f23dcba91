"""Whether alerts come to somebody, and if not, what holds them back and until when; and when what was held comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog
from msgspec import Struct

from domain.delivery.policy import HeldBack, cap_digest_at, comes_at, smaller_cap
from domain.delivery.quiet import zone_of
from domain.stored.alerts import HeldCall
from domain.subscribers.subscriber import Preferences, Subscriber
from domain.subscribers.zones import show_zone
from handlers.conversation.base import Services
from handlers.conversation.menus import View, lines
from runtime.errors import TransientError
from services.delivery.held import HeldCalls
from services.delivery.policy import PolicyService
from services.subscribers.roster import state_of
from services.watches.telling import told_from
from services.watches.watches import WatchesService
from texts.markup import Html, join

log = structlog.get_logger(__name__)

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
    until, digest = (
        local_moment(subscriber.preferences, at, now) for at in (held.until, cap_digest_at(subscriber.preferences, now))
    )
    state = view.html(f"{said}.{held.reason}", until=until, digest=digest, count=per_hour, used=held.used)
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


def why_all_waits(view: View, subscriber: Subscriber, now: datetime) -> Html:
    """Say why not even a personal alert comes now; empty where they come."""
    if told_from(subscriber, now) is None:
        return Html()
    account = state_of(subscriber, now)
    if account != "receiving":
        return view.html(f"state.{account}")
    until = subscriber.preferences.snoozed_until or now
    return view.html("state.snoozed", until=local_moment(subscriber.preferences, until, now))


class Waiting(Struct, frozen=True):
    """What is held for somebody."""

    calls: Sequence[HeldCall] = ()
    """For a digest."""
    watches: int = 0
    """Personal alerts that were met."""


async def what_waits(services: Services, user_id: int) -> Waiting:
    """Return what is held; before a change, for what the change lets go leaves at once."""
    held, watches = services.find(HeldCalls), services.find(WatchesService)
    calls = () if held is None else await held.of(user_id)
    try:
        met = 0 if watches is None else await watches.untold(user_id)
    except TransientError as error:
        # They come all the same; what was asked for is not refused for it.
        log.warning("held_watches_not_counted", user_id=user_id, reason=str(error))
        met = 0
    return Waiting(calls, met)


def what_comes(services: Services, view: View, subscriber: Subscriber, waiting: Waiting) -> Html:
    """Say which of the calls that were held come now, when the others do, and that personal alerts come.

    A digest that falls due while somebody has paused for good is not sent.
    """
    now, preferences, held = services.conversation.clock(), subscriber.preferences, waiting.calls
    state = state_of(subscriber, now)
    if state not in ("receiving", "paused"):
        return Html()
    is_told = waiting.watches and told_from(subscriber, now) is None
    watches = view.html("held.watches", count=waiting.watches) if is_told else Html()
    later = Counter(at for one in held if (at := comes_at(preferences, one.reason, one.held_at, now)) > now)
    comes = Html()
    if (ready := len(held) - later.total()) and state == "receiving":
        comes = view.html("held.now", count=ready)
    key = "held.later" if state == "receiving" else "held.if_resumed"
    # Those of quiet hours and those beyond the alerts per hour may come at different times.
    waits = (view.html(key, count=later[at], until=local_moment(preferences, at, now)) for at in sorted(later))
    return lines(comes, *waits, watches)


async def what_is_held(services: Services, view: View, subscriber: Subscriber) -> Html:
    """Say how much is held now, and when it comes; nothing where nothing is."""
    return what_comes(services, view, subscriber, await what_waits(services, subscriber.user_id))


async def _held_back(services: Services, subscriber: Subscriber, now: datetime) -> HeldBack | None:
    policy = services.find(PolicyService)
    return None if policy is None else await policy.held_back(subscriber, now)
