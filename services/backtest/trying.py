"""One filter set held against what is stored: the archive day by day, and from PostgreSQL what is not in it yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl
import structlog
from msgspec.structs import replace

from domain.backtest.replay import Replay, replay
from domain.backtest.results import BacktestRequest, BacktestResult
from domain.backtest.summary import Outcomes, daily, extremes, listed, performance
from domain.calls.lifetimes import FRESH_FOR
from managers.archive.parquet import Archive, ArchiveError
from services.backtest.archiving import WHOLE_FOR, begin_of, days_between
from services.backtest.stored import StoredHistory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FRESH_UP_TO: Final = 20_000
"""Calls whose outcome is asked for as it is now; of more, what the archive has is good enough."""
PART: Final = 500_000
"""Calls of the archive in memory at a time, where every one passes."""
_DAY: Final = timedelta(days=1)
_SHOWN: Final = ("call_id", "token_name", "channel", "channel_title", "market_cap_usd")
_REPLAYED: Final = 0.9
"""Share of the work."""

Tell = Callable[[float], None]


class Trying:
    def __init__(self, request: BacktestRequest, archive: Archive | None, history: StoredHistory, tell: Tell) -> None:
        """`tell`: how much is done, from 0 to 1."""
        self._request = request
        self._archive = archive
        self._history = history
        self._tell = tell
        self._archived = set(archive.days("calls")) if archive else set[date]()
        self._outcome_days = set(archive.days("outcomes")) if archive else set[date]()
        self._tried = Replay([request.tried])
        self._active = Replay(request.active) if request.active else None
        self._calls = 0
        self._first: datetime | None = None
        self._days_with_calls: set[date] = set()

    async def run(self) -> BacktestResult:
        days = list(days_between(self._request.since.astimezone(UTC).date(), self._last_day()))
        for place, day in enumerate(days, start=1):
            await self._replay(day)
            self._tell(_REPLAYED * place / len(days))
        tried = self._tried.accepted()
        active = None if self._active is None else self._active.accepted()
        known, base = await self._outcomes(tried, active)
        tried = tried.join(known, on="call_id", how="left", maintain_order="left")
        best, worst = listed(extreme := extremes(tried), await self._shown(extreme))
        result = BacktestResult(
            covered_from=self._first,
            covered_until=self._request.until,
            days=self._covered_days(),
            days_missing=self._missing_days(),
            calls=self._calls,
            tried=performance(tried, self._tried.waited),
            active=None,
            base=base.base(),
            best=best,
            worst=worst,
            daily=daily(tried),
        )
        if self._active is None or active is None:
            return result
        active = active.join(known, on="call_id", how="left", maintain_order="left")
        return _compared(result, tried, active, self._active.waited)

    def _last_day(self) -> date:
        return (self._request.until - timedelta(microseconds=1)).astimezone(UTC).date()

    # calls

    async def _replay(self, day: date) -> None:
        replays = [one for one in (self._tried, self._active) if one is not None]
        async for calls in self._calls_of(day):
            times = calls.select(first=pl.col("decided_at").min(), last=pl.col("decided_at").max(), count=pl.len())
            first, last, count = times.collect().row(0)
            if not count:
                continue
            self._first = self._first or first
            self._calls += count
            self._days_with_calls.add(day)
            replay(replays, calls, last)

    async def _calls_of(self, day: date) -> AsyncIterator[pl.LazyFrame]:
        since, until = max(self._request.since, begin_of(day)), min(self._request.until, begin_of(day + _DAY))
        if self._archive is None or day not in self._archived:
            if since >= self._request.until - WHOLE_FOR:
                async for part in self._history.calls(since, until):
                    yield part.lazy()
        elif self._is_readable(self._archive, day):
            parts = max(1, round(self._archive.rows("calls", day) / PART))
            for part in range(parts):
                times = (since + (until - since) * number / parts for number in (part, part + 1))
                yield self._archive.scan("calls", day).filter(pl.col("decided_at").is_between(*times, closed="left"))

    def _is_readable(self, archive: Archive, day: date) -> bool:
        """Whether a file can be read, and has what the rules look at; it may be older than one of these."""
        needed = self._tried.columns | (self._active.columns if self._active else frozenset[str]())
        try:
            lacks = needed - archive.columns("calls", day)
        except ArchiveError as error:
            log.warning("day_unreadable", day=day.isoformat(), reason=str(error))
            return False
        if lacks:
            log.info("day_without_columns", day=day.isoformat(), lacks=sorted(lacks))
        return not lacks

    def _covered_days(self) -> float:
        if self._first is None:
            return 0.0
        return max(0.0, (self._request.until - self._first) / _DAY - self._missing_days())

    def _missing_days(self) -> int:
        if self._first is None:
            return 0
        days = set(days_between(self._first.astimezone(UTC).date(), self._last_day()))
        return len(days - self._days_with_calls - {self._last_day()})

    # what became of them

    async def _outcomes(self, tried: pl.DataFrame, active: pl.DataFrame | None) -> tuple[pl.DataFrame, Outcomes]:
        both = [one.select("call_id", "decided_at") for one in (tried, active) if one is not None]
        asked, found = pl.concat(both).unique("call_id"), Outcomes(self._request.since)
        days = list(days_between(self._called_from().date(), self._last_day()))
        for place, day in enumerate(days, start=1):
            near = pl.col("decided_at").dt.date().is_between(day - _DAY, day + _DAY)
            of_the_day = asked.filter(near).select("call_id")
            async for outcomes in self._outcomes_of(day):
                found.add(outcomes, of_the_day)
            self._tell(_REPLAYED + (1 - _REPLAYED) * place / len(days))
        if asked.height <= FRESH_UP_TO:
            found.refresh(await self._history.outcomes_of(asked["call_id"].to_list()))
        return found.of_calls(), found

    def _called_from(self) -> datetime:
        """A call may be made a little before it is decided."""
        return (self._request.since - FRESH_FOR).astimezone(UTC)

    async def _outcomes_of(self, day: date) -> AsyncIterator[pl.LazyFrame]:
        if self._archive is not None and day in self._outcome_days:
            yield self._archive.scan("outcomes", day)
            return
        async for part in self._history.outcomes(max(self._called_from(), begin_of(day)), begin_of(day + _DAY)):
            yield part.lazy()

    async def _shown(self, extreme: pl.DataFrame) -> pl.DataFrame:
        """Look up what is shown of the calls that are listed."""
        days = extreme.select("call_id", day=pl.col("decided_at").dt.date())
        frames: list[pl.DataFrame] = []
        stored: list[str] = []
        for (day,), some in days.group_by("day"):
            ids = some["call_id"].to_list()
            if self._archive is not None and day in self._archived:
                calls = self._archive.scan("calls", day).filter(pl.col("call_id").is_in(ids))
                frames.append(calls.select(_SHOWN).collect())
            else:
                stored += ids
        frames.append((await self._history.calls_of(stored)).select(_SHOWN))
        return pl.concat(frames).unique("call_id")


def _compared(result: BacktestResult, tried: pl.DataFrame, active: pl.DataFrame, waited: int) -> BacktestResult:
    ours, theirs = (some.select("token_address").unique() for some in (tried, active))
    both = ours.join(theirs, on="token_address", how="semi").height
    return replace(
        result,
        active=performance(active, waited),
        both=both,
        only_tried=ours.height - both,
        only_active=theirs.height - both,
    )
