"""A limit per minute, spread over the minute: asked all at once, every price would age until the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_BURST_SHARE: Final = 0.1
_ROUNDING: Final = 1e-9


class Pace:
    """Generic cell rate: a tenth of the requests of a period at once, the others evenly."""

    def __init__(self, requests: int, period_s: float, *, clock: Callable[[], float]) -> None:
        self._interval_s = period_s / requests
        self._burst = max(1, math.floor(requests * _BURST_SHARE))
        self._clock = clock
        self._due_s = -math.inf
        """When everything that was taken would have been asked at an even pace."""

    def free(self) -> int:
        behind_s = max(0.0, self._due_s - self._clock())
        return max(0, math.floor(self._burst - behind_s / self._interval_s + _ROUNDING))

    def wait_s(self) -> float:
        """0 when there is room, else how long until there is."""
        if self.free() > 0:
            return 0.0
        return max(0.0, self._due_s - self._clock() - (self._burst - 1) * self._interval_s)

    def take(self, requests: int) -> None:
        self._due_s = max(self._due_s, self._clock()) + requests * self._interval_s
