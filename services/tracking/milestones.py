"""Rungs that were reached and of which not everybody was told, and who is to be told of them, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, LiteralString

import msgspec
from msgspec import Struct

from managers.storage.postgres import PostgresManager

# All that is untold of a call belongs together, also what is looked at later.
_PENDING: Final[LiteralString] = """
    SELECT m.call_id, m.rung, m.multiple, m.reached_at, m.confirmed_at, m.late, m.since, o.token_address, o.called_at,
        o.opened_at, o.measure, o.price_usd, o.market_cap_usd, c.document #>> '{token,symbol}' AS symbol,
        c.document #>> '{token,name}' AS name,
        coalesce(c.document #>> '{channel,title}', c.document #>> '{channel,id}') AS channel
    FROM milestones m JOIN outcomes o USING (call_id) LEFT JOIN calls c USING (call_id)
    WHERE m.told_at IS NULL AND m.call_id IN (
        SELECT DISTINCT call_id FROM (
            SELECT call_id FROM milestones WHERE told_at IS NULL AND look_at <= $1 ORDER BY look_at LIMIT $2) AS due)
    ORDER BY m.call_id, m.rung
"""
# A delivery is decided when its alert is claimed: so PostgreSQL looks into the partitions around that, not into all.
_RECIPIENTS: Final[LiteralString] = """
    SELECT c.call_id, c.user_id, coalesce(d.status, '') AS status, coalesce(g.message_id, d.message_id) AS message_id,
        coalesce(g.chat_id, d.chat_id) AS chat_id, coalesce(g.sent_at, d.sent_at) AS sent_at
    FROM claims c
        LEFT JOIN deliveries d ON d.call_id = c.call_id AND d.user_id = c.user_id AND d.kind = 'alert'
            AND d.decided_at BETWEEN c.claimed_at - interval '1 day' AND c.claimed_at + interval '1 day'
        LEFT JOIN deliveries g ON g.call_id = c.call_id AND g.user_id = c.user_id AND g.kind = 'digest'
            AND g.decided_at BETWEEN c.claimed_at - interval '1 day' AND c.claimed_at + interval '1 day'
            AND g.status = 'sent'
    WHERE c.call_id = ANY($1)
"""
_TOLD: Final[LiteralString] = """
    UPDATE milestones m SET told_at = $3 FROM unnest($1::text[], $2::double precision[]) AS x (call_id, rung)
    WHERE m.call_id = x.call_id AND m.rung = x.rung AND m.told_at IS NULL
"""
_LATER: Final[LiteralString] = """
    UPDATE milestones m SET look_at = x.look_at
    FROM unnest($1::text[], $2::double precision[], $3::timestamptz[]) AS x (call_id, rung, look_at)
    WHERE m.call_id = x.call_id AND m.rung = x.rung AND m.told_at IS NULL
"""
_WAITING: Final[LiteralString] = """
    SELECT count(*) AS rows, extract(epoch FROM $1 - min(look_at))::double precision AS behind_s
    FROM milestones WHERE told_at IS NULL AND look_at <= $1
"""


class Milestone(Struct, frozen=True, kw_only=True):
    """A rung that a call has reached, with what is told of it."""

    call_id: str
    rung: float
    multiple: float
    reached_at: datetime
    confirmed_at: datetime
    late: bool
    since: datetime | None
    token_address: str
    called_at: datetime
    opened_at: datetime
    measure: Literal["price", "market_cap"]
    price_usd: float | None
    market_cap_usd: float | None
    symbol: str | None
    """Attacker-controlled text."""
    name: str | None
    """Attacker-controlled text."""
    channel: str | None = None
    """Its title, or its id. Attacker-controlled text."""


class Recipient(Struct, frozen=True, kw_only=True):
    """Somebody for whom the call was accepted."""

    call_id: str
    user_id: int
    status: str
    """Of the alert, `domain.stored.journal.DeliveryStatus`; empty while it is on its way."""
    message_id: int | None
    """Of the message that told them of the call: the alert, or a digest."""
    chat_id: int | None
    sent_at: datetime | None


class Untold(Struct, frozen=True):
    rows: int
    """That are due."""
    behind_s: float


class MilestoneRows:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._clock = clock

    async def pending(self, now: datetime, limit: int) -> list[Milestone]:
        """Return what is due, by call, from the lowest rung on."""
        rows = await self._postgres.fetch(_PENDING, now, limit)
        return [msgspec.convert(dict(row), Milestone) for row in rows]

    async def recipients(self, call_ids: Iterable[str]) -> list[Recipient]:
        rows = await self._postgres.fetch(_RECIPIENTS, list(call_ids))
        return [msgspec.convert(dict(row), Recipient) for row in rows]

    async def told(self, some: Sequence[Milestone], at: datetime) -> None:
        await self._postgres.execute(_TOLD, [one.call_id for one in some], [one.rung for one in some], at)

    async def later(self, some: Sequence[tuple[Milestone, datetime]]) -> None:
        """Look at each of these again at its time."""
        keys = [one.call_id for one, _ in some], [one.rung for one, _ in some]
        await self._postgres.execute(_LATER, *keys, [at for _, at in some])

    async def untold(self) -> Untold:
        row = await self._postgres.fetch_row(_WAITING, self._clock())
        return Untold(row["rows"], max(0.0, row["behind_s"] or 0.0)) if row else Untold(0, 0.0)
