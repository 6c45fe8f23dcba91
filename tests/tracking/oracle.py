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
    MOVED_BY,
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
    doubted: bool


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
    moved: tuple[float, float] = (1.0, 0.0)
    """From where it has not moved since, but for rounding."""
    wick: float = 0.0
    off: dict[int | None, float] = field(default_factory=dict[int | None, float])
    """Source that is not believed by itself -> when another one spoke last, or it was off."""
    ticks: list[PlainTick] = field(default_factory=list[PlainTick])
    entries: list[PlainEntry] = field(default_factory=list[PlainEntry])

    def update(self, price: float, at: float, source: int, liquidity: float | None) -> list[Crossing]:
        if not MIN_PRICE_USD <= price <= MAX_PRICE_USD or not math.isfinite(at) or at < self.at:
            return []
        absurd = is_far(price, self.settled)
        doubted = self.doubts(price, at, source) or absurd
        if absurd and (liquidity is None or not liquidity >= MIN_LIQUIDITY_USD):
            return []
        if liquidity is not None and 0 <= liquidity <= 1e15 and at >= self.liquidity_at:
            self.liquidity, self.liquidity_at = liquidity, at
        if (at, price, source) == (self.at, self.price, self.source):
            return []
        tick = PlainTick(price, at, source, self.resumed or at - self.at > GAP_S, doubted)
        agrees_with_last = are_near(price, self.price) and not (doubted and source == self.source)
        if agrees_with_last or are_near(price, self.settled):
            self.settled = price
            self.wick = max(self.wick, price)
        elif not doubted:
            self.wick = max(self.wick, price)
        if tick.after_gap:
            self.gap = (min(self.gap[0], self.at) if self.gap else self.at, at)
            self.forget_evidence()
        if abs(price / self.moved[0] - 1) > MOVED_BY:
            self.moved = price, at
        self.price, self.at, self.source, self.resumed = price, at, source, False
        self.ticks.append(tick)
        level = self.highest(self.ticks)
        if level:
            self.ath = max(self.ath, level[0])
        return [crossing for entry in self.entries for crossing in self.show(entry, tick)]

    def doubts(self, price: float, at: float, source: int) -> bool:
        """Whether the source is not believed by itself."""
        others_agree = source != self.source and are_near(price, self.price)
        contradicts = source != self.source and is_far(price, self.price) and not are_near(price, self.settled)
        if others_agree:
            self.off.pop(self.source, None)
        elif is_far(price, self.settled) or contradicts:
            self.off[source] = at
        elif are_near(price, self.settled) and at - self.off.get(source, at) > GAP_S:
            del self.off[source]
        self.off |= {other: at for other in self.off if other != source}
        return source in self.off

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


def are_near(price: float, other: float) -> bool:
    return 1 / NEAR <= price / other <= NEAR


def is_far(price: float, other: float) -> bool:
    return price / other >= ABSURD or price / other <= 1 / ABSURD


def ends_of(ticks: list[PlainTick]) -> list[list[PlainTick]]:
    return [ticks[-length:] for length in range(2, min(len(ticks), CONFIRM_TICKS) + 1)]


def is_enough(end: list[PlainTick], *, one_source_will_do: bool) -> bool:
    *others, last = end
    for other in others:
        doubted = other.doubted or last.doubted
        if other.source != last.source and (not doubted or are_near(other.price, last.price)):
            return True
    if any(tick.doubted for tick in end) or not one_source_will_do:
        return False
    return len(end) >= CONFIRM_TICKS or end[-1].at - end[0].at >= CONFIRM_S
