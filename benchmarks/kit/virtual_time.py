"""An event loop whose time passes only while nothing happens: an hour of waiting takes as long as its requests do.

Sockets are real. When nothing can be read or written, and somebody waits for a time, it is that time. Both ends of
every connection must live in this loop: what one end has sent on loopback the other one can read at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

HARMLESS_S: Final = 1.0
SETTLES_S: Final = 0.001
"""Real time that is waited first before a longer jump, lest a time-out come of a delay in this machine."""


class _PatientSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0) or super().select(0 if timeout <= HARMLESS_S else SETTLES_S)
        if not ready:
            self.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._patient = _PatientSelector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`; `asyncio.get_running_loop().time()` is the clock, from 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
