"""Calls and what became of them as PostgreSQL has them, in the archive's columns; for the process that computes."""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Final, LiteralString

import msgspec
import polars as pl
import structlog

from domain.backtest.columns import COLUMNS, OUTCOMES, row_of
from domain.calls.events import Call
from domain.stored.journal import DecidedCall
from managers.archive.parquet import frame
from managers.storage.postgres import PostgresManager, Row
from services.stores.counted import COUNTS, PEAK

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BATCH: Final = 5_000
PART: Final = 50_000
"""Rows in memory at a time."""

_CALLS: Final[LiteralString] = """
    SELECT number, call_id, document::text AS document, decided_at, reason FROM calls
    WHERE decided_at >= $1 AND decided_at < $2 ORDER BY decided_at, number
"""
_CALLS_OF: Final[LiteralString] = """
    SELECT number, call_id, document::text AS document, decided_at, reason FROM calls WHERE call_id = ANY($1::text[])
"""
_COUNT: Final[LiteralString] = "SELECT count(*) AS calls FROM calls WHERE decided_at >= $1 AND decided_at < $2"
_FIRST: Final[LiteralString] = "SELECT min(decided_at) AS decided_at FROM calls"
# What does not count has no peak.
_OUTCOMES_WHERE: Final[LiteralString] = (
    "SELECT o.call_id, o.token_address, o.called_at, CASE WHEN "
    + COUNTS
    + " THEN "
    + PEAK
    + " END AS peak_multiple, o.reachable_multiple, o.ended_at FROM outcomes o WHERE "
)
_OUTCOMES: Final[LiteralString] = _OUTCOMES_WHERE + "o.called_at >= $1 AND o.called_at < $2"
_OUTCOMES_OF: Final[LiteralString] = _OUTCOMES_WHERE + "o.call_id = ANY($1::text[])"
_CORRECTED: Final[LiteralString] = """
    SELECT (o.called_at AT TIME ZONE 'UTC')::date AS day, max(c.corrected_at) AS corrected_at
    FROM corrections c JOIN outcomes o USING (call_id) GROUP BY day
"""


class StoredHistory:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres
        self._decode = msgspec.json.Decoder(Call).decode

    async def first_call_at(self) -> datetime | None:
        row = await self._postgres.fetch_row(_FIRST)
        return None if row is None else row["decided_at"]

    async def count(self, since: datetime, until: datetime) -> int:
        row = await self._postgres.fetch_row(_COUNT, since, until)
        return 0 if row is None else row["calls"]

    async def calls(self, since: datetime, until: datetime) -> AsyncIterator[pl.DataFrame]:
        """Yield what was decided in the time, in order, part by part."""
        rows: list[tuple[object, ...]] = []
        async for batch in self._postgres.stream(_CALLS, since, until, batch=BATCH):
            rows += self._rows(batch)
            if len(rows) >= PART:
                yield frame(COLUMNS, rows)
                rows = []
        if rows:
            yield frame(COLUMNS, rows)

    async def calls_of(self, call_ids: Sequence[str]) -> pl.DataFrame:
        return frame(COLUMNS, self._rows(await self._postgres.fetch(_CALLS_OF, list(call_ids))))

    async def outcomes(self, since: datetime, until: datetime) -> AsyncIterator[pl.DataFrame]:
        """Yield what became of the calls of the time, in no particular order, part by part."""
        rows: list[Row] = []
        async for batch in self._postgres.stream(_OUTCOMES, since, until, batch=BATCH):
            rows += batch
            if len(rows) >= PART:
                yield frame(OUTCOMES, [tuple(row) for row in rows])
                rows = []
        if rows:
            yield frame(OUTCOMES, [tuple(row) for row in rows])

    async def outcomes_of(self, call_ids: Sequence[str]) -> pl.DataFrame:
        rows = await self._postgres.fetch(_OUTCOMES_OF, list(call_ids))
        return frame(OUTCOMES, [tuple(row) for row in rows])

    async def corrected(self) -> dict[date, datetime]:
        """Return by day of the call when an admin last corrected what one counts for."""
        return {row["day"]: row["corrected_at"] for row in await self._postgres.fetch(_CORRECTED)}

    def _rows(self, batch: Sequence[Row]) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for row in batch:
            try:
                call = self._decode(row["document"])
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("stored_call_unreadable", call_id=row["call_id"], reason=str(error))
                continue
            decided = DecidedCall(call=call, decided_at=row["decided_at"], reason=row["reason"], checked_channels=())
            rows.append(row_of(decided, row["number"]))
        return rows
