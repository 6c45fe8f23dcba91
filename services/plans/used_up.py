"""Tells whoever has had their alerts of the hour what becomes of those that pass besides.

Once a day when what is left is kept for better calls, and once when nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from cachetools import LRUCache
from msgspec import Struct

from domain.delivery.messages import Message
from domain.delivery.policy import Rules, reserved_slots
from domain.delivery.quiet import zone_of
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import TransientError
from services.claims.putting import Putting
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.policy import PolicyService
from services.delivery.turns import QueuedMessage
from texts.renderer import Texts

log = structlog.get_logger(__name__)

USED_UP: Final = "used_up"
FRESH_FOR: Final = timedelta(minutes=20)
_REMEMBERED: Final = 10_000


class UsedUp(Struct, frozen=True, kw_only=True):
    per_hour: int
    until: datetime
    """When the others come, in one message."""
    are_all: bool = False
    """Those that were kept for better calls, too."""


class UsedUpNotices:
    def __init__(self, putting: Putting, policy: PolicyService) -> None:
        self._putting = putting
        self._policy = policy
        self._told: LRUCache[tuple[int, bool], str] = LRUCache(_REMEMBERED)
        """By user, and whether all were used up, the latest day."""

    async def tell(self, subscriber: Subscriber, until: datetime, now: datetime, *, are_all: bool) -> None:
        """Put the notice of the day, theirs, unless it was put. One that cannot be put is left out."""
        per_hour, day = self._policy.per_hour(subscriber), f"{now.astimezone(zone_of(_zone(subscriber))):%Y-%m-%d}"
        if per_hour is None or self._told.get((subscriber.user_id, are_all)) == day:
            return
        notice = UsedUp(per_hour=per_hour, until=until, are_all=are_all)
        try:
            await self._putting.put(
                Envelope.of(
                    USED_UP,
                    notice,
                    user_id=subscriber.user_id,
                    subject=f"{day} all" if are_all else day,
                    decided_at=now,
                )
            )
        except TransientError as error:
            log.warning("used_up_not_told", user_id=subscriber.user_id, reason=str(error))
        else:
            self._told[subscriber.user_id, are_all] = day


class UsedUpComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        rules = Rules(fresh_for=FRESH_FOR, when_stale="drop")
        return Kind(name=USED_UP, lane=Lane.FOLLOW_UP, rules=rules, composer=self, payload=UsedUp)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        first = together[0]
        notice = first.payload_as(UsedUp)
        until = f"{notice.until.astimezone(zone_of(_zone(subscriber))):%H:%M}"
        key = "used_up_few"
        if reserved_slots(notice.per_hour):
            key = "used_up_all" if notice.are_all else "used_up"
        html = self._texts.render(key, subscriber.language, count=notice.per_hour, until=until)
        return Composed(Message(html=str(html), silent=True), (first,))


def _zone(subscriber: Subscriber) -> str:
    return subscriber.preferences.time_zone
