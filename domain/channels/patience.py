"""How long a channel is left alone that could not be read, or that took long: little at first, longer each time."""

from __future__ import annotations

from typing import Final

FIRST_FAILED_S: Final = 5.0
FAILED_AGAIN_S: Final = 30.0
FIRST_CLOSED_S: Final = 60.0
CLOSED_AGAIN_S: Final = 900.0
DOUBTED: Final = frozenset({"moved", "replaced"})
"""What is believed of a channel once it was seen twice."""
DOUBTED_AGAIN_S: Final = 5.0
SLOW_S: Final = 3.0
"""A page that takes so long keeps others from being asked for."""
SLOW_TIMES: Final = 3.0
"""So many times as long as it took, a slow channel waits, and twice as long each time that it gives nothing."""
SLOW_AGAIN_S: Final = 300.0
_DOUBLINGS: Final = 10


class Patience:
    """Of one channel."""

    def __init__(self) -> None:
        self._failures = 0
        self._closures = 0
        self._said: tuple[str, str | None] | None = None
        self.is_slow = False
        """It took long the last time."""
        self.slow_wait_s = 0.0
        """So long it waits for that."""

    def read(self) -> None:
        """A page was read."""
        self._failures = self._closures = 0
        self._said = None

    def took(self, seconds: float) -> None:
        """Note how long the other side took, before `read` or `failed` is told."""
        self.is_slow = seconds >= SLOW_S
        longer = SLOW_TIMES * seconds * 2 ** min(self._failures, _DOUBLINGS)
        self.slow_wait_s = min(SLOW_AGAIN_S, longer) if self.is_slow else 0.0

    def failed(self) -> float:
        self._failures += 1
        return FIRST_FAILED_S if self._failures == 1 else FAILED_AGAIN_S

    def closed(self) -> float:
        self._closures += 1
        return min(CLOSED_AGAIN_S, FIRST_CLOSED_S * 2 ** min(self._closures - 1, _DOUBLINGS))

    def doubts(self, why: str, now: str | None) -> bool:
        """Whether this is to be heard a second time: one page of another channel may be some cache's mistake."""
        if why not in DOUBTED or self._said == (why, now):
            return False
        self._said = (why, now)
        return True
