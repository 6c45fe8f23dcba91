"""How fast the time of pauses runs: as everybody's, or, for fault tests, so many times faster.

The watchdog's limit and the pauses of the jobs that it watches shrink together, so a test sees in seconds what takes
minutes. Time-outs towards other servers stay as they are.
"""

from __future__ import annotations

from typing import Final


class Pace:
    def __init__(self) -> None:
        self.factor = 1.0

    def seconds(self, duration_s: float) -> float:
        """Return how long this takes at the pace of this process."""
        return duration_s / self.factor


pace: Final = Pace()
"""The pace of this process."""
