"""A limit of Telegram as a window of slots: each is free, taken, or cooling until a moment."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from runtime.limit import Limit


class Window:
    """Times are of one monotonic clock."""

    __slots__ = ("_cooling", "_cooling_of_others", "period_s", "slots", "taken")

    def __init__(self, limit: Limit) -> None:
        self.slots = limit.slots
        self.period_s = limit.period_s
        self.taken = 0
        self._cooling: list[float] = []
        self._cooling_of_others: list[float] = []
        """Slots that are used up here, too, by requests that others have made."""

    def in_use(self, now: float) -> int:
        """Count the slots that are taken or cooling; after `slots` was lowered there may be more of them."""
        while self._cooling and self._cooling[0] <= now:
            heappop(self._cooling)
        while self._cooling_of_others and self._cooling_of_others[0] <= now:
            heappop(self._cooling_of_others)
        return self.taken + len(self._cooling) + len(self._cooling_of_others)

    def has_room(self, now: float, spared: int = 0) -> bool:
        """Whether more slots are free than are to be `spared`."""
        return self.in_use(now) + spared < self.slots

    def give_back(self, answered_at: float | None) -> None:
        """End a use of a slot; with `None` nothing was sent, so nothing needs to cool."""
        self.taken -= 1
        if answered_at is not None:
            heappush(self._cooling, answered_at + self.period_s)

    def add(self, answered_at: Iterable[float]) -> None:
        """Count requests that somebody else has made."""
        for at in answered_at:
            heappush(self._cooling_of_others, at + self.period_s)

    def answered_at(self, now: float) -> list[float]:
        """Tell when those of our own requests were answered whose slots are cooling."""
        return [until - self.period_s for until in self._cooling if until > now]

    def next_free_at(self) -> float | None:
        """Tell when the first slot has cooled; `None` when none is cooling."""
        return min((times[0] for times in (self._cooling, self._cooling_of_others) if times), default=None)

    def cooled_at(self) -> float | None:
        """Tell when the last of the slots that cool now has cooled; `None` when none is cooling."""
        return max([*self._cooling, *self._cooling_of_others], default=None)


OVERALL = Limit(30, 1.0)


PRIVATE = Limit(1, 1.0)


GROUP = Limit(20, 60.0)
