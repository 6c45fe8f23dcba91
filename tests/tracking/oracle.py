"""What the tracker does, said plainly: one object for each entry, every tick kept, every rung asked each time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from domain.tracking.confirmation import (
    ABSURD,
    CONFIRM_S,
    CONFIRM_TICKS,
    GAP_S,
    LIQUIDITY_FRESH_S,
    MAX_PRICE_USD,
    MIN_LIQUIDITY_USD,
    MIN_PRICE_USD,
    NEAR,
)
from domain.tracking.crossings import Crossing
from domain.tracking.ladder import DOWNS, UPS


@dataclass
class PlainTick:
    price: float
    at: float
    source: int
    after_gap: bool
    absurd: bool


@dataclass
class PlainEntry:
    id: int
    channel: int
    price: float
    called_at: float
    late: bool
    peak: float
    peak_at: float
    reached: set[float] = field(default_factory=set[float])
    ticks: list[PlainTick] = field(default_factory=list[PlainTick])


@dataclass
class PlainToken:
    number: int
    price: float
    at: float
    ath: float
    source: int | None = None
    settled: float = 0.0
    liquidity: float | None = None
    liquidity_at: float = 0.0
    gap: tuple[float, float] | None = None
    resumed: bool = False
    wick: float = 0.0
    ticks: list[PlainTick] = field(default_factory=list[PlainTick])
    entries: list[PlainEntry] = field(default_factory=list[PlainEntry])

    def update(self, price: float, at: float, source: int, liquidity: float | None) -> list[Crossing]:
        if not MIN_PRICE_USD <= price <= MAX_PRICE_USD or not math.isfinite(at) or at < self.at:
            return []
        ratio = price / self.settled
        absurd = ratio >= ABSURD or ratio <= 1 / ABSURD
        if absurd and (liquidity is None or not liquidity >= MIN_LIQUIDITY_USD):
            return []
        if liquidity is not None and 0 <= liquidity <= 1e15 and at >= self.liquidity_at:
            self.liquidity, self.liquidity_at = liquidity, at
        if (at, price, source) == (self.at, self.price, self.source):
            return []
        tick = PlainTick(price, at, source, self.resumed or at - self.at > GAP_S, absurd)
        agrees_with_last = 1 / NEAR <= price / self.price <= NEAR
        if (
            (agrees_with_last and source != self.source)
            if absurd
            else (agrees_with_last or 1 / NEAR <= price / self.settled <= NEAR)
        ):
            self.settled = price
            self.wick = max(self.wick, price)
        elif not absurd:
            self.wick = max(self.wick, price)
        if tick.after_gap:
            self.gap = (min(self.gap[0], self.at) if self.gap else self.at, at)
            self.forget_evidence()
        self.price, self.at, self.source, self.resumed = price, at, source, False
        self.ticks.append(tick)
        level = self.highest(self.ticks)
        if level:
            self.ath = max(self.ath, level[0])
        return [crossing for entry in self.entries for crossing in self.show(entry, tick)]

    def show(self, entry: PlainEntry, tick: PlainTick) -> list[Crossing]:
        entry.ticks.append(tick)
        found: list[Crossing] = []
        for level, rungs in ((self.highest(entry.ticks), UPS), (self.lowest(entry.ticks), DOWNS)):
            if level is None:
                continue
            price, first = level
            if rungs is UPS and price > entry.peak:
                entry.peak, entry.peak_at = price, first.at
            for rung in rungs:
                multiple = price / entry.price
                if (multiple >= rung if rung > 1 else multiple <= rung) and rung not in entry.reached:
                    entry.reached.add(rung)
                    found.append(
                        Crossing(self.number, entry.id, entry.channel, rung, price, first.at, tick.at, first.after_gap)
                    )
        return found

    def forget_evidence(self) -> None:
        self.ticks.clear()
        for entry in self.entries:
            entry.ticks.clear()

    def highest(self, ticks: list[PlainTick]) -> tuple[float, PlainTick] | None:
        known = self.liquidity if ticks[-1].at - self.liquidity_at <= LIQUIDITY_FRESH_S else None
        if known is not None and known < MIN_LIQUIDITY_USD:
            return None
        ends = [end for end in ends_of(ticks) if is_enough(end, one_source_will_do=known is not None)]
        return max(((min(t.price for t in end), end[0]) for end in ends), key=lambda found: found[0], default=None)

    def lowest(self, ticks: list[PlainTick]) -> tuple[float, PlainTick] | None:
        ends = [end for end in ends_of(ticks) if is_enough(end, one_source_will_do=True)]
        return min(((max(t.price for t in end), end[0]) for end in ends), key=lambda found: found[0], default=None)


def ends_of(ticks: list[PlainTick]) -> list[list[PlainTick]]:
    return [ticks[-length:] for length in range(2, min(len(ticks), CONFIRM_TICKS) + 1)]


def is_enough(end: list[PlainTick], *, one_source_will_do: bool) -> bool:
    if len({tick.source for tick in end}) > 1:
        return True
    if any(tick.absurd for tick in end) or not one_source_will_do:
        return False
    return len(end) >= CONFIRM_TICKS or end[-1].at - end[0].at >= CONFIRM_S
