"""Places at which a fault test lets the process die, as by `kill -9`. Nothing ever happens unless one is armed."""

from __future__ import annotations

import os
import signal


class FaultPoints:
    def __init__(self) -> None:
        self._name = ""
        self._left = 0

    def arm(self, point: str) -> None:
        """`claimed` dies when that point is passed first, `claimed:3` when it is passed for the third time."""
        self._name, _, times = point.partition(":")
        self._left = int(times) if times.isdecimal() else 1

    def passed(self, name: str) -> None:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


points = FaultPoints()
fault_point = points.passed
"""Say that a point is passed; costs one comparison."""
