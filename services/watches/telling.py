"""Who is told that it has come to what they watch: each crossing once, by a unique key.

Somebody who has snoozed or paused, or cannot be reached or read, is told afterwards: the row waits, and nothing is put.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import structlog
from msgspec import Struct

from domain.delivery.policy import why_no_alerts
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from domain.watches.conditions import Condition
from managers.storage.postgres import PostgresManager, Row
from runtime.clock import milliseconds
from runtime.errors import UnreadableError
from runtime.fault_points import fault_point
from runtime.waiting import Progress
from services.claims.putting import Putting
from services.subscribers.subscribers import Subscribers
from services.watches.watches import condition_of

log = structlog.get_logger(__name__)

KIND: Final = "watch"
LATE_FROM_S: Final = 60.0
"""When it came to that is known well enough, if not to the second."""
LOOKS_AGAIN_IN: Final = timedelta(minutes=1)
"""While somebody has paused, or cannot be reached or read."""
LOOKS_AGAIN_AT_LEAST: Final = timedelta(seconds=1)
WAITS_FOR: Final = timedelta(days=30)
_AT_ONCE: Final = 200
_DUE: Final[LiteralString] = """
    SELECT f.watch_id, f.crossing, f.price_usd, f.market_cap_usd, f.reached_at, f.confirmed_at, f.since, f.look_at,
        w.user_id, w.token_address, w.name, w.subject, w.side, w.value, w.each_time, w.base_usd, w.created_at,
        w.ended_at IS NOT NULL AS ended
    FROM watch_firings f JOIN watches w ON w.id = f.watch_id
    WHERE f.told_at IS NULL AND f.look_at <= $1 ORDER BY f.look_at LIMIT $2
"""
_TOLD: Final[LiteralString] = """
    UPDATE watch_firings f SET told_at = $3 FROM unnest($1::bigint[], $2::integer[]) AS x (watch_id, crossing)
    WHERE f.watch_id = x.watch_id AND f.crossing = x.crossing AND f.told_at IS NULL
"""
_LATER: Final[LiteralString] = """
    UPDATE watch_firings SET look_at = $3
    WHERE watch_id = $1 AND crossing = $2 AND look_at = $4 AND told_at IS NULL
"""
_BRING_FORWARD: Final[LiteralString] = """
    UPDATE watch_firings f SET look_at = $2 FROM watches w
    WHERE w.id = f.watch_id AND w.user_id = $1 AND f.told_at IS NULL AND f.look_at > $2
"""
_WAITING: Final[LiteralString] = """
    SELECT count(*) AS rows, extract(epoch FROM $1 - min(look_at))::double precision AS behind_s
    FROM watch_firings WHERE told_at IS NULL AND look_at <= $1
"""


class WatchNotice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one person is told: it has come to that."""

    token_address: str
    name: str | None = None
    """Attacker-controlled text."""
    condition: Condition
    base_usd: float | None = None
    price_usd: float
    market_cap_usd: float | None = None
    after_s: float
    """Since it was asked for."""
    late_s: float | None = None
    """It came to that at some time within so many seconds before it was seen."""
    ended: bool = False
    held_s: float | None = None
    """So long it waited, since nothing was to be sent to the person when it came to that."""


class Waiting(Struct, frozen=True):
    rows: int
    """That are due."""
    behind_s: float


class WatchTeller:
    def __init__(
        self,
        postgres: PostgresManager,
        *,
        subscribers: Subscribers,
        putting: Putting,
        clock: Callable[[], datetime],
    ) -> None:
        self._postgres = postgres
        self._subscribers = subscribers
        self._putting = putting
        self._clock = clock
        self.put = 0
        """Messages since the start."""

    async def tell(self, progress: Progress = lambda: None) -> int:
        """Put what is due into the outbox; returns how many rows were looked at."""
        now = self._clock()
        rows = await self._postgres.fetch(_DUE, now, _AT_ONCE)
        told: list[Row] = []
        for row in rows:
            progress()
            again_at = await self._tell(row, now)
            if again_at is None:
                told.append(row)
            else:
                await self._postgres.execute(_LATER, row["watch_id"], row["crossing"], again_at, row["look_at"])
        fault_point("watch_put")
        if told:
            await self._told(told, now)
        return len(rows)

    async def waiting(self) -> Waiting:
        row = await self._postgres.fetch_row(_WAITING, self._clock())
        return Waiting(row["rows"], max(0.0, row["behind_s"] or 0.0)) if row else Waiting(0, 0.0)

    async def _tell(self, row: Row, now: datetime) -> datetime | None:
        """Return when to look at it again; `None` when nothing more is to be done."""
        is_too_late = now - row["confirmed_at"] > WAITS_FOR
        try:
            subscriber = None if is_too_late else await self._subscribers.find(row["user_id"])
        except UnreadableError:
            return now + LOOKS_AGAIN_IN
        if subscriber is None:
            log.info("watch_not_told", watch=row["watch_id"], user_id=row["user_id"])
            return None
        again_at = told_from(subscriber, now)
        if again_at is not None:
            return max(again_at, now + LOOKS_AGAIN_AT_LEAST)
        self.put += 1 if await self._putting.put(_envelope(row, now)) else 0
        return None

    async def _told(self, rows: Sequence[Row], at: datetime) -> None:
        await self._postgres.execute(_TOLD, [row["watch_id"] for row in rows], [row["crossing"] for row in rows], at)


async def bring_forward(postgres: PostgresManager, user_id: int, now: datetime) -> None:
    """What is held for this person is looked at at once, whenever it was to be. May be repeated."""
    await postgres.execute(_BRING_FORWARD, user_id, now)


def told_from(subscriber: Subscriber, now: datetime) -> datetime | None:
    """When to see whether somebody may be told who is not to be told now; `None`: now."""
    if why_no_alerts(subscriber, now) or subscriber.unreachable:
        return now + LOOKS_AGAIN_IN
    snoozed_until = subscriber.preferences.snoozed_until
    return min(snoozed_until, now + LOOKS_AGAIN_IN) if snoozed_until and snoozed_until > now else None


def _envelope(row: Row, now: datetime) -> Envelope:
    since = row["since"]
    late_s = None if since is None else (row["reached_at"] - max(since, row["created_at"])).total_seconds()
    was_held = row["look_at"] > row["confirmed_at"]
    notice = WatchNotice(
        token_address=row["token_address"],
        name=row["name"],
        condition=condition_of(row),
        base_usd=row["base_usd"],
        price_usd=row["price_usd"],
        market_cap_usd=row["market_cap_usd"],
        after_s=max(0.0, (row["confirmed_at"] - row["created_at"]).total_seconds()),
        late_s=late_s if late_s is not None and late_s >= LATE_FROM_S else None,
        ended=row["ended"],
        held_s=max(0.0, (now - row["confirmed_at"]).total_seconds()) if was_held else None,
    )
    # The time is in it: in a database that was filled anew the numbers begin again.
    subject = f"{row['watch_id']}-{milliseconds(row['created_at'])}"
    step, user_id = str(row["crossing"]), row["user_id"]
    return Envelope.of(KIND, notice, user_id=user_id, subject=subject, step=step, decided_at=row["confirmed_at"])
