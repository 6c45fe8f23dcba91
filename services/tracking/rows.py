"""What tracking reads and writes in PostgreSQL. Every statement executed again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, LiteralString, cast

from managers.storage.postgres import PostgresManager, PostgresUnavailableError, Row
from services.tracking.book import Ended, Reached, TrackedCall, Written

_CALLS: Final[LiteralString] = """
    SELECT number, token_address, channel_id, least(called_at, decided_at) AS called_at,
        (document #>> '{token,price_usd}')::double precision AS price_usd, market_cap_usd,
        (document #>> '{token,liquidity_usd}')::double precision AS liquidity_usd
    FROM calls c
    WHERE number >= $1
        AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.number = c.number AND o.ended_at IS NOT NULL)
    ORDER BY number LIMIT $2
"""
_FIRST_SINCE: Final[LiteralString] = "SELECT min(number) AS number FROM calls WHERE decided_at >= $1"
_NEXT: Final[LiteralString] = "SELECT coalesce(max(number) + 1, 1) AS number FROM calls"
_ENDED_SINCE: Final[LiteralString] = """
    SELECT token_address, measure, array_agg(number) AS numbers FROM outcomes WHERE ended_at >= $1
    GROUP BY token_address, measure
"""
_FILLED: Final[LiteralString] = "SELECT id, filled_at, filling_for IS NOT NULL AS is_filling FROM identity"
_OPEN: Final[LiteralString] = """
    INSERT INTO outcomes
        (call_id, number, token_address, channel_id, called_at, opened_at, measure, price_usd, market_cap_usd,
        liquidity_usd, symbol, updated_at)
    SELECT c.call_id, c.number, c.token_address, c.channel_id, least(c.called_at, c.decided_at), $3, x.measure,
        (c.document #>> '{token,price_usd}')::double precision, c.market_cap_usd,
        (c.document #>> '{token,liquidity_usd}')::double precision,
        left(coalesce(c.document #>> '{token,symbol}', c.document #>> '{token,name}'), 64), $3
    FROM unnest($1::bigint[], $2::text[]) AS x (number, measure) JOIN calls c ON c.number = x.number
    ON CONFLICT DO NOTHING
"""
# The peak of an open call is written down elsewhere only now and then; here it is known. $10: when this is written.
_REACHED: Final[LiteralString] = """
    WITH x AS (
        SELECT * FROM unnest($1::bigint[], $2::double precision[], $3::double precision[], $4::timestamptz[],
            $5::timestamptz[], $6::boolean[], $7::timestamptz[], $8::boolean[], $9::double precision[])
            AS x (number, rung, multiple, reached_at, confirmed_at, late, since, verified, liquidity_usd)),
    put AS (
        INSERT INTO milestones
            (call_id, rung, number, multiple, reached_at, confirmed_at, late, since, verified, liquidity_usd, look_at)
        SELECT o.call_id, x.rung, x.number, x.multiple, x.reached_at, x.confirmed_at, x.late, x.since, x.verified,
            x.liquidity_usd, x.confirmed_at
        FROM x JOIN outcomes o ON o.number = x.number
        ON CONFLICT DO NOTHING)
    UPDATE outcomes o SET peak_multiple = y.multiple, peak_at = y.reached_at, updated_at = $10
    FROM (SELECT DISTINCT ON (number) number, multiple, reached_at FROM x ORDER BY number, multiple DESC) AS y
    WHERE o.number = y.number AND o.ended_at IS NULL AND coalesce(o.peak_multiple, 1) < y.multiple
"""
_REACHED_SINCE: Final[LiteralString] = """
    SELECT o.token_address, o.measure, m.number, max(m.rung) AS rung, max(m.multiple) AS multiple,
        (array_agg(m.reached_at ORDER BY m.multiple DESC))[1] AS reached_at
    FROM milestones m JOIN outcomes o USING (call_id) WHERE m.confirmed_at >= $1
    GROUP BY o.token_address, o.measure, m.number
    UNION ALL SELECT token_address, measure, number, 1, peak_multiple, peak_at
    FROM outcomes WHERE updated_at >= $1 AND ended_at IS NULL AND peak_multiple > 1
"""


class TrackingRows:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def calls(self, from_number: int, limit: int) -> list[TrackedCall]:
        """Return what was stored from this number on and has not ended, in order."""
        return [_call(row) for row in await self._postgres.fetch(_CALLS, from_number, limit)]

    async def first_number_since(self, decided_at: datetime) -> int:
        """Return the number of the first call decided since then; without one, the next that will be given."""
        row = await self._postgres.fetch_row(_FIRST_SINCE, decided_at)
        if row is None or row["number"] is None:
            row = await self._postgres.fetch_row(_NEXT)
        return cast("int", row["number"]) if row else 1

    async def database(self) -> object:
        """Return what stays the same as long as numbers mean the same calls.

        `PostgresUnavailableError` while it is being filled again.
        """
        row = await self._postgres.fetch_row(_FILLED)
        if row is None or row["is_filling"]:
            raise PostgresUnavailableError("PostgreSQL is being filled again")
        return row["id"], row["filled_at"]

    async def open(self, calls: Sequence[tuple[int, str]], at: datetime) -> None:
        """Write down that these calls are tracked: number and measure of each."""
        if calls:
            numbers, measures = zip(*calls, strict=True)
            await self._postgres.execute(_OPEN, list(numbers), list(measures), at)

    async def reached(self, rows: Sequence[Written], at: datetime) -> None:
        """Write down rungs, and that the peaks are as high at least."""
        if not rows:
            return
        columns = (
            [row.number for row in rows],
            [row.rung for row in rows],
            [row.multiple for row in rows],
            [moment(row.reached_at) for row in rows],
            [moment(row.confirmed_at) for row in rows],
            [row.late for row in rows],
            [None if row.since is None else moment(row.since) for row in rows],
            [row.verified for row in rows],
            [row.liquidity_usd for row in rows],
        )
        await self._postgres.execute(_REACHED, *columns, at)

    async def ended_since(self, at: datetime) -> list[Ended]:
        return [_ended(row) for row in await self._postgres.fetch(_ENDED_SINCE, at)]

    async def reached_since(self, confirmed_at: datetime) -> list[Reached]:
        rows = await self._postgres.fetch(_REACHED_SINCE, confirmed_at)
        return [_reached(row) for row in rows]


def _ended(row: Row) -> Ended:
    return Ended(address=row["token_address"], measure=row["measure"], numbers=row["numbers"])


def _reached(row: Row) -> Reached:
    return Reached(
        address=row["token_address"],
        measure=row["measure"],
        number=row["number"],
        rung=row["rung"],
        multiple=row["multiple"],
        reached_at=cast("datetime", row["reached_at"]).timestamp(),
    )


def moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _call(row: Row) -> TrackedCall:
    return TrackedCall(
        number=row["number"],
        address=row["token_address"],
        channel_id=row["channel_id"],
        called_at=cast("datetime", row["called_at"]).timestamp(),
        price_usd=row["price_usd"],
        market_cap_usd=row["market_cap_usd"],
        liquidity_usd=row["liquidity_usd"],
    )
