"""A clock that bot and sandbox share, and that runs as fast as whoever plays lets it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from runtime.course import Course

_SEEN_WITHIN_S: Final = 0.002
"""So long after it was written everybody goes by it."""


class FastClock:
    """Stands still until it is told to run, up to a time."""

    def __init__(self, path: Path, *, rate: float, began: datetime | None = None) -> None:
        """Without `began`, it is now."""
        self.path = path
        self._rate = rate
        began_s = int(time.time() if began is None else began.timestamp())
        began_ns = began_s * 1_000_000_000
        self.began_s = began_ns / 1e9
        self._course = Course(began_ns, time.time_ns(), rate, began_ns)
        self._write()

    def time(self) -> float:
        return self._course.at_ns(time.time_ns()) / 1e9

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    async def run_to(self, at_s: float) -> None:
        """Let it run up to this time, for everybody; then it stands."""
        machine_ns = time.time_ns()
        began_ns = self._course.at_ns(machine_ns)
        self._course = Course(began_ns, machine_ns, self._rate, max(began_ns, int(at_s * 1e9)))
        self._write()
        await asyncio.sleep(max(0.0, at_s - began_ns / 1e9) / self._rate + _SEEN_WITHIN_S)

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(self._course.line(), "utf-8")
        new.replace(self.path)
