"""What is done about times that passed while nobody looked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

Misfire = Literal["once", "skip", "catch up"]
"""`once`: of all the times that have passed, the last one is made up for. `skip`: what is too late is left out.
`catch up`: each of them is made up for, the oldest first."""

MAX_CATCH_UP: Final = 100
"""Times that are made up for in one go; the others follow."""

_MOMENT: Final = timedelta(microseconds=1)

Next = Callable[[datetime], datetime | None]
"""The first time after an instant; `None`: never again."""


class Step(Struct, frozen=True, kw_only=True):
    """What to do with what is due."""

    runs: datetime | None
    """The due time that is carried out; `None`: none."""
    then: datetime | None
    """When it is due next; `None`: never again. Not later than now: there is more to make up for."""


def steps_of(due_at: datetime, now: datetime, rule: Misfire, too_late: timedelta, next_after: Next) -> list[Step]:
    """Return what to do about a due time that has come, one after the other. `too_late`: from when `skip` applies.

    After each step it stands fixed, whatever ends the process, that the job is due at `then`.
    """
    if rule == "once":
        return [_last(due_at, now, next_after)]
    steps: list[Step] = []
    at: datetime | None = due_at
    while at is not None and at <= now and len(steps) < MAX_CATCH_UP:
        is_skipped = rule == "skip" and now - at > too_late
        then = next_after(now - too_late - _MOMENT) if is_skipped else next_after(at)
        steps.append(Step(runs=None if is_skipped else at, then=then))
        at = then
    return steps


def _last(due_at: datetime, now: datetime, next_after: Next) -> Step:
    last, then = due_at, next_after(due_at)
    while then is not None and then <= now:
        last, then = then, next_after(then)
    return Step(runs=last, then=then)
