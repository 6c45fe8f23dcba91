"""What a report says, computed from what became of the calls. What is the same for everybody is computed once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar, cast
from weakref import WeakValueDictionary

from cachetools import LRUCache
from msgspec.structs import replace

from domain.reports.figures import (
    RANKED,
    TOP,
    BestFigures,
    ChannelFigures,
    Figures,
    PresetFigures,
    TrackedCall,
    Window,
    best_of,
    listed,
    person_figures,
    ranked,
    standing_of,
)
from domain.reports.times import DAY, TIMES
from domain.subscribers.subscriber import ReportName
from domain.tracking.records import MIN_TOKENS, Rate
from services.reports.rows import ReportRows

T = TypeVar("T")

_REMEMBERED: Final = 64
"""Windows: as many as there are zones in a day, for a few reports."""
_SHARED_FOR: Final = timedelta(minutes=5)
"""For windows of every length, so that a longer one holds all that a shorter one does."""
_SHOWN_TO: Final = timedelta(minutes=1)
"""A window's end as its report names it: whose windows end then have their base rate in common."""
_SHARED_AT_ONCE: Final = 2
_PERSONS_AT_ONCE: Final = 3
"""Connections that reports take at most, of those that the bot has."""


class ReportFigures:
    def __init__(
        self, rows: ReportRows, *, clock: Callable[[], datetime], presets: Callable[[], Sequence[tuple[str, str]]]
    ) -> None:
        """`presets`: key and name of those that there are."""
        self._rows = rows
        self._clock = clock
        self._presets = presets
        self._known: LRUCache[tuple[str, Window], object] = LRUCache(_REMEMBERED)
        self._locks: WeakValueDictionary[tuple[str, Window], asyncio.Lock] = WeakValueDictionary()
        self._shared = asyncio.Semaphore(_SHARED_AT_ONCE)
        self._persons = asyncio.Semaphore(_PERSONS_AT_ONCE)

    def window(self, days: int, end: datetime | None = None, *, shared: bool = False) -> Window:
        """The days before a time, or before now; `shared`: before a time that many who ask now have in common."""
        end = end or self._clock()
        window = Window(start=end - days * DAY, end=end)
        return _ending(window, _SHARED_FOR) if shared else window

    async def of(self, report: ReportName, user_id: int, window: Window) -> Figures | None:
        """`None`: there is nothing to tell. `TransientError` while PostgreSQL is unavailable."""
        match report:
            case "daily" | "weekly":
                return await self.person(user_id, window)
            case "best":
                best = await self.best(window)
                return best if best.calls else None
            case "channels":
                channels = await self.channels(window)
                return channels if channels.standings else None
            case "presets" | "preset_results":
                presets = await self.presets(window)
                return presets if any(one.tokens for one in presets.standings) else None

    async def calls_of(self, user_id: int, window: Window) -> list[TrackedCall]:
        async with self._persons:
            return await self._rows.of_person(user_id, window)

    async def person(self, user_id: int, window: Window) -> Figures | None:
        calls = await self.calls_of(user_id, window)
        return person_figures(calls, window.end, await self.base(_ending(window, _SHOWN_TO))) if calls else None

    async def base(self, window: Window) -> Rate | None:
        """Of this very window: what `/top` shows ends at another time."""
        return await self._once("base", window, lambda: self._rows.base(window))

    async def best(self, window: Window) -> BestFigures:
        async def compute() -> BestFigures:
            calls = best_of(await self._rows.best(window), TOP)
            return BestFigures(calls=listed(calls))

        return replace(await self._once("best", window, compute), base=await self.base(window))

    async def channels(self, window: Window) -> ChannelFigures:
        async def compute() -> ChannelFigures:
            standings, of = await self._rows.channels(window, MIN_TOKENS)
            return ChannelFigures(standings=tuple(ranked(standings)[:RANKED]), of=of)

        return replace(await self._once("channels", window, compute), base=await self.base(window))

    async def presets(self, window: Window) -> PresetFigures:
        async def compute() -> PresetFigures:
            found = [(name, await self._rows.of_preset(key, window)) for key, name in self._presets()]
            standings = [standing_of(name, calls, window.end) for name, calls in found]
            return PresetFigures(standings=tuple(ranked(standings)))

        return replace(await self._once("presets", window, compute), base=await self.base(window))

    async def call(self, number: int) -> TrackedCall | None:
        return await self._rows.call(number)

    async def points(self, call: TrackedCall) -> list[tuple[float, float]]:
        """What is known of the price since a call: seconds after it, and the multiple."""
        began = call.outcome.called_at
        rungs = await self._rows.rungs(call.number)
        points = {0.0: 1.0}
        points |= {at.timestamp() - began: multiple for multiple, at in rungs}
        points |= {float(after): multiple for after, multiple in call.outcome.returns.items()}
        if call.outcome.peak_after_s:
            points[call.outcome.peak_after_s] = call.outcome.peak_multiple
        return sorted((after, multiple) for after, multiple in points.items() if after >= 0)

    async def _once(self, what: str, window: Window, compute: Callable[[], Awaitable[T]]) -> T:
        """Compute what many ask for at the same minute once; few such things at a time."""
        key = (what, window)
        if key not in self._known:
            async with self._locks.setdefault(key, asyncio.Lock()), self._shared:
                if key not in self._known:
                    self._known[key] = await compute()
        return cast("T", self._known[key])


def _ending(window: Window, every: timedelta) -> Window:
    """A window that ends when many others do, a little earlier."""
    end = window.end - timedelta(seconds=window.end.timestamp() % every.total_seconds())
    return Window(start=end - window.days * DAY, end=end)


def window_of(report: ReportName, due_at: datetime) -> Window:
    return Window(start=due_at - TIMES[report].window, end=due_at)
