"""What has to be asked over a connection, for those who cannot wait for an answer: metrics and alarms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from runtime.errors import TransientError
from runtime.waiting import Progress, pause

T_co = TypeVar("T_co", covariant=True)

ASK_EVERY_S = 5.0
ASK_TIMEOUT_S = 2.0


class Reading(Generic[T_co]):
    """The last answer to one question."""

    def __init__(self, ask: Callable[[], Awaitable[T_co]]) -> None:
        self._ask = ask
        self._answer: T_co | None = None
        self.problem: str | None = None
        """Why the last question got no answer; `None` when it did, and before the first."""

    @property
    def value(self) -> T_co | None:
        """The last answer; `None` when the last question got none, and before the first."""
        return None if self.problem else self._answer

    async def refresh(self) -> None:
        """Ask again; what fails is noted, not raised."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                self._answer = await self._ask()
        except TimeoutError:
            self.problem = f"no answer within {ASK_TIMEOUT_S:g} s"
        except TransientError as error:
            self.problem = str(error) or type(error).__name__
        else:
            self.problem = None


class ReadingsService:
    """Keeps readings fresh, all of them side by side: one that hangs holds up no other for longer than its time-out."""

    def __init__(self, readings: Sequence[Reading[object]] = ()) -> None:
        self._readings = list(readings)

    def watch(self, reading: Reading[object]) -> None:
        """Keep one more fresh."""
        self._readings.append(reading)

    async def refresh(self) -> None:
        await asyncio.gather(*(reading.refresh() for reading in self._readings))

    async def run(self, progress: Progress) -> None:
        while True:
            await self.refresh()
            await pause(ASK_EVERY_S, progress)
