"""What the prices of one watched token are worth: the same confirmation against wicks that milestones need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from domain.tracking.confirmation import (
    CONFIRM_TICKS,
    GAP_S,
    LIQUIDITY_FRESH_S,
    MAX_PRICE_USD,
    MIN_PRICE_USD,
    Level,
    Tick,
    fallen_to,
    is_absurd,
    is_near,
    pays,
    reached,
)
from domain.tracking.doubts import Doubts, Said

SUPPLY_MOVES_BY: Final = 1.5
"""A market cap that says another supply than before, by more than this factor, has to be said twice."""


class Levels(NamedTuple):
    """What is confirmed by now; `None`: nothing is."""

    risen: Level | None
    """The price was at least this."""
    fallen: Level | None
    """It was at most this."""
    gap_from: float | None
    """Before them nobody had looked since then."""


_NOTHING: Final = Levels(None, None, None)


class Reading(NamedTuple):
    price_usd: float
    at: float
    """Unix time."""
    source: int
    liquidity_usd: float | None = None
    market_cap_usd: float | None = None


@dataclass(slots=True)
class Evidence:
    """`price_usd` and `at` are 0 before the first reading."""

    price_usd: float = 0.0
    at: float = 0.0
    settled_usd: float | None = None
    """The latest price that two readings agree on."""
    liquidity_usd: float | None = None
    liquidity_at: float = -math.inf
    supply: float | None = None
    """Market cap by price."""
    source: int = -1
    gap_from: float | None = None
    _supply_heard: float | None = None
    _ticks: list[Tick] = field(default_factory=list[Tick])
    _doubts: Doubts = field(default_factory=Doubts)

    @property
    def market_cap_usd(self) -> float | None:
        return self.price_usd * self.supply if self.supply and self.price_usd else None

    def take(self, reading: Reading) -> Levels:
        """Take in a reading; one that is older than the latest, or no price, counts for nothing."""
        price, at = reading.price_usd, reading.at
        if not MIN_PRICE_USD <= price <= MAX_PRICE_USD or not math.isfinite(at) or at < self.at:
            return _NOTHING
        absurd = self.settled_usd is not None and is_absurd(price, self.settled_usd)
        doubted = self._doubt(Said(price, at, reading.source)) or absurd
        if absurd and not pays(reading.liquidity_usd):
            return _NOTHING
        if reading.liquidity_usd is not None:
            self.take_liquidity(reading.liquidity_usd, at)
        self._take_supply(reading)
        if (price, at, reading.source) == (self.price_usd, self.at, self.source):
            return _NOTHING
        return self._weigh(reading, doubted=doubted)

    def take_liquidity(self, liquidity_usd: float, at: float) -> None:
        if at >= self.liquidity_at:
            self.liquidity_usd, self.liquidity_at = liquidity_usd, at

    def _weigh(self, reading: Reading, *, doubted: bool) -> Levels:
        price, at, source = reading.price_usd, reading.at, reading.source
        after_gap = self.at > 0 and at - self.at > GAP_S
        if after_gap:
            self.gap_from = self.at
            self._ticks.clear()
        self._settle(price, source, doubted=doubted)
        self.price_usd, self.at, self.source = price, at, source
        self._ticks.append(Tick(price, at, source, 0, after_gap, doubted))
        del self._ticks[:-CONFIRM_TICKS]
        is_fresh = at - self.liquidity_at <= LIQUIDITY_FRESH_S
        risen = reached(self._ticks, carried=pays(self.liquidity_usd) if is_fresh else None)
        return Levels(risen, fallen_to(self._ticks), self.gap_from)

    def _doubt(self, said: Said) -> bool:
        if self.settled_usd is None:
            return False
        return self._doubts.hear(said, Said(self.price_usd, self.at, self.source), self.settled_usd)

    def _settle(self, price: float, source: int, *, doubted: bool) -> None:
        """A doubted price needs one of another source before it that agrees."""
        if not self.price_usd:
            return
        agrees = is_near(price, self.price_usd) and not (doubted and source == self.source)
        if agrees or (self.settled_usd is not None and is_near(price, self.settled_usd)):
            self.settled_usd = price

    def _take_supply(self, reading: Reading) -> None:
        if not reading.market_cap_usd or not math.isfinite(reading.market_cap_usd):
            return
        supply = reading.market_cap_usd / reading.price_usd
        known = (self.supply, self._supply_heard)
        if self.supply is None or any(one and 1 / SUPPLY_MOVES_BY <= supply / one <= SUPPLY_MOVES_BY for one in known):
            self.supply = supply
        self._supply_heard = supply
