"""The highest market cap of a token since any moment, from its price ticks, in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from datetime import datetime
from typing import Final

from domain.calls.events import PriceTick

MAX_TOKENS: Final = 20_000
MAX_STEPS: Final = 128


class _Steps:
    """Ticks that no later one has reached: times grow, values fall. The first one since a moment is its peak."""

    __slots__ = ("times_s", "values")

    def __init__(self) -> None:
        self.times_s = array("d")
        self.values = array("d")

    def add(self, at_s: float, value: float) -> None:
        if self.times_s and at_s < self.times_s[-1]:
            return
        while self.values and self.values[-1] <= value:
            self.values.pop()
            self.times_s.pop()
        self.values.append(value)
        self.times_s.append(at_s)
        if len(self.values) > MAX_STEPS:
            self._forget_one()

    def highest(self, since_s: float) -> float | None:
        place = bisect_left(self.times_s, since_s)
        return self.values[place] if place < len(self.values) else None

    def _forget_one(self) -> None:
        """Drop the inner step whose neighbours are closest by ratio: what was dropped between them stays near."""
        values = self.values
        nearest = max(range(1, len(values) - 1), key=lambda place: values[place + 1] / values[place - 1])
        del values[nearest], self.times_s[nearest]


class TokenPeaks:
    """At most 20,000 tokens; those that traded least recently are forgotten first."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self._max_tokens = max_tokens
        self._tokens: OrderedDict[str, _Steps] = OrderedDict()

    def take_in(self, tick: PriceTick) -> None:
        """Ticks of one token come in the order of their times; an older one is ignored."""
        if tick.market_cap_usd is None:
            return
        steps = self._tokens.get(tick.token_address)
        if steps is None:
            steps = self._tokens[tick.token_address] = _Steps()
            if len(self._tokens) > self._max_tokens:
                self._tokens.popitem(last=False)
        else:
            self._tokens.move_to_end(tick.token_address)
        steps.add(tick.at.timestamp(), tick.market_cap_usd)

    def highest(self, address: str, since: datetime) -> float | None:
        """US dollars; `None` where no tick is known since then. Never too high; a little too low within a long fall."""
        steps = self._tokens.get(address)
        return None if steps is None else steps.highest(since.timestamp())
