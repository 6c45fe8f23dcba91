"""What time it is, for the whole process: aware UTC that does not run backwards, but for a step that must be followed.

The machine's clock can be set while the bot works. The monotonic clock cannot, but says nothing about the date. So the
time shown is the monotonic clock plus an offset, and the offset follows the machine's clock:

- Up to `ABSORBED_S` off, either way (a correction over the network, a leap second): the offset moves by at most 5 % of
  the time that passes. The time shown never stands still and never runs backwards; ten seconds are made up in 200.
- Further off (a clock that was wrong was set, or a virtual machine slept): followed at once, forwards and backwards,
  logged as `clock_stepped` and counted. A clock that is hours off would be worse than one that steps: all calls would
  look stale, or none. This is the only way in which the time shown can run backwards.
- More than `TOLERANCE_S` away from the time that Telegram tells (`runtime.reference`): the machine's clock is wrong,
  wherever it stands and however it came there. The time shown is Telegram's until the machine's is right again. Before
  somebody has told what time it is (`is_sure`), the machine's clock is all there is: nothing is given up by it.

What that means for those who ask:

- Latencies: between two readings nothing but monotonic time passes (to 5 % while something is absorbed), so their
  difference needs no clock of its own. A call on its way over a step has a figure that is wrong by the step, once;
  a negative one counts as 0.
- Pauses, time-outs and lifetimes in memory take the monotonic clock itself: they must not last as long as a step.
- Age of an alert (`domain.calls.lifetimes.FRESH_FOR`): after a step forwards what waits counts as old and comes in a
digest;
  after one backwards it counts as younger than it is and is sent. Nothing is lost, nothing is sent twice.
- Digests: after a step forwards they come at once; after one backwards they wait until their time comes again.
- Paid time: after a step forwards whoever has run out by the new time leaves the matcher; after one backwards they
  have to be put back (see `steps_back`).
- The matcher (`domain.matching.matcher`): accepted pairs are never forgotten early by a step backwards, and a rejection
that
  seems to come from the future lasts an hour from then on, not longer.
- Redis and PostgreSQL end what they keep by their own clocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import structlog

from runtime.course import FileTime
from runtime.reference import RIGHT_AGAIN_S, TOLERANCE_S, Reference

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ABSORBED_S: Final = 10.0
SLEW_DIVISOR: Final = 20
"""One part in so many of the time that passes is the most that the offset moves: 5 %."""

_ABSORBED_NS: Final = int(ABSORBED_S * 1e9)
_SHOWN_NS: Final = 1_000
"""The time shown is in microseconds: the offset need not move for less, such as what lies between two readings."""
MOST_HURRY: Final = 200.0
"""By which factor a job looks more often at most, however fast the clock runs: it is to do something else, too."""
_MAX_TRIP_S: Final = 2.0
"""An answer that took longer was waited for at the other end, and dated when it left there."""
_from_timestamp: Final = datetime.fromtimestamp


class Clock:
    """Call it for the time. Anchored at the first call; for one thread, one per process (`now`)."""

    def __init__(
        self, *, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._offset_ns: int | None = None
        self._read_at_ns = 0
        self._reference = Reference()
        self._ahead_ns: int | None = None
        self._file_time: FileTime | None = None
        self._correction_ns = 0
        """Added to the machine's clock, which is wrong; 0 when it is not."""
        self.is_answered = False
        """Telegram has answered something, if only without a date."""
        self.steps_forward = 0
        self.steps_back = 0
        """Followed since the start of the process."""

    def __call__(self) -> datetime:
        monotonic_ns = self._monotonic_ns()
        offset_ns = self._offset_ns
        if offset_ns is None:
            offset_ns = self._offset()
        behind_ns = self._wall_ns() + self._correction_ns - monotonic_ns - offset_ns
        if not -_SHOWN_NS < behind_ns < _SHOWN_NS:
            monotonic_ns = self._follow(monotonic_ns, behind_ns)
            offset_ns = self._offset()
        self._read_at_ns = monotonic_ns
        # Whole microseconds survive the division until the year 2242.
        return _from_timestamp((monotonic_ns + offset_ns) // 1000 / 1e6, UTC)

    @property
    def is_sure(self) -> bool:
        """Whether somebody else has told what time it is, or there is nobody who would (an answer without a date)."""
        return self._ahead_ns is not None or (self.is_answered and self._reference.is_empty)

    @property
    def is_doubted(self) -> bool:
        """Whether the machine's clock was contradicted, and not often enough to be sure."""
        return self._ahead_ns is None and not self._reference.is_empty

    @property
    def ahead_s(self) -> float | None:
        """How much later the machine's clock is than the truth; `None` while there is nothing to hold it against."""
        return None if self._ahead_ns is None else self._ahead_ns / 1e9

    @property
    def wrong_by_s(self) -> float | None:
        """`ahead_s` of a clock that is wrong and therefore corrected, else `None`."""
        return self.ahead_s if self._correction_ns else None

    def heard(self, date: str | None, took_s: float) -> None:
        """Learn from the `Date` header of an answer that has just arrived, `took_s` after it was asked for.

        It is dated to the second that had begun, somewhere on the way between.
        """
        self.is_answered = True
        try:
            moment = parsedate_to_datetime(date or "")
            true_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() + 0.5
        except (ValueError, OverflowError):
            return  # no date, or none that can be read
        trip_s = min(took_s, _MAX_TRIP_S) / 2
        self.told(int(true_s * 1e9), self._monotonic_ns() - int(trip_s * 1e9))

    def told(self, true_ns: int, at_monotonic_ns: int) -> None:
        """Learn from somebody who knows: so late it was (Unix time) when the monotonic clock showed that."""
        if self.rate != 1.0:
            return  # who keeps another time knows nothing of this one
        machine_offset_ns = self._wall_ns() - self._monotonic_ns()
        self._reference.told(true_ns - at_monotonic_ns, at_monotonic_ns, machine_offset_ns)
        self._correct()

    def true_ns(self, at_monotonic_ns: int) -> int | None:
        """Unix time at a moment of the monotonic clock, for those who do not know; `None` when it is not known."""
        if self._ahead_ns is None:
            return None
        return self._wall_ns() - self._monotonic_ns() - self._ahead_ns + at_monotonic_ns

    def shift_by(self, path: Path) -> None:
        """For fault tests: let the machine's clock be what this file says, now and later (`runtime.course`)."""
        self._file_time = self._wall_ns = FileTime(path, self._wall_ns, self._monotonic_ns)

    @property
    def rate(self) -> float:
        """How many seconds of this clock pass in one; 1, but for fault tests."""
        return 1.0 if self._file_time is None else self._file_time.rate

    def passed_s(self) -> float:
        """Seconds that only ever grow, as many as pass of this clock: for limits and turns that are of its time."""
        if self._file_time is None or self._file_time.rate == 1.0:
            return self._monotonic_ns() / 1e9
        return self._file_time() / 1e9

    def waits_s(self, duration_s: float) -> float:
        """How long one has to wait until so much of this clock has passed."""
        rate = self.rate
        return duration_s / min(rate, MOST_HURRY)

    def _correct(self) -> None:
        """Hold the machine's clock against the reference, and correct it if it is wrong."""
        before_ns = self._correction_ns
        ahead_ns = self._reference.ahead_ns(self._wall_ns() - self._monotonic_ns())
        limit_s = RIGHT_AGAIN_S if before_ns else TOLERANCE_S
        is_wrong = ahead_ns is not None and abs(ahead_ns) > limit_s * 1e9
        self._ahead_ns = ahead_ns
        self._correction_ns = -ahead_ns if is_wrong and ahead_ns is not None else 0
        if bool(before_ns) != is_wrong:
            log.warning("clock_corrected" if is_wrong else "clock_right_again", machine_ahead_s=self.ahead_s)

    def _offset(self) -> int:
        if self._offset_ns is None:
            self._offset_ns = self._wall_ns() + self._correction_ns - self._monotonic_ns()
        return self._offset_ns

    def _behind_ns(self, monotonic_ns: int) -> int:
        """How much later it is, by the machine's clock as corrected, than the time shown."""
        return self._wall_ns() + self._correction_ns - monotonic_ns - self._offset()

    def _follow(self, monotonic_ns: int, behind_ns: int) -> int:
        """Move the offset towards the machine's clock; returns the monotonic time at which it was read."""
        if self.rate != 1.0:
            self._offset_ns = self._offset() + behind_ns
            return monotonic_ns
        if not -_ABSORBED_NS <= behind_ns <= _ABSORBED_NS:
            return self._step()
        most_ns = (monotonic_ns - self._read_at_ns) // SLEW_DIVISOR
        self._offset_ns = self._offset() + max(-most_ns, min(behind_ns, most_ns))
        return monotonic_ns

    def _step(self) -> int:
        """Follow the machine's clock; returns the monotonic time at which it was read."""
        # Read again: the process may have been stopped between the two readings, and then nothing has stepped.
        monotonic_ns = self._monotonic_ns()
        if abs(self._behind_ns(monotonic_ns)) > _ABSORBED_NS:
            self._correct()  # the machine's clock was set: what is known of the time tells whether to the right one
        behind_ns = self._behind_ns(monotonic_ns)
        if abs(behind_ns) > _ABSORBED_NS:
            self._offset_ns = self._offset() + behind_ns
            self.steps_forward += behind_ns > 0
            self.steps_back += behind_ns < 0
            log.warning("clock_stepped", by_s=round(behind_ns / 1e9, 3))
        return monotonic_ns


now: Final = Clock()
"""The clock of this process. Everybody who asks for the time of day asks this one, so that no two of them differ."""


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
