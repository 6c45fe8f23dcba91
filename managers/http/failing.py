"""For how long somebody has answered nothing that is of use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SURE_FROM: Final = 3
"""Failures: of fewer nothing follows, however long they lie apart."""


@dataclass(slots=True)
class Failing:
    """Counted from the first failure since the last good answer. Times are monotonic seconds."""

    count: int = 0
    since: float = 0.0
    last_at: float = 0.0
    answered_at: float | None = None

    def answered(self, now: float) -> None:
        self.count, self.answered_at = 0, now

    def failed(self, now: float) -> bool:
        """Return whether this is the first one in a row."""
        if self.count == 0:
            self.since = now
        self.count, self.last_at = self.count + 1, now
        return self.count == 1

    @property
    def for_s(self) -> float:
        """From the first failure in a row to the last one: what is not asked does not go on failing."""
        return self.last_at - self.since if self.count >= _SURE_FROM else 0.0
