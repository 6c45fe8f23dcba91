"""What is kept of a token whose latest ticks may come to something, and how many ticks counted for nothing."""

from __future__ import annotations

from dataclasses import dataclass

from domain.tracking.confirmation import Tick
from domain.tracking.doubts import Doubts, Said, is_off


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
class Watch:
    """The token's range is here while no tick of it is quiet."""

    low: float
    high: float
    settled: float
    """The latest price that two ticks agreed on."""
    ticks: list[Tick]
    """The latest that were not quiet, at most `CONFIRM_TICKS`."""
    doubts: Doubts | None = None

    def is_regular(self, price: float, entries: int) -> bool:
        """Whether its ticks follow each other up to this price, and all of so many entries have seen each of them."""
        if self.doubts is not None or self.settled != price or not self.ticks:
            return False
        return not any(tick.entries != entries or tick.doubted or tick.after_gap for tick in self.ticks)

    def hear(self, said: Said, before: Said) -> bool:
        """Whether another source has to agree with it."""
        if self.doubts is None:
            if not is_off(said, before, self.settled):
                return False
            self.doubts = Doubts()
        is_doubted = self.doubts.hear(said, before, self.settled)
        self.doubts = self.doubts or None
        return is_doubted
