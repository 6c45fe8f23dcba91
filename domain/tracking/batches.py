"""Ticks of many tokens at once: what `Watching.look` finds one after the other, found for all of them together.

Only for tokens whose ticks follow each other as those of a market do: near each other, none after a gap, repeated or
out of order, no source doubted, and evidence that every entry has seen. Others are left to be looked at one by one.

A tick within the range of its token need not end evidence here: it keeps each level that it is part of in that range.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.tracking.columns import BEFORE, Flags, Floats, Tokens
from domain.tracking.confirmation import (
    CONFIRM_S,
    GAP_S,
    LIQUIDITY_FRESH_S,
    MAX_PRICE_USD,
    MIN_LIQUIDITY_USD,
    MIN_PRICE_USD,
    MOVED_BY,
    NEAR,
    has_moved,
)
from domain.tracking.levels import Found, Levels, Numbers, take_falls, take_rises
from domain.tracking.watching import Watching

_BEFORE: Final = 2
"""So many ticks before the latest one can be part of what it confirms."""


class Ticks(NamedTuple):
    """Some rows of a batch; NaN where the liquidity is unknown."""

    rows: Numbers
    tokens: Tokens
    prices: Floats
    ats: Floats
    sources: npt.NDArray[np.uint16]
    liquidity_usd: Floats

    def only(self, chosen: npt.NDArray[Any]) -> Ticks:
        return Ticks(
            self.rows[chosen],
            self.tokens[chosen],
            self.prices[chosen],
            self.ats[chosen],
            self.sources[chosen],
            self.liquidity_usd[chosen],
        )


def look_at_many(watching: Watching, ticks: Ticks) -> tuple[list[Found], Ticks]:
    """What was found, and ticks that are left to be looked at one by one."""
    ticks = ticks.only(ticks.tokens.argsort(kind="stable"))
    market = _Market(watching, ticks)
    regular = market.regular()[market.of]
    if not regular.any():
        return [], ticks
    if not regular.all():
        market = _Market(watching, ticks.only(regular))
    return market.look(), ticks.only(~regular)


class _Market:
    """The ticks of each token stand together, in their order."""

    def __init__(self, watching: Watching, ticks: Ticks) -> None:
        self._watching, self._columns, self._ticks = watching, watching.columns, ticks
        begins = np.ones(len(ticks.rows), dtype=np.bool_)
        begins[1:] = ticks.tokens[1:] != ticks.tokens[:-1]
        self._starts = begins.nonzero()[0]
        self._lasts = np.append(self._starts[1:], len(begins)) - 1
        self._longest = int((self._lasts - self._starts).max()) + 1
        self._tokens = ticks.tokens[self._starts]
        self.of: Numbers = begins.cumsum() - 1
        """Which token of these each tick is of."""

    def _before(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The same of the tick before each."""
        before = np.empty_like(values)
        before[1:] = values[:-1]
        before[self._starts] = self._columns.view(name)[self._tokens]
        return before

    def regular(self) -> Flags:
        """Which tokens are."""
        ticks = self._ticks
        price, at = self._before("price", ticks.prices), self._before("at", ticks.ats)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            since, ratio = ticks.ats - at, ticks.prices / price
        good = (ticks.prices >= MIN_PRICE_USD) & (ticks.prices <= MAX_PRICE_USD)
        good &= (since >= 0) & (since <= GAP_S) & (ratio >= 1 / NEAR) & (ratio <= NEAR)
        good &= (since > 0) | (ticks.prices != price) | (ticks.sources != self._before("source", ticks.sources))
        regular = np.logical_and.reduceat(good, self._starts)
        odd = self._watching.put_back(self._tokens)
        return regular & ~np.isin(self._tokens, list(odd)) if odd else regular

    def look(self) -> list[Found]:
        low, high = self._row("low"), np.abs(self._row("high"))
        evidence = self._evidence()
        found: list[Found] = []
        up, down = self._levels(evidence)
        rises, highs = self._records(up[0], high[self.of])
        self._take_wicks(highs)
        if rises.any():
            levels = self._chosen(rises, *up)
            high[self.of[rises]] = levels.prices  # the last one of each token is its highest
            found += take_rises(self._watching, levels)
        with np.errstate(invalid="ignore"):
            deep = np.where(down[0] <= low[self.of], -down[0], -np.inf)
        falls, _ = self._records(deep, np.full(len(deep), -np.inf))
        if falls.any():
            some, lows = take_falls(self._watching, self._chosen(falls, *down))
            low[np.unique(self.of[falls])] = lows
            found += some
        self._settle(low, high, evidence)
        return found

    def _chosen(self, chosen: Flags, prices: Floats, reached_at: Floats) -> Levels:
        ticks = self._ticks
        return Levels(ticks.tokens[chosen], prices[chosen], reached_at[chosen], ticks.ats[chosen], ticks.rows[chosen])

    def _row(self, name: str) -> npt.NDArray[Any]:
        """Of each token."""
        return self._columns.view(name)[self._tokens]

    def _places(self) -> Numbers:
        """Of each tick, where every token has room for `_BEFORE` earlier ones."""
        return np.arange(len(self.of)) + _BEFORE * (self.of + 1)

    def _evidence(self) -> tuple[Floats, Floats, Floats]:
        """Prices, times and sources, with what came before in front of each token's; NaN where that was quiet."""
        places, ticks = self._places(), self._ticks
        size = len(places) + _BEFORE * len(self._starts)
        columns = np.full((3, size), np.nan)
        columns[:, places] = ticks.prices, ticks.ats, ticks.sources
        first = places[self._starts]
        columns[:, first - 2] = [self._row(name) for name in BEFORE]
        columns[:, first - 1] = [self._row(name) for name in ("price", "at", "source")]
        quiet = self._row("high") > 0
        columns[:, np.concatenate((first[quiet] - 1, first[quiet] - 2))] = np.nan
        return columns[0], columns[1], columns[2]

    def _levels(self, evidence: tuple[Floats, Floats, Floats]) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """What each tick confirms, upwards and downwards, and when that was reached; NaN for nothing."""
        places = self._places()
        (price, price_1, price_2), (at, at_1, at_2), (source, source_1, source_2) = (
            (column[places], column[places - 1], column[places - 2]) for column in evidence
        )
        poor, unknown = self._money()
        other: Flags = source != source_1
        two: Flags = other | (at - at_1 >= CONFIRM_S)
        two_up = other | (two & ~unknown)
        none_up = poor | (unknown & ~other & (source == source_2))
        low_2, high_2 = np.minimum(price, price_1), np.maximum(price, price_1)
        up = np.where(none_up, np.nan, np.where(two_up, low_2, np.minimum(low_2, price_2)))
        down = np.where(two, high_2, np.maximum(high_2, price_2))
        return (up, np.where(two_up, at_1, at_2)), (down, np.where(two, at_1, at_2))

    def _money(self) -> tuple[Flags, Flags]:
        """After which ticks the pool is known to carry nothing, and where nobody knows. Takes in what is said of it."""
        ticks, columns = self._ticks, self._columns
        liquidity, read_at = (columns.view(name)[self._tokens][self.of] for name in ("liquidity", "liquidity_at"))
        said = ~np.isnan(ticks.liquidity_usd)
        if said.any():
            of_said = np.logical_or.reduceat(said, self._starts)[self.of].nonzero()[0]
            rows = (column[of_said].tolist() for column in (ticks.tokens, ticks.liquidity_usd, ticks.ats))
            for place, token, liquidity_usd, at in zip(of_said.tolist(), *rows, strict=True):
                columns.take_liquidity(token, liquidity_usd, at)
                liquidity[place] = columns.floats["liquidity"][token]
                read_at[place] = columns.floats["liquidity_at"][token]
        unknown = ~(ticks.ats - read_at <= LIQUIDITY_FRESH_S) | np.isnan(liquidity)
        return ~unknown & (liquidity < MIN_LIQUIDITY_USD), unknown

    def _records(self, values: Floats, base: Floats) -> tuple[Flags, Floats]:
        """Which are higher than all before of their token and its `base`; and the highest of these. NaN is none."""
        highest, reach = np.fmax(values, base), 1
        while reach < self._longest:
            same = self.of[reach:] == self.of[:-reach]
            highest[reach:] = np.where(same, np.maximum(highest[reach:], highest[:-reach]), highest[reach:])
            reach *= 2
        before = np.empty_like(highest)
        before[1:] = highest[:-1]
        before[self._starts] = base[self._starts]
        return highest > before, before

    def _take_wicks(self, highs: Floats) -> None:
        """`highs`: up to where each tick was within the range of its token."""
        ticks, wick, wick_at = self._ticks, self._columns.view("wick"), self._columns.view("wick_at")
        wicks, _ = self._records(np.where(ticks.prices > highs, ticks.prices, np.nan), wick[ticks.tokens])
        wick[ticks.tokens[wicks]], wick_at[ticks.tokens[wicks]] = ticks.prices[wicks], ticks.ats[wicks]

    def _move(self) -> None:
        """Where a price is far from the one before, it has moved from whatever it was: only later ones are compared."""
        ticks, before, places = self._ticks, self._before("price", self._ticks.prices), np.arange(len(self.of))
        far = np.abs(ticks.prices - before) > 3 * MOVED_BY * before
        last = np.maximum.reduceat(np.where(far, places, -1), self._starts)
        moved, later = last[last >= 0], places > last[self.of]
        for name, values in (("moved_from", ticks.prices), ("moved_at", ticks.ats)):
            self._columns.view(name)[ticks.tokens[moved]] = values[moved]
        moved_from, moved_at = self._columns.floats["moved_from"], self._columns.floats["moved_at"]
        tokens: list[int] = ticks.tokens[later].tolist()
        for token, price, at in zip(tokens, ticks.prices[later].tolist(), ticks.ats[later].tolist(), strict=True):
            if has_moved(price, moved_from[token]):
                moved_from[token], moved_at[token] = price, at

    def _settle(self, low: Floats, high: Floats, evidence: tuple[Floats, Floats, Floats]) -> None:
        """What is known of the tokens themselves, and their evidence for later."""
        ticks, columns, tokens = self._ticks, self._columns, self._tokens
        self._move()
        for name, values in (("price", ticks.prices), ("at", ticks.ats), ("source", ticks.sources)):
            columns.view(name)[tokens] = values[self._lasts]
        lasts = self._places()[self._lasts]
        for name, values in zip(BEFORE, evidence, strict=True):
            columns.view(name)[tokens] = values[lasts - 1]
        last = ticks.prices[self._lasts]
        quiet = (low < last) & (last <= high)
        columns.view("low")[tokens], columns.view("high")[tokens] = low, np.where(quiet, high, -high)
