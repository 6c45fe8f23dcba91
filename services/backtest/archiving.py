"""What is put into the archive: each day once it is over, and what became of its calls until that is certain.

PostgreSQL keeps calls for two weeks. Whatever is written again comes out the same, so it may be killed at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import structlog

from domain.backtest.results import Archived
from domain.calls.lifetimes import ACCEPTED_FOR
from managers.archive.parquet import Archive
from services.backtest.stored import StoredHistory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SETTLED_AFTER: Final = timedelta(minutes=15)
"""So long after midnight the journal has brought PostgreSQL what was decided before it."""
LOOKED_AT_AGAIN: Final = 3
"""Days whose file is compared with PostgreSQL, which may have got some calls late."""
WHOLE_FOR: Final = ACCEPTED_FOR
"""Of older days PostgreSQL keeps only calls that somebody was accepted for: not what others would be compared with."""
OUTCOMES_EVERY: Final = timedelta(hours=20)
_DAY: Final = timedelta(days=1)


def begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield both and those in between."""
    while first <= last:
        yield first
        first += _DAY


class Archiving:
    def __init__(
        self, archive: Archive, history: StoredHistory, *, tracked_for: timedelta, kept_for: timedelta
    ) -> None:
        self._archive = archive
        self._history = history
        self._tracked_for = tracked_for
        self._kept_for = kept_for

    async def run(self, now: datetime) -> Archived:
        self._forget(now)
        first = await self._history.first_call_at()
        if first is None:
            return Archived(days=0, calls=0)
        last = (now - SETTLED_AFTER).astimezone(UTC).date() - _DAY
        days, calls = 0, 0
        known = set(self._archive.days("calls"))
        for day in days_between(max(first, now - WHOLE_FOR).astimezone(UTC).date(), last):
            if begin_of(day) < now - WHOLE_FOR:
                continue
            if day in known and not await self._has_more(day, last):
                continue
            rows = await self._archive.write("calls", day, self._history.calls(begin_of(day), begin_of(day + _DAY)))
            if rows:
                log.info("day_archived", day=day.isoformat(), calls=rows)
                days, calls = days + 1, calls + rows
        await self._put_outcomes(last, now)
        return Archived(days=days, calls=calls)

    async def _has_more(self, day: date, last: date) -> bool:
        """Whether PostgreSQL got calls of the day since; what it deleted does not count."""
        if last - day >= LOOKED_AT_AGAIN * _DAY:
            return False
        return await self._history.count(begin_of(day), begin_of(day + _DAY)) > self._archive.rows("calls", day)

    async def _put_outcomes(self, last: date, now: datetime) -> None:
        known, corrected = set(self._archive.days("outcomes")), await self._history.corrected()
        for day in self._archive.days("calls"):
            if day > last or (day in known and not self._is_due(day, now, corrected.get(day))):
                continue
            outcomes = self._history.outcomes(begin_of(day), begin_of(day + _DAY))
            await self._archive.write("outcomes", day, outcomes)

    def _is_due(self, day: date, now: datetime, corrected_at: datetime | None) -> bool:
        written_at = self._archive.written_at("outcomes", day)
        if corrected_at is not None and corrected_at >= written_at:
            return True
        is_final = written_at > begin_of(day + 2 * _DAY) + self._tracked_for
        return not is_final and now - written_at > OUTCOMES_EVERY

    def _forget(self, now: datetime) -> None:
        oldest = (now - self._kept_for).astimezone(UTC).date()
        for dataset in ("calls", "outcomes"):
            self._archive.clear_remains(dataset)
            for day in self._archive.days(dataset):
                if day < oldest:
                    self._archive.remove(dataset, day)
