"""What evaluating watches reads and writes in PostgreSQL. Every statement executed again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

from msgspec import Struct

from domain.watches.conditions import Condition
from managers.storage.postgres import PostgresManager, Row
from services.watches.watches import condition_of

KEPT_FOR: Final = timedelta(days=90)
LATELY_S: Final = 30.0
"""Of what changed in so many seconds `changed` tells, by PostgreSQL's own clock."""
_STORED: Final[LiteralString] = """
    SELECT w.id, w.token_address, w.subject, w.side, w.value, w.each_time, w.base_usd, w.armed, t.price_usd,
        coalesce(t.supply, c.supply) AS supply, t.seen_at, w.ended_at IS NOT NULL AS ended
    FROM watches w LEFT JOIN watched_tokens t USING (token_address)
        LEFT JOIN LATERAL (
            SELECT market_cap_usd / nullif((document #>> '{token,price_usd}')::double precision, 0) AS supply FROM calls
            WHERE token_address = w.token_address ORDER BY decided_at DESC LIMIT 1) AS c ON true
"""
_ALL: Final[LiteralString] = _STORED + " WHERE w.ended_at IS NULL"
_CHANGED: Final[LiteralString] = (
    _STORED + " WHERE w.changed_at >= clock_timestamp() - $1::double precision * interval '1 second'"
)
# One statement, so a watch that is met once has ended exactly when its firing is written down.
_MET: Final[LiteralString] = """
    WITH met AS (
        UPDATE watches w SET armed = false, crossings = w.crossings + 1, changed_at = clock_timestamp(),
            ended_at = CASE WHEN w.each_time THEN NULL ELSE x.confirmed_at END,
            ending = CASE WHEN w.each_time THEN NULL ELSE 'met' END
        FROM unnest($1::bigint[], $2::double precision[], $3::double precision[], $4::timestamptz[], $5::timestamptz[],
                $6::timestamptz[]) AS x (id, price_usd, market_cap_usd, reached_at, confirmed_at, since)
        WHERE w.id = x.id AND w.armed AND w.ended_at IS NULL
        RETURNING w.id, w.crossings, x.price_usd, x.market_cap_usd, x.reached_at, x.confirmed_at, x.since)
    INSERT INTO watch_firings
        (watch_id, crossing, price_usd, market_cap_usd, reached_at, confirmed_at, since, look_at)
    SELECT id, crossings, price_usd, market_cap_usd, reached_at, confirmed_at, since, confirmed_at FROM met
    ON CONFLICT DO NOTHING
"""
_ARMED: Final[LiteralString] = "UPDATE watches SET armed = true WHERE id = ANY($1) AND NOT armed AND ended_at IS NULL"
_BASED: Final[LiteralString] = """
    UPDATE watches w SET base_usd = x.base_usd FROM unnest($1::bigint[], $2::double precision[]) AS x (id, base_usd)
    WHERE w.id = x.id AND w.base_usd IS NULL
"""
_SEEN: Final[LiteralString] = """
    INSERT INTO watched_tokens (token_address, price_usd, supply, seen_at)
    SELECT * FROM unnest($1::text[], $2::double precision[], $3::double precision[], $4::timestamptz[])
    ON CONFLICT (token_address) DO UPDATE SET
        price_usd = excluded.price_usd, supply = excluded.supply, seen_at = excluded.seen_at
    WHERE watched_tokens.seen_at <= excluded.seen_at
"""
_FORGET: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM watch_firings WHERE told_at < $1",
    """
    DELETE FROM watches w WHERE ended_at < $1
        AND NOT EXISTS (SELECT 1 FROM watch_firings f WHERE f.watch_id = w.id AND f.told_at IS NULL)
    """,
    """
    DELETE FROM watched_tokens t WHERE seen_at < $1
        AND NOT EXISTS (SELECT 1 FROM watches w WHERE w.token_address = t.token_address AND w.ended_at IS NULL)
    """,
)


class StoredWatch(Struct, frozen=True, kw_only=True):
    id: int
    token_address: str
    condition: Condition
    base_usd: float | None
    armed: bool
    ended: bool
    price_usd: float | None
    """What the token cost last, as somebody saw it who followed it."""
    supply: float | None
    seen_at: datetime | None


class Met(Struct, frozen=True, kw_only=True):
    """It has come to that."""

    watch_id: int
    price_usd: float
    """The confirmed level itself."""
    market_cap_usd: float | None
    reached_at: datetime
    confirmed_at: datetime
    since: datetime | None
    """It came to that after this, where nobody knows when."""


class Seen(Struct, frozen=True, kw_only=True):
    token_address: str
    price_usd: float
    supply: float | None
    seen_at: datetime


class WatchRows:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def all(self) -> list[StoredWatch]:
        """Return all that have not ended."""
        return [_stored(row) for row in await self._postgres.fetch(_ALL)]

    async def changed(self) -> list[StoredWatch]:
        """Return what was begun, ended or met within the last `LATELY_S`."""
        return [_stored(row) for row in await self._postgres.fetch(_CHANGED, LATELY_S)]

    async def met(self, some: Sequence[Met]) -> None:
        """Write down that it has come to that; what is over, or not armed, changes nothing."""
        await self._postgres.execute(
            _MET,
            [one.watch_id for one in some],
            [one.price_usd for one in some],
            [one.market_cap_usd for one in some],
            [one.reached_at for one in some],
            [one.confirmed_at for one in some],
            [one.since for one in some],
        )

    async def armed(self, watch_ids: Sequence[int]) -> None:
        await self._postgres.execute(_ARMED, list(watch_ids))

    async def based(self, bases: Sequence[tuple[int, float]]) -> None:
        """Write down what the token cost when it was asked for."""
        await self._postgres.execute(_BASED, [one for one, _ in bases], [base for _, base in bases])

    async def seen(self, some: Sequence[Seen]) -> None:
        await self._postgres.execute(
            _SEEN,
            [one.token_address for one in some],
            [one.price_usd for one in some],
            [one.supply for one in some],
            [one.seen_at for one in some],
        )

    async def forget(self, now: datetime) -> None:
        """Delete what is older than it is needed."""
        for statement in _FORGET:
            await self._postgres.execute(statement, now - KEPT_FOR)


def _stored(row: Row) -> StoredWatch:
    return StoredWatch(condition=condition_of(row), **{name: row[name] for name in _FIELDS})


_FIELDS: Final = tuple(name for name in StoredWatch.__struct_fields__ if name != "condition")
