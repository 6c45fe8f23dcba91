"""One record, as PostgreSQL computes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, LiteralString

import msgspec
from msgspec import Struct

from domain.tracking.records import MIN_TOKENS, WINDOWS, Rate, Record, Records, Returns, Window, rate, shown_base
from managers.storage.postgres import PostgresManager, Row
from services.tracking.records import statements

BASE: Final = "all"
"""The kind of record whose win rate is the base rate; its subject is empty."""
_BY_KIND: Final[dict[str, LiteralString]] = {
    "channel": statements.CHANNEL,
    "preset": statements.PRESET,
    "set": statements.FILTER_SET,
}
_LETTERS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_AT_ONCE: Final = timedelta(days=7)
"""The tokens of a longer window are counted letter by letter: no statement may take ten seconds."""
Bases = dict[Window, Rate | None]


class _Returned(Struct, frozen=True):
    horizon_s: int
    n: int
    average: float
    median: float


class Measured(Struct, frozen=True):
    records: Records
    due_at: datetime | None
    """When it becomes another one by time alone: a call leaves a window, or a dead one has its next horizon."""


def set_subject(user_id: int, number: int) -> str:
    """Name a filter set among the subjects of records."""
    return f"{user_id}:{number}"


class Measuring:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def measure(self, kind: str, subject: str, as_of: datetime, bases: Bases) -> Measured:
        """Compute a record in every window. `KeyError` for a kind that nobody knows."""
        if kind == BASE:
            return Measured(_base_records(await self.bases(as_of), as_of), None)
        statement = _BY_KIND[kind]
        by_window: dict[Window, Record] = {}
        changes: list[datetime] = []
        for window, length in WINDOWS.items():
            row = await self._postgres.fetch_row(statement, as_of, length, subject)
            if row is None:
                continue
            by_window[window] = record_of(row, bases.get(window))
            changes += _changes(row, length)
        return Measured(Records(as_of, by_window), min(changes, default=None))

    async def person(self, user_id: int, as_of: datetime, window: Window, base: Rate | None) -> Record:
        """Compute what became of what somebody was told."""
        row = await self._postgres.fetch_row(statements.PERSON, as_of, WINDOWS[window], user_id)
        return Record(calls=0, tokens=0, open=0) if row is None else record_of(row, base)

    async def bases(self, as_of: datetime) -> Bases:
        """Return the win rate of all tracked tokens, in every window."""
        found: Bases = {}
        ordered = [row["part"] for row in await self._postgres.fetch(statements.ORDERED, list(_LETTERS))]
        parts = [*pairwise([None, *ordered, None])]
        for window, length in WINDOWS.items():
            hits = n = 0
            for start, end in [(None, None)] if length is not None and length <= _AT_ONCE else parts:
                row = await self._postgres.fetch_row(statements.BASE, as_of, length, start, end)
                hits, n = (hits, n) if row is None else (hits + row["hits"], n + row["n"])
            found[window] = rate(hits, n)
        return found


def record_of(row: Row, base: Rate | None) -> Record:
    n = row["tokens"]
    oldest: datetime | None = row["oldest_at"]
    oldest_at = None if oldest is None else oldest.timestamp()
    if n < MIN_TOKENS:
        return Record(calls=row["calls"], tokens=n, open=row["open"], at_least=row["at_least"], oldest_at=oldest_at)
    returned = msgspec.json.decode(row["returns"], type=list[_Returned])
    return Record(
        calls=row["calls"],
        tokens=n,
        open=row["open"],
        at_least=row["at_least"],
        oldest_at=oldest_at,
        wins=rate(row["won"], n),
        base_percent=shown_base(base),
        died=rate(row["died"], n),
        average_multiple=row["average"],
        median_multiple=row["median"],
        median_reachable_multiple=row["reachable"] if row["reachable_n"] >= MIN_TOKENS else None,
        median_reachable_peak=row["reachable_peak"] if row["reachable_n"] >= MIN_TOKENS else None,
        reachable_n=row["reachable_n"],
        median_peak_after_s=row["peak_after_s"],
        best_multiple=row["best"],
        worst_multiple=row["worst"],
        returns={one.horizon_s: Returns(one.n, one.median, one.average) for one in returned if one.n >= MIN_TOKENS},
    )


def _changes(row: Row, length: timedelta | None) -> list[datetime]:
    oldest: datetime | None = row["oldest_at"]
    return_at: datetime | None = row["return_at"]
    leaves_at = oldest + length if oldest is not None and length is not None else None
    return [at for at in (leaves_at, return_at) if at is not None]


def _base_records(bases: Bases, as_of: datetime) -> Records:
    return Records(
        as_of,
        {
            window: Record(calls=base.n, tokens=base.n, open=0, wins=base)
            for window, base in bases.items()
            if base is not None
        },
    )
