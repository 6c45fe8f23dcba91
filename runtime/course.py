"""For fault tests: which time it is to be, as a file says that several processes of one machine read.

The file holds one line: seconds that are added to the machine's clock; or how fast time runs, from when on, and up to
when (`Course`). Bot and sandbox then see a month pass in minutes. Redis and PostgreSQL keep their own clocks, so what
they end by themselves ends later than it should: the bot has to look itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Self

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LOOK_EVERY_NS: Final = 100_000_000
_LOOK_OFTEN_NS: Final = 1_000_000
"""Where time runs fast, a tenth of a second is an hour."""
_FOREVER_NS: Final = 2**63 - 1


class Course(NamedTuple):
    """Nanoseconds of Unix time. When the machine's clock shows `since_ns`, it is `began_ns`."""

    began_ns: int
    since_ns: int
    rate: float
    until_ns: int = _FOREVER_NS
    """Then time stands still, until the file says something else."""

    @classmethod
    def shifted(cls, ahead_s: float) -> Self:
        return cls(int(ahead_s * 1e9), 0, 1.0)

    @property
    def is_fast(self) -> bool:
        return self.rate != 1.0

    def at_ns(self, machine_ns: int) -> int:
        """What time it is when the machine's clock shows that."""
        passed_ns = machine_ns - self.since_ns
        if self.is_fast:
            passed_ns = int(passed_ns * self.rate)
        return min(self.until_ns, self.began_ns + passed_ns)

    def line(self) -> str:
        return f"{self.began_ns} {self.since_ns} {self.rate!r} {self.until_ns}\n"


def read_course(text: str) -> Course:
    """Raises `ValueError` or `OverflowError` for what is none."""
    words = text.split()
    if len(words) == len(Course._fields):
        began, since, rate, until = words
        return Course(int(began), int(since), float(rate), int(until))
    return Course.shifted(float(text))


class FileTime:
    """Call it for Unix time in nanoseconds, by the machine's clock and a file; no file changes nothing."""

    def __init__(self, path: Path, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        self._path = path
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._course = Course.shifted(0.0)
        self._look_at_ns: int | None = None

    def __call__(self) -> int:
        now_ns = self._monotonic_ns()
        if self._look_at_ns is None or now_ns >= self._look_at_ns:
            self._look()
            self._look_at_ns = now_ns + (_LOOK_OFTEN_NS if self._course.is_fast else _LOOK_EVERY_NS)
        return self._course.at_ns(self._wall_ns())

    @property
    def rate(self) -> float:
        """How many seconds pass in one; 1 for a clock that is only shifted."""
        self()
        return self._course.rate

    def _look(self) -> None:
        try:
            self._course = read_course(self._path.read_text("utf-8"))
        except FileNotFoundError:
            self._course = Course.shifted(0.0)
        except (OSError, ValueError, OverflowError) as error:
            # It is being written just now: what stood there before holds until it can be read.
            log.warning("fault_clock_unreadable", path=str(self._path), reason=repr(error))
