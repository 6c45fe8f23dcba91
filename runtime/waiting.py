"""Waiting without seeming dead: whoever waits for a reason says so again and again.

For a pause, and for what another watched job or a server has to bring about. What a driver does is not to be waited
for like this: it has a time-out, and without one nobody would notice that it hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from runtime.clock import now
from runtime.pace import pace

T = TypeVar("T")

Progress = Callable[[], None]

passed_s: Final = now.passed_s
waits_s: Final = now.waits_s
REPORT_EVERY_S: Final = 5.0
"""So often whoever waits reports progress; the watchdog's limit is many times as long."""
_LOCK_POLL_S: Final = 0.1


async def pause(duration_s: float, progress: Progress) -> None:
    """Sleep, and report progress meanwhile, however long it is."""
    left_s = duration_s
    while left_s > 0:
        progress()
        await asyncio.sleep(pace.seconds(min(left_s, REPORT_EVERY_S)))
        left_s -= REPORT_EVERY_S
    progress()


async def elapse(duration_s: float, progress: Progress) -> None:
    """Sleep until so much of the time of day has passed: as `pause`, but where the clock runs faster, it is shorter."""
    await pause(waits_s(duration_s), progress)


@asynccontextmanager
async def turn(lock: asyncio.Lock, progress: Progress) -> AsyncGenerator[None]:
    """Hold the lock inside. To wait for whoever has it is progress: they report their own."""
    while lock.locked():
        await pause(_LOCK_POLL_S, progress)
    async with lock:
        yield


async def reporting(awaited: Awaitable[T], progress: Progress) -> T:
    """Await something, and report progress until it has come; cancelled, it is cancelled too and waited for."""
    task = asyncio.ensure_future(awaited)
    try:
        while not task.done():
            progress()
            await asyncio.wait({task}, timeout=pace.seconds(REPORT_EVERY_S))
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=pace.seconds(REPORT_EVERY_S))
    progress()
    return task.result()
