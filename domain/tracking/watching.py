"""Ticks that may change something: what they are evidence of, and what that does to the entries of their token."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from domain.tracking import confirmation
from domain.tracking.columns import BEFORE, UNKNOWN, TokenColumns, Tokens
from domain.tracking.confirmation import (
    CONFIRM_TICKS,
    GAP_S,
    LIQUIDITY_FRESH_S,
    MAX_PRICE_USD,
    MIN_LIQUIDITY_USD,
    MIN_PRICE_USD,
    Level,
    Tick,
    fallen_to,
    has_moved,
    is_absurd,
    is_near,
    reached,
)
from domain.tracking.crossings import Crossings, Rungs
from domain.tracking.doubts import Doubts, Said
from domain.tracking.entries import ABOVE, BELOW, Entries, Flags, Pool
from domain.tracking.ladder import DOWN_STEPS, DOWNS, UPS, Counts, downs_reached, steps_up_to, ups_reached
from domain.tracking.peaks import Peaks
from domain.tracking.watch import Refused, Watch

_NO_TICK_IS_QUIET = (0.0, UNKNOWN)


class Watching:
    """Entries, peaks and evidence, by the number of the token."""

    def __init__(self, columns: TokenColumns) -> None:
        self.refused = Refused()
        self.pool = Pool()
        self.entries: dict[int, Entries] = {}
        self.peaks: dict[int, Peaks] = {}
        self.columns = columns
        self.watches: dict[int, Watch] = {}
        self._resumed: set[int] = set()
        """No tick of them has come since they were restored."""
        self.fetch_columns()

    def fetch_columns(self) -> None:
        """The columns have grown."""
        floats = self.columns.floats
        self._low, self._high, self._next_up = floats["low"], floats["high"], floats["next_up"]
        self._price, self._at = floats["price"], floats["at"]
        self._moved_from, self._moved_at = floats["moved_from"], floats["moved_at"]
        self._ath, self._ath_at = floats["ath"], floats["ath_at"]
        self._wick, self._wick_at = floats["wick"], floats["wick_at"]
        self._liquidity, self._liquidity_at = floats["liquidity"], floats["liquidity_at"]
        self._source = self.columns.source

    @property
    def nbytes(self) -> int:
        return self.pool.nbytes + sum(p.nbytes for p in self.peaks.values())

    def open(self, token: int, entries: Entries, peaks: Peaks) -> None:
        self.entries[token], self.peaks[token] = entries, peaks
        self._set_range(token, *self._range(token))

    def resume(self, token: int, entries: Entries, peaks: Peaks, doubts: Doubts) -> None:
        """No tick of it is quiet until one has come."""
        self.entries[token], self.peaks[token] = entries, peaks
        self._next_up[token] = entries.highest_quiet()
        self._resumed.add(token)
        if doubts:
            self._watch(token).doubts = doubts

    def close(self, token: int) -> None:
        self.entries.pop(token).close()
        del self.peaks[token]
        self._tidy_up()
        self.watches.pop(token, None)
        self._resumed.discard(token)

    def _tidy_up(self) -> None:
        if self.pool.is_wasteful:
            self.pool.pack(self.entries.values())

    def settled(self, token: int) -> float:
        """The latest price that ticks agree on."""
        watch = self.watches.get(token)
        return self._price[token] if watch is None else watch.settled

    @property
    def watched(self) -> list[int]:
        """Tokens of which some ticks wait for others that confirm them."""
        return [*self.watches, *(self.columns.view("high") < 0).nonzero()[0].tolist()]

    def is_watched(self, token: int) -> bool:
        return token in self.watches or self._high[token] < 0

    def doubts(self, token: int) -> Doubts:
        watch = self.watches.get(token)
        return (watch and watch.doubts) or Doubts()

    def keep(self, token: int, kept: Flags) -> None:
        """Only the entries whose flag is set are left."""
        watch = self._watched(token)
        self.entries[token].keep(kept)
        self._tidy_up()
        self.peaks[token].keep(kept)
        if watch:
            watch.ticks = [tick._replace(entries=int(np.count_nonzero(kept[: tick.entries]))) for tick in watch.ticks]
        self._find_range(token)

    def added(self, token: int, count: int, lowest: float, highest: float, highest_at: float) -> None:
        """There are so many new entries, at these prices: what matters to them, matters."""
        self._tidy_up()
        if highest > self._ath[token]:
            self._ath[token], self._ath_at[token] = highest, highest_at
        self._next_up[token] = min(self._next_up[token], lowest * UPS[0] * BELOW)
        watch = self._watched(token, count)
        low = max(watch.low if watch else self._low[token], highest * DOWNS[0] * ABOVE)
        high = self._highest_quiet(token)
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

    def mark_peak(self, token: int, entry_id: int, price: float, at: float) -> None:
        entries, floats = self.entries[token], self.columns.floats
        self.peaks[token].raise_to(price, at, entries.place_of(entry_id) + 1, len(entries))
        if price > floats["ath"][token]:
            floats["ath"][token], floats["ath_at"][token] = price, at
        self._find_range(token)

    def look(
        self, token: int, price: float, at: float, source: int, liquidity_usd: float | None
    ) -> Sequence[Crossings]:
        """Take in a tick that is not quiet."""
        if not MIN_PRICE_USD <= price <= MAX_PRICE_USD or not math.isfinite(at):
            self.refused.unreadable += 1
            return ()
        last, last_at = self._price[token], self._at[token]
        if at < last_at:
            self.refused.out_of_order += 1
            return ()
        watch = self._watched(token) or self._watch(token)
        absurd, said = is_absurd(price, watch.settled), Said(price, at, source)
        doubted = watch.hear(said, Said(last, last_at, self._source[token])) or absurd
        if absurd and not confirmation.pays(liquidity_usd):
            self.refused.absurd += 1
            return ()
        if liquidity_usd is not None:
            self.columns.take_liquidity(token, liquidity_usd, at)
        if at == last_at and price == last and source == self._source[token]:
            self.refused.repeated += 1
            return ()
        after_gap = at - last_at > GAP_S or token in self._resumed
        self._take_in(token, watch, said, doubted=doubted)
        if after_gap:
            self._note_gap(token, last_at, at)
            watch.ticks.clear()
        if watch.low < price <= watch.high:
            self._calm_down(token, watch, price)
            return ()
        return self._weigh(token, watch, Tick(price, at, source, self.entries[token].count, after_gap, doubted))

    def close_gap(self, token: int, price: float, reached_at: float, at: float) -> Sequence[Crossings]:
        """What was missed is known by now: nothing was higher in it than this. It counts for entries from before."""
        floats = self.columns.floats
        floats["gap_from"][token] = floats["gap_to"][token] = UNKNOWN
        entries = self.entries[token]
        later = (entries.column("at") > reached_at).nonzero()[0]
        seen_by = int(later[0]) if later.size else len(entries)
        found: list[Crossings] = []
        self._rise(token, Level(price, reached_at, seen_by, after_gap=True), at, found)
        self._find_range(token)
        return found

    def put_back(self, tokens: Tokens) -> set[int]:
        """Back into the columns with what is watched of these; which of them cannot be."""
        some: set[int] = set(tokens.tolist())
        odd = some & self._resumed
        for token in some & self.watches.keys():
            watch = self.watches[token]
            if not watch.is_regular(self._price[token], self.entries[token].count):
                odd.add(token)
                continue
            before = watch.ticks[-2][:3] if len(watch.ticks) > 1 else (UNKNOWN, UNKNOWN, UNKNOWN)
            for name, value in zip(BEFORE, before, strict=True):
                self.columns.floats[name][token] = value
            self._set_range(token, watch.low, -watch.high)
            del self.watches[token]
        return odd

    def _watched(self, token: int, new: int = 0) -> Watch | None:
        """Taken out of the columns; so many entries are new, and have not seen its ticks."""
        watch = self.watches.get(token)
        if watch is not None or not self._high[token] < 0:
            return watch
        before = (self.columns.floats[name][token] for name in BEFORE)
        latest = self._price[token], self._at[token], self._source[token]
        seen_by = self.entries[token].count - new
        ticks = [
            Tick(price, at, int(source), seen_by, after_gap=False, doubted=False)
            for price, at, source in (before, latest)
            if not math.isnan(price)
        ]
        watch = self.watches[token] = Watch(self._low[token], -self._high[token], latest[0], ticks)
        self._set_range(token, *_NO_TICK_IS_QUIET)
        return watch

    def _take_in(self, token: int, watch: Watch, said: Said, *, doubted: bool) -> None:
        """What is known of the token itself. A doubted price needs one of another source before it that agrees."""
        price, at, source = said
        agrees = is_near(price, self._price[token]) and not (doubted and source == self._source[token])
        agrees = agrees or is_near(price, watch.settled)
        if agrees:
            watch.settled = price
        if price > self._wick[token] and price > watch.high and (agrees or not doubted):
            self._wick[token], self._wick_at[token] = price, at
        if has_moved(price, self._moved_from[token]):
            self._moved_from[token], self._moved_at[token] = price, at
        self._price[token], self._at[token], self._source[token] = price, at, source

    def _note_gap(self, token: int, last_at: float, at: float) -> None:
        floats = self.columns.floats
        if not floats["gap_from"][token] <= last_at:
            floats["gap_from"][token] = last_at
        floats["gap_to"][token] = at
        self._resumed.discard(token)

    def _calm_down(self, token: int, watch: Watch, price: float) -> None:
        """The latest tick is within the range again: it ends all evidence."""
        watch.ticks.clear()
        if watch.settled == price and watch.doubts is None:
            del self.watches[token]
            self._low[token], self._high[token] = watch.low, watch.high

    def _weigh(self, token: int, watch: Watch, tick: Tick) -> Sequence[Crossings]:
        ticks, price = watch.ticks, tick.price
        ticks.append(tick)
        if len(ticks) > CONFIRM_TICKS:
            del ticks[0]
        found: list[Crossings] = []
        if price > watch.high:
            level = reached(ticks, carried=self._carried(token, tick.at))
            if level and level.price > watch.high:
                self._rise(token, level, tick.at, found)
                watch.high = self._highest_quiet(token)
        if price <= watch.low:
            level = fallen_to(ticks)
            if level and level.price <= watch.low:
                watch.low = self._fall(token, level, tick.at, found)
        if watch.low < price <= watch.high:
            self._calm_down(token, watch, price)
        return found

    def _carried(self, token: int, at: float) -> bool | None:
        if not at - self._liquidity_at[token] <= LIQUIDITY_FRESH_S:
            return None
        liquidity_usd = self._liquidity[token]
        return liquidity_usd >= MIN_LIQUIDITY_USD if liquidity_usd == liquidity_usd else None  # noqa: PLR0124 - not NaN

    def _rise(self, token: int, level: Level, at: float, found: list[Crossings]) -> None:
        entries, price, seen_by = self.entries[token], level.price, level.entries
        if price > self._ath[token]:
            self._ath[token], self._ath_at[token] = price, level.at
        self.peaks[token].raise_to(price, level.at, seen_by, entries.count)
        if price < self._next_up[token]:
            return
        places = (entries.column("next_up")[:seen_by] <= price).nonzero()[0]
        before, after = entries.column("ups")[places], ups_reached(price / entries.column("price")[places])
        farther = after > before
        if not farther.all():
            places, before, after = places[farther], before[farther], after[farther]
        if places.size:
            entries.set_ups(places, after)
            self._next_up[token] = entries.highest_quiet()
            found.append(self._crossings(token, level, at, places, before, after, is_up=True))

    def _fall(self, token: int, level: Level, at: float, found: list[Crossings]) -> float:
        """Returns the price above which no entry reaches a further rung."""
        entries, price = self.entries[token], level.price
        steps = entries.down_prices()
        places = (steps[: level.entries] >= price * BELOW).nonzero()[0]
        before, prices = entries.column("downs")[places], entries.column("price")[places]
        after = downs_reached(price / prices)
        farther = after > before
        if not farther.all():
            places, before, after, prices = places[farther], before[farther], after[farther], prices[farther]
        if places.size:
            entries.column("downs")[places] = after
            steps[places] = prices * DOWN_STEPS[after]
            found.append(self._crossings(token, level, at, places, before, after, is_up=False))
        return float(steps.max()) * ABOVE if len(steps) else 0.0

    def _crossings(
        self, token: int, level: Level, at: float, places: Counts, before: Rungs, after: Counts, *, is_up: bool
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
            after=after.astype(np.uint8),
        )

    def _watch(self, token: int) -> Watch:
        """From now on no tick of it is quiet."""
        low, high = self._range(token) if token in self._resumed else (self._low[token], self._high[token])
        watch = self.watches[token] = Watch(low, high, self._price[token], [])
        self._set_range(token, *_NO_TICK_IS_QUIET)
        return watch

    def _highest_quiet(self, token: int) -> float:
        """Up to the lowest peak nothing new is reached: an entry's next rung is above its peak."""
        return min(self.peaks[token].lowest, self._ath[token])

    def _range(self, token: int) -> tuple[float, float]:
        return self.entries[token].lowest_quiet(), self._highest_quiet(token)

    def _find_range(self, token: int) -> None:
        self._next_up[token] = self.entries[token].highest_quiet()
        watch = self._watched(token)
        if watch:
            watch.low, watch.high = self._range(token)
        elif token not in self._resumed:
            self._set_range(token, *self._range(token))

    def _set_range(self, token: int, low: float, high: float) -> None:
        self._low[token], self._high[token] = low, high
