"""What reports read in PostgreSQL. Whatever is read for everybody is read once for a time (`figures.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

from domain.reports.figures import Standing, TrackedCall, Window
from domain.tracking.outcome import HORIZONS_S, Outcome
from domain.tracking.records import WIN_MULTIPLE, Rate, rate
from managers.storage.postgres import PostgresManager, Row
from services.stores.counted import AT_ENTRY, COUNTS, PEAK
from services.stores.merged import MERGED

MAX_CALLS: Final = 5_000
"""Of one report; of more, the latest."""
MAX_FOLLOWERS: Final = 20
"""Whose alerts tell what a preset has found."""
_SAMPLED: Final = 200_000
"""Calls of the whole table that the base rate is counted of, about."""
_CANDIDATES: Final = 200
_RANKED_OF: Final = 500

_CALL: Final[LiteralString] = (
    """
    o.number, o.token_address, o.channel_id, o.called_at, o.price_usd, o.market_cap_usd, o.at_least, o.wick_multiple,
    o.reachable_multiple, o.return_1h * o.scale AS return_1h, o.return_24h * o.scale AS return_24h,
    o.return_7d * o.scale AS return_7d, o.ended_at, o.ending, o.peak_at, """
    + PEAK
    + """ AS peak_multiple,
    c.document #>> '{token,name}' AS name, c.document #>> '{token,symbol}' AS symbol,
    c.document #>> '{channel,title}' AS channel_title
"""
)
_JOINED: Final[LiteralString] = " LEFT JOIN calls c USING (call_id)"
_FIRST: Final[LiteralString] = (
    COUNTS
    + """ AND o.called_at >= $1 AND o.called_at < $2 AND NOT EXISTS (
        SELECT 1 FROM outcomes e
        WHERE e.token_address = o.token_address AND e.called_at >= $1 AND e.excluded IS NULL
            AND (e.called_at, e.number) < (o.called_at, o.number))
"""
)
"""The first call of its token from then on that counts."""
_ALERTS_FROM: Final[LiteralString] = """
    FROM deliveries d JOIN outcomes o USING (call_id)
"""
_OF_PERSON: Final[LiteralString] = (
    "SELECT d.sent_at AS told_at, d.set_number, "
    + AT_ENTRY
    + " AS at_entry,"
    + _CALL
    + _ALERTS_FROM
    + _JOINED
    + """
    WHERE d.user_id = $1 AND d.decided_at >= $2 AND d.decided_at < $3 AND d.kind IN ('alert', 'digest')
        AND d.status IN ('sent', 'merged') AND """
    + COUNTS
    + " ORDER BY d.decided_at DESC LIMIT $4"
)
_HAS_ALERTS: Final[LiteralString] = """
    SELECT 1 FROM deliveries WHERE user_id = $1 AND decided_at >= $2 AND decided_at < $3 AND kind IN ('alert', 'digest')
        AND status IN ('sent', 'merged') LIMIT 1
"""
_SIZE: Final[LiteralString] = "SELECT reltuples FROM pg_class WHERE oid = 'outcomes'::regclass"
# Whether a token is counted follows from its own calls, so a sample of the pages serves as well as all of them.
_BASE: Final[LiteralString] = (
    "SELECT count(*) AS n, count(*) FILTER (WHERE "
    + PEAK
    + " >= $3) AS hits FROM outcomes o TABLESAMPLE SYSTEM ($4) WHERE "
    + _FIRST
)
# What has risen has a rung: so the best are found among those few.
_BEST: Final[LiteralString] = (
    """
    WITH risen AS (
        SELECT DISTINCT call_id FROM milestones WHERE confirmed_at >= $1
    )
    SELECT """
    + _CALL
    + """
    FROM risen JOIN outcomes o USING (call_id)"""
    + _JOINED
    + """
    WHERE """
    + _FIRST
    + "ORDER BY peak_multiple DESC LIMIT $3"
)
_CHANNELS: Final[LiteralString] = (
    """
    WITH called AS (
        SELECT o.*, coalesce(m.main, o.channel_id) AS counts_for
        FROM outcomes o LEFT JOIN """
    + MERGED
    + """ AS m USING (channel_id) WHERE """
    + COUNTS
    + """ AND o.called_at >= $1 AND o.called_at < $2
    ), firsts AS (
        SELECT DISTINCT ON (o.counts_for, o.token_address) o.counts_for AS channel_id, """
    + PEAK
    + """ AS peak
        FROM called o ORDER BY o.counts_for, o.token_address, o.called_at, o.number
    ), standing AS (
        SELECT channel_id, count(*) AS n, count(*) FILTER (WHERE peak >= $3) AS hits, avg(peak) AS average,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY peak) AS median
        FROM firsts GROUP BY channel_id HAVING count(*) >= $4
    )
    SELECT s.*, c.title, count(*) OVER () AS of FROM standing s LEFT JOIN channels c USING (channel_id)
    ORDER BY hits DESC LIMIT $5
"""
)
# `$1`: the preset; the longest with us first, as they have seen the most of it.
_OF_PRESET: Final[LiteralString] = (
    """
    WITH following AS (
        SELECT s.user_id, (f ->> 'number')::integer AS set_number
        FROM subscribers s, jsonb_array_elements(s.document -> 'filter_sets') f
        WHERE f ->> 'follows' = $1 ORDER BY s.user_id LIMIT $5
    ), found AS (
        SELECT DISTINCT d.call_id FROM deliveries d JOIN following USING (user_id, set_number)
        WHERE d.decided_at >= $2 AND d.decided_at < $3 AND d.kind IN ('alert', 'digest')
    )
    SELECT """
    + _CALL
    + " FROM found JOIN outcomes o USING (call_id)"
    + _JOINED
    + " WHERE "
    + COUNTS
    + " ORDER BY o.called_at DESC LIMIT $4"
)
_ONE: Final[LiteralString] = "SELECT " + _CALL + " FROM outcomes o" + _JOINED + " WHERE o.number = $1"
_RUNGS: Final[LiteralString] = """
    SELECT m.multiple, m.reached_at FROM milestones m WHERE m.number = $1 ORDER BY m.reached_at
"""


class ReportRows:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def of_person(self, user_id: int, window: Window) -> list[TrackedCall]:
        """Return the calls of which somebody got an alert, the latest first."""
        rows = await self._postgres.fetch(_OF_PERSON, user_id, window.start, window.end, MAX_CALLS)
        return [
            _call(row, told_at=row["told_at"], set_number=row["set_number"], at_entry=row["at_entry"]) for row in rows
        ]

    async def has_alerts(self, user_id: int, window: Window) -> bool:
        return await self._postgres.fetch_row(_HAS_ALERTS, user_id, window.start, window.end) is not None

    async def base(self, window: Window) -> Rate | None:
        """The share of all tracked tokens that won, of a sample where they are many; `None` where there are none."""
        size = await self._postgres.fetch_row(_SIZE)
        percent = 100.0 if size is None or size["reltuples"] <= _SAMPLED else 100.0 * _SAMPLED / size["reltuples"]
        row = await self._postgres.fetch_row(_BASE, window.start, window.end, WIN_MULTIPLE, percent)
        return rate(row["hits"], row["n"]) if row else None

    async def best(self, window: Window) -> list[TrackedCall]:
        """Return first calls of their tokens, the highest multiple first; only what has risen is among them."""
        rows = await self._postgres.fetch(_BEST, window.start, window.end, _CANDIDATES)
        return [_call(row) for row in rows]

    async def channels(self, window: Window, least_tokens: int) -> tuple[list[Standing], int]:
        """Return channels with so many tokens, those with the most wins; and how many there are."""
        values = (window.start, window.end, WIN_MULTIPLE, least_tokens, _RANKED_OF)
        rows = await self._postgres.fetch(_CHANNELS, *values)
        standings = [
            Standing(
                name=row["title"] or row["channel_id"],
                tokens=row["n"],
                wins=rate(row["hits"], row["n"]),
                median_multiple=row["median"],
                average_multiple=row["average"],
            )
            for row in rows
        ]
        return standings, rows[0]["of"] if rows else 0

    async def of_preset(self, preset_key: str, window: Window) -> list[TrackedCall]:
        """Return what some of those who follow a preset got by it."""
        values = (preset_key, window.start, window.end, MAX_CALLS, MAX_FOLLOWERS)
        return [_call(row) for row in await self._postgres.fetch(_OF_PRESET, *values)]

    async def call(self, number: int) -> TrackedCall | None:
        row = await self._postgres.fetch_row(_ONE, number)
        return _call(row) if row else None

    async def rungs(self, number: int) -> Sequence[tuple[float, datetime]]:
        """Return the multiples that a call has reached, and when."""
        rows = await self._postgres.fetch(_RUNGS, number)
        return [(row["multiple"], row["reached_at"]) for row in rows]


def _call(row: Row, told_at: datetime | None = None, set_number: int = 0, *, at_entry: bool = True) -> TrackedCall:
    """`at_entry`: whether what was reachable from the first alert on was so for whom this is about."""
    called_at: datetime = row["called_at"]
    peak_at: datetime | None = row["peak_at"]
    returns = zip(HORIZONS_S, (row["return_1h"], row["return_24h"], row["return_7d"]), strict=True)
    outcome = Outcome(
        token=row["token_address"],
        channel=0,
        called_at=called_at.timestamp(),
        price_usd=row["price_usd"] or 0.0,
        peak_multiple=row["peak_multiple"],
        peak_after_s=max(0.0, (peak_at - called_at).total_seconds()) if peak_at else 0.0,
        at_least=row["at_least"],
        wick_multiple=row["wick_multiple"],
        reachable_multiple=row["reachable_multiple"] if at_entry else None,
        returns={horizon: value for horizon, value in returns if value is not None},
        ended_at=row["ended_at"].timestamp() if row["ended_at"] else None,
        ending=row["ending"],
    )
    return TrackedCall(
        number=row["number"],
        name=row["symbol"] or row["name"] or row["token_address"],
        channel=row["channel_title"] or row["channel_id"],
        outcome=outcome,
        told_at=told_at.timestamp() if told_at else None,
        market_cap_usd=row["market_cap_usd"],
        set_number=set_number,
    )
