"""A task that was asked to stop stops, whatever its driver makes of it.

A driver that is cancelled in the middle of an exchange may fail while it cleans up, and that failure takes the place
of the cancellation. Taken for an outage it would be waited for and tried again, and the task would never end. Before
Python 3.12 `asyncio.wait_for` may also swallow a cancellation that comes together with the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

ASK_AGAIN_AFTER_S = 1.0


def stop_if_cancelled() -> None:
    """Raise `CancelledError` if somebody cancelled the running task.

    Call it where an error becomes an outage, and in endless loops over drivers that use `wait_for`.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended. What they raise is left to whoever owns them."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN_AFTER_S)
