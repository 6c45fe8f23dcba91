"""Ticks that may change something: what they are evidence of, and what that does to the entries of their token."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.tracking import confirmation
from domain.tracking.columns import UNKNOWN, TokenColumns
from domain.tracking.confirmation import CONFIRM_TICKS, GAP_S, Level, Tick, is_absurd, is_near
from domain.tracking.crossings import Crossings, Rungs
from domain.tracking.entries import ABOVE, BELOW, Entries, Flags
from domain.tracking.ladder import DOWNS, UPS, Counts, downs_reached, steps_up_to, ups_reached
from domain.tracking.peaks import Peaks
from domain.tracking.standing import Standing, TokenState, known

_NO_TICK_IS_QUIET = (0.0, -1.0)


@dataclass(slots=True)
class Refused:
    """How many ticks counted for nothing."""

    unreadable: int = 0
    """No price at all: NaN, infinite, zero, below or out of range."""
    out_of_order: int = 0
    repeated: int = 0
    """The same time, price and source as the tick before."""
    absurd: int = 0
    """Off by a factor of a thousand or more, with no liquidity behind it."""


@dataclass(slots=True)
class _Watch:
    """A token whose latest ticks may come to something. Its range is here while no tick of it is quiet."""

    low: float
    high: float
    settled: float
    """The latest price that two ticks agreed on."""
    ticks: deque[Tick]


class Watching:
    """Entries, peaks and evidence, by the number of the token."""

    def __init__(self, columns: TokenColumns) -> None:
        self.refused = Refused()
        self.entries: dict[int, Entries] = {}
        self.peaks: dict[int, Peaks] = {}
        self._columns = columns
        self._watched: dict[int, _Watch] = {}
        self._resumed: set[int] = set()
        """No tick of them has come since they were restored."""

    @property
    def nbytes(self) -> int:
        return sum(e.nbytes for e in self.entries.values()) + sum(p.nbytes for p in self.peaks.values())

    def open(self, token: int, entries: Entries, peaks: Peaks, *, resumed: bool = False) -> None:
        self.entries[token], self.peaks[token] = entries, peaks
        if resumed:
            self._resumed.add(token)
            self._columns.floats["next_up"][token] = entries.highest_quiet()
        else:
            self._set_range(token, *self._range(token))

    def close(self, token: int) -> None:
        del self.entries[token], self.peaks[token]
        self._watched.pop(token, None)
        self._resumed.discard(token)

    def settled(self, token: int) -> float:
        """The latest price that ticks agree on."""
        watch = self._watched.get(token)
        return self._columns.floats["price"][token] if watch is None else watch.settled

    def is_watched(self, token: int) -> bool:
        return token in self._watched

    def keep(self, token: int, kept: Flags) -> None:
        """Only the entries whose flag is set are left."""
        self.entries[token].keep(kept)
        self.peaks[token].keep(kept)
        watch = self._watched.get(token)
        if watch:
            for _ in range(len(watch.ticks)):
                tick = watch.ticks.popleft()
                watch.ticks.append(tick._replace(entries=int(np.count_nonzero(kept[: tick.entries]))))
        self._find_range(token)

    def added(self, token: int, lowest: float, highest: float, highest_at: float) -> None:
        """There are new entries, at these prices: what matters to them, matters."""
        floats = self._columns.floats
        if highest > floats["ath"][token]:
            floats["ath"][token], floats["ath_at"][token] = highest, highest_at
        floats["next_up"][token] = min(floats["next_up"][token], lowest * UPS[0] * BELOW)
        watch = self._watched.get(token)
        low, high = (watch.low, watch.high) if watch else (floats["low"][token], floats["high"][token])
        low, high = max(low, highest * DOWNS[0] * ABOVE), min(high, self.peaks[token].lowest)
        if watch:
            watch.low, watch.high = low, high
        elif token not in self._resumed:
            self._set_range(token, low, high)

    def mark_reached(self, token: int, entry_id: int, multiple: float) -> None:
        entries = self.entries[token]
        place, steps = entries.place_of(entry_id), steps_up_to(multiple)
        rungs = entries.column("ups" if multiple >= 1 else "downs")
        if rungs[place] >= steps:
            return
        if multiple >= 1:
            entries.set_ups(np.array([place]), np.array([steps]))
        else:
            rungs[place] = steps
        self._find_range(token)

    def look(
        self, token: int, price: float, at: float, source: int, liquidity_usd: float | None
    ) -> Sequence[Crossings]:
        """Take in a tick that is not quiet."""
        floats = self._columns.floats
        if not confirmation.MIN_PRICE_USD <= price <= confirmation.MAX_PRICE_USD or not math.isfinite(at):
            self.refused.unreadable += 1
            return ()
        last, last_at, last_source = floats["price"][token], floats["at"][token], self._columns.source[token]
        if at < last_at:
            self.refused.out_of_order += 1
            return ()
        absurd = is_absurd(price, self.settled(token))
        if absurd and not confirmation.pays(liquidity_usd):
            self.refused.absurd += 1
            return ()
        if liquidity_usd is not None:
            self._columns.take_liquidity(token, liquidity_usd, at)
        if at == last_at and price == last and source == last_source:
            self.refused.repeated += 1
            return ()
        watch = self._watched.get(token) or self._watch(token)
        after_gap = token in self._resumed or at - last_at > GAP_S
        tick = Tick(price, at, source, len(self.entries[token]), after_gap, absurd)
        self._take_in(token, watch, tick)
        if after_gap:
            self._note_gap(token, last_at, at)
            watch.ticks.clear()
        return self._weigh(token, watch, tick)

    def close_gap(self, token: int, price: float, reached_at: float, at: float) -> Sequence[Crossings]:
        """What was missed is known by now: nothing was higher in it than this. It counts for entries from before."""
        floats = self._columns.floats
        floats["gap_from"][token] = floats["gap_to"][token] = UNKNOWN
        entries = self.entries[token]
        later = (entries.column("at") > reached_at).nonzero()[0]
        seen_by = int(later[0]) if later.size else len(entries)
        crossings = self._rise(token, Level(price, reached_at, seen_by, after_gap=True), at)
        self._find_range(token)
        return [crossings] if crossings else ()

    def standings(self, token: int) -> list[Standing]:
        """Of all entries of a token."""
        entries, peaks, floats = self.entries[token], self.peaks[token], self._columns.floats
        gap_to, wick, wick_at = floats["gap_to"][token], floats["wick"][token], floats["wick_at"][token]
        names = ("id", "channel", "at", "price", "market_cap", "late")
        standings: list[Standing] = []
        for place, (entry, channel, at, price, market_cap, late) in enumerate(
            zip(*(entries.column(name).tolist() for name in names), strict=True)
        ):
            peak, peak_at = peaks.of(place)
            if peak <= price:
                peak, peak_at = price, float(at)
            seen_wick = wick if wick_at >= at and wick > peak else None
            at_least = bool(late) or gap_to > at
            standings.append(Standing(entry, channel, at, price, known(market_cap), peak, peak_at, at_least, seen_wick))
        return standings

    def state(self, token: int) -> TokenState:
        value = {name: column[token] for name, column in self._columns.floats.items()}
        gap = None if math.isnan(value["gap_to"]) else (value["gap_from"], value["gap_to"])
        return TokenState(
            price_usd=self.settled(token),
            at=value["at"],
            moved_at=value["moved_at"],
            liquidity_usd=known(value["liquidity"]),
            liquidity_at=value["liquidity_at"],
            thin_since=known(value["thin_since"]),
            ath_usd=value["ath"],
            ath_at=value["ath_at"],
            wick_usd=value["wick"] if value["wick"] > value["ath"] else None,
            wick_at=value["wick_at"],
            gap=gap,
        )

    def _take_in(self, token: int, watch: _Watch, tick: Tick) -> None:
        """What is known of the token itself. An absurd price needs a tick of another source before it that agrees."""
        floats, price = self._columns.floats, tick.price
        last = floats["price"][token]
        if tick.absurd:
            agreed = is_near(price, last) and tick.source != self._columns.source[token]
        else:
            agreed = is_near(price, watch.settled) or is_near(price, last)
        if agreed:
            watch.settled = price
        if price > floats["wick"][token] and (agreed or not tick.absurd):
            floats["wick"][token], floats["wick_at"][token] = price, tick.at
        if price != last:
            floats["price"][token], floats["moved_at"][token] = price, tick.at
        floats["at"][token], self._columns.source[token] = tick.at, tick.source

    def _note_gap(self, token: int, last_at: float, at: float) -> None:
        floats = self._columns.floats
        if not floats["gap_from"][token] <= last_at:
            floats["gap_from"][token] = last_at
        floats["gap_to"][token] = at
        self._resumed.discard(token)

    def _weigh(self, token: int, watch: _Watch, tick: Tick) -> Sequence[Crossings]:
        crossings: list[Crossings] = []
        if not watch.low < tick.price <= watch.high:
            watch.ticks.append(tick)
            crossings = self._confirm(token, watch, tick)
        if watch.low < tick.price <= watch.high:
            watch.ticks.clear()
            if watch.settled == tick.price:
                del self._watched[token]
                self._set_range(token, watch.low, watch.high)
        return crossings

    def _confirm(self, token: int, watch: _Watch, tick: Tick) -> list[Crossings]:
        found: list[Crossings | None] = []
        ticks = list(watch.ticks)
        if tick.price > watch.high:
            level = confirmation.reached(ticks, carried=self._carried(token, tick.at))
            if level and level.price > watch.high:
                found.append(self._rise(token, level, tick.at))
                watch.high = self._highest_quiet(token)
        if tick.price <= watch.low:
            level = confirmation.fallen_to(ticks)
            if level and level.price <= watch.low:
                found.append(self._fall(token, level, tick.at))
                watch.low = self.entries[token].lowest_quiet()
        return [crossings for crossings in found if crossings]

    def _carried(self, token: int, at: float) -> bool | None:
        floats = self._columns.floats
        is_fresh = at - floats["liquidity_at"][token] <= confirmation.LIQUIDITY_FRESH_S
        return confirmation.pays(known(floats["liquidity"][token]) if is_fresh else None)

    def _rise(self, token: int, level: Level, at: float) -> Crossings | None:
        floats, entries = self._columns.floats, self.entries[token]
        if level.price > floats["ath"][token]:
            floats["ath"][token], floats["ath_at"][token] = level.price, level.at
        self.peaks[token].raise_to(level.price, level.at, level.entries, len(entries))
        if level.price < floats["next_up"][token]:
            return None
        places = (entries.column("next_up")[: level.entries] <= level.price).nonzero()[0]
        before = entries.column("ups")[places]
        after = ups_reached(level.price / entries.column("price")[places])
        farther = after > before
        if not farther.all():
            places, before, after = places[farther], before[farther], after[farther]
        if not places.size:
            return None
        entries.set_ups(places, after)
        floats["next_up"][token] = entries.highest_quiet()
        return self._crossings(token, level, at, places, before, after.astype(np.uint8), is_up=True)

    def _fall(self, token: int, level: Level, at: float) -> Crossings | None:
        entries = self.entries[token]
        places = (entries.down_prices(level.entries) * ABOVE >= level.price).nonzero()[0]
        before = entries.column("downs")[places]
        after = downs_reached(level.price / entries.column("price")[places])
        farther = after > before
        places, before, after = places[farther], before[farther], after[farther]
        if not places.size:
            return None
        entries.column("downs")[places] = after
        return self._crossings(token, level, at, places, before, after.astype(np.uint8), is_up=False)

    def _crossings(
        self, token: int, level: Level, at: float, places: Counts, before: Rungs, after: Rungs, *, is_up: bool
    ) -> Crossings:
        entries = self.entries[token]
        return Crossings(
            token=token,
            is_up=is_up,
            price_usd=level.price,
            reached_at=level.at,
            confirmed_at=at,
            late=level.after_gap,
            entries=entries.column("id")[places],
            channels=entries.column("channel")[places],
            before=before,
            after=after,
        )

    def _watch(self, token: int) -> _Watch:
        """From now on no tick of it is quiet."""
        floats = self._columns.floats
        low, high = self._range(token) if token in self._resumed else (floats["low"][token], floats["high"][token])
        watch = self._watched[token] = _Watch(low, high, floats["price"][token], deque(maxlen=CONFIRM_TICKS))
        self._set_range(token, *_NO_TICK_IS_QUIET)
        return watch

    def _highest_quiet(self, token: int) -> float:
        """Up to the lowest peak nothing new is reached: an entry's next rung is above its peak."""
        return min(self.peaks[token].lowest, self._columns.floats["ath"][token])

    def _range(self, token: int) -> tuple[float, float]:
        return self.entries[token].lowest_quiet(), self._highest_quiet(token)

    def _find_range(self, token: int) -> None:
        self._columns.floats["next_up"][token] = self.entries[token].highest_quiet()
        watch = self._watched.get(token)
        if watch:
            watch.low, watch.high = self._range(token)
        elif token not in self._resumed:
            self._set_range(token, *self._range(token))

    def _set_range(self, token: int, low: float, high: float) -> None:
        self._columns.floats["low"][token], self._columns.floats["high"][token] = low, high
