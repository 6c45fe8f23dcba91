"""How often each channel is looked at, when there are more of them than requests.

A post is seen half an interval late on average. What makes the sum of that least within so many requests a second are
intervals that go with one over the square root of how often a channel posts (J. Cho, H. Garcia-Molina, "Effective page
refresh policies for web crawlers", 2003, for the age of what changes by chance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

HALF_LIFE: Final = timedelta(hours=6)
"""So long ago a post counts half for how often its channel posts."""
PRIOR_POSTS: Final = 0.5
"""By so much a channel is credited from the start: one that was never heard of may post at any moment."""
_STEPS: Final = 60


class PostRate:
    """How often one channel posts by its latest posts, the later counting more."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._at: datetime | None = None

    @property
    def is_unknown(self) -> bool:
        """No post was noted yet."""
        return self._at is None

    def note(self, posted_at: datetime) -> None:
        if self._at is None or posted_at >= self._at:
            self._weight = self._left(posted_at) + 1.0
            self._at = posted_at
        else:
            self._weight += 0.5 ** ((self._at - posted_at) / HALF_LIFE)

    def per_s(self, now: datetime) -> float:
        """Above zero."""
        return (self._left(now) + PRIOR_POSTS) * math.log(2) / HALF_LIFE.total_seconds()

    def _left(self, now: datetime) -> float:
        if self._at is None:
            return 0.0
        return self._weight * 0.5 ** (max(timedelta(0), now - self._at) / HALF_LIFE)


def intervals_s(
    rates_per_s: Mapping[str, float], *, requests_per_s: float, at_least_s: float, at_most_s: float
) -> dict[str, float]:
    """Return seconds between two looks at each channel, which together need at most `requests_per_s`.

    `at_most_s` gives way where even that is too often for so many channels.
    """
    if not rates_per_s:
        return {}
    at_most_s = max(at_most_s, at_least_s, len(rates_per_s) / requests_per_s)

    def spread(scale: float) -> dict[str, float]:
        return {name: min(at_most_s, max(at_least_s, scale / math.sqrt(rate))) for name, rate in rates_per_s.items()}

    low, high = 0.0, at_most_s * math.sqrt(max(rates_per_s.values()))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        needed = sum(1.0 / interval for interval in spread(middle).values())
        low, high = (middle, high) if needed > requests_per_s else (low, middle)
    return spread(high)
