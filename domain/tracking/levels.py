"""What the levels of many tokens do to their entries: which rungs are reached, and at which level each of them.

Every entry of these tokens has seen every level.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.tracking.columns import Flags, Floats, Tokens
from domain.tracking.crossings import Crossings
from domain.tracking.entries import ABOVE, BELOW, Pool
from domain.tracking.ladder import DOWN_STEPS, UP_STEPS, Counts, downs_reached, ups_reached
from domain.tracking.watching import Watching

Numbers = npt.NDArray[np.intp]
Found = tuple[int, Crossings]
"""Row of the tick that confirmed it, and what was reached."""


class Levels(NamedTuple):
    """Those of a token stand together, each farther than the one before."""

    tokens: Tokens
    prices: Floats
    reached_at: Floats
    confirmed_at: Floats
    rows: Numbers
    """Of the ticks that confirmed them."""

    def ends(self) -> tuple[Numbers, Numbers]:
        """Where the levels of each token begin, and the place of its farthest one."""
        return _stretches(self.tokens[1:] != self.tokens[:-1])


class _Scan(NamedTuple):
    """All entries of some tokens, one token after the other."""

    places: Numbers
    """In the pool."""
    starts: Numbers
    """Where those of each token begin."""
    owner: Numbers
    """Which of the tokens each is of."""


class _Candidates(NamedTuple):
    """Entries that may reach a rung, at levels from `first` to `last`."""

    places: Numbers
    first: Numbers
    last: Numbers
    prices: Floats
    before: Numbers
    """How many rungs they have reached."""


def take_rises(watching: Watching, levels: Levels) -> list[Found]:
    first, last = levels.ends()
    _raise_peaks(watching, levels.tokens[last], levels.prices[last], levels.reached_at[last])
    lowest = watching.columns.view("next_up")
    some = levels.prices[last] >= lowest[levels.tokens[last]]
    if not some.any():
        return []
    first, last = first[some], last[some]
    scan, next_up = _scan(watching, levels.tokens[last]), watching.pool.columns["next_up"]
    of_scan = next_up[scan.places]
    chosen = (of_scan <= levels.prices[last].astype(np.float32)[scan.owner]).nonzero()[0]
    candidates = _candidates(watching.pool, scan, chosen, first, last, "ups")
    after = ups_reached(levels.prices[candidates.last] / candidates.prices)
    of_scan[chosen] = candidates.prices * UP_STEPS[after] * BELOW
    next_up[candidates.places] = of_scan[chosen]
    watching.pool.columns["ups"][candidates.places] = after
    lowest[levels.tokens[last]] = np.minimum.reduceat(of_scan, scan.starts)
    return _crossings(watching.pool, levels, candidates, after, is_up=True)


def take_falls(watching: Watching, levels: Levels) -> tuple[list[Found], Floats]:
    """And for each token the price above which none of its entries reaches a further rung."""
    first, last = levels.ends()
    scan, downs = _scan(watching, levels.tokens[last]), watching.pool.columns["downs"]
    next_down = watching.pool.columns["price"][scan.places] * DOWN_STEPS.take(downs[scan.places], mode="clip")
    chosen = (next_down >= (levels.prices[last] * BELOW)[scan.owner]).nonzero()[0]
    candidates = _candidates(watching.pool, scan, chosen, first, last, "downs")
    after = downs_reached(levels.prices[candidates.last] / candidates.prices)
    downs[candidates.places] = after
    next_down[chosen] = candidates.prices * DOWN_STEPS[after]
    low = np.maximum.reduceat(next_down, scan.starts) * ABOVE
    return _crossings(watching.pool, levels, candidates, after, is_up=False), low


def _raise_peaks(watching: Watching, tokens: Tokens, prices: Floats, ats: Floats) -> None:
    ath, ath_at = watching.columns.view("ath"), watching.columns.view("ath_at")
    higher = prices > ath[tokens]
    ath[tokens[higher]], ath_at[tokens[higher]] = prices[higher], ats[higher]
    for token, price, at in _lists(tokens, prices, ats):
        count = watching.entries[token].count
        watching.peaks[token].raise_to(price, at, count, count)


def _scan(watching: Watching, tokens: Tokens) -> _Scan:
    """Each of these tokens has an entry, as none without one has a rung to reach."""
    some = [watching.entries[token] for token in tokens.tolist()]
    counts = np.array([entries.count for entries in some])
    starts = counts.cumsum() - counts
    owner = np.repeat(np.arange(len(some)), counts)
    places = np.repeat(np.array([entries.start for entries in some]) - starts, counts)
    places += np.arange(len(owner))
    return _Scan(places, starts, owner)


def _candidates(pool: Pool, scan: _Scan, chosen: Numbers, first: Numbers, last: Numbers, rungs: str) -> _Candidates:
    places, owner = scan.places[chosen], scan.owner[chosen]
    before = pool.columns[rungs][places].astype(np.intp)
    return _Candidates(places, first[owner], last[owner], pool.columns["price"][places], before)


def _lists(*columns: npt.NDArray[Any]) -> zip[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _crossings(pool: Pool, levels: Levels, candidates: _Candidates, after: Counts, *, is_up: bool) -> list[Found]:
    """Each rung at the first level that reaches it; rungs of an entry at the same level together."""
    before = candidates.before
    reps = np.maximum(after - before, 0)
    owner = np.repeat(np.arange(len(reps)), reps)
    if not len(owner):
        return []
    rung = np.arange(len(owner)) - (reps.cumsum() - reps - before)[owner]
    level = _first_levels(levels.prices, candidates, owner, rung, is_up=is_up)
    by_level = level.astype(np.min_scalar_type(len(levels.prices))).argsort(kind="stable")  # quicker for few bits
    level, owner, rung = level[by_level], owner[by_level], rung[by_level]
    heads, tails = _stretches((level[1:] != level[:-1]) | (owner[1:] != owner[:-1]))
    level, owner = level[heads], owner[heads]
    ids, channels = (pool.columns[name][candidates.places[owner]] for name in ("id", "channel"))
    reached, reach = rung[heads].astype(np.uint8), (rung[tails] + 1).astype(np.uint8)
    starts, lasts = _stretches(level[1:] != level[:-1])
    level = level[starts]
    of_levels = (levels.tokens, levels.prices, levels.reached_at, levels.confirmed_at, levels.rows)
    found: list[Found] = []
    for start, end, token, price, reached_at, confirmed_at, row in _lists(
        starts, lasts + 1, *(column[level] for column in of_levels)
    ):
        these = slice(start, end)
        columns = ids[these], channels[these], reached[these], reach[these]
        found.append((row, Crossings(token, is_up, price, reached_at, confirmed_at, False, *columns)))
    return found


def _stretches(breaks: Flags) -> tuple[Numbers, Numbers]:
    """Where they begin and end, if each break is between two places."""
    at = breaks.nonzero()[0]
    return np.concatenate(([0], at + 1)), np.append(at, len(breaks))


def _first_levels(prices: Floats, candidates: _Candidates, owner: Numbers, rung: Numbers, *, is_up: bool) -> Numbers:
    """The first level with which each of these entries reaches this rung; with its last one it does."""
    low, high = candidates.first[owner], candidates.last[owner]
    searched = (low < high).nonzero()[0]
    first, last = low[searched], high[searched]
    price, edge = candidates.prices[owner[searched]], (UP_STEPS if is_up else DOWN_STEPS)[rung[searched]]
    reaches = np.greater_equal if is_up else np.less_equal
    while (first < last).any():
        middle = (first + last) >> 1
        does = reaches(prices[middle] / price, edge)
        last = np.where(does, middle, last)
        first = np.where(does, first, np.minimum(middle + 1, last))
    low[searched] = first
    return low
