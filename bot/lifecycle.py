"""Where a process is in its life, and what has to be done at the turns of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "standing by", "working", "ending"]
Step = Callable[[], Awaitable[object]]


class Lifecycle:
    """`TokenFilterBot` moves it on; whoever needs to know reads it."""

    def __init__(self) -> None:
        self.state: State = "starting"

    def is_ending(self) -> bool:
        return self.state == "ending"


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """What one feature does once. Those of all features are taken in the order in which they were built."""

    check: Step | None = None
    """Before all that may have to wait for another process: raises `FatalError` where this one can never work."""
    prepare: Step | None = None
    """Before any work; connections are open."""
    load: Step | None = None
    """While the work begins."""
    drain: Step | None = None
    """The intake has ended: finish what came in. All at the same time; who depends on another awaits it."""
    left: Callable[[], Mapping[str, int]] | None = None
    """What is left, for the log when there was no time to drain it."""
    finish: Step | None = None
    """The work has ended, the connections are still there."""
    leave: Step | None = None
    """Nothing runs any more."""
    holds_up: Callable[[], bool] | None = None
    """Whether all jobs have to wait at this moment but those that complete the stores."""
