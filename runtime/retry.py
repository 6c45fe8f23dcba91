"""Doing what must not be given up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress

T = TypeVar("T")

FIRST_WAIT_S = 0.05
MAX_WAIT_S = 5.0


async def retry_until_done(operation: Callable[[], Awaitable[T]], progress: Progress = lambda: None) -> T:
    """Run an idempotent `operation` again after every `TransientError`, backing off with jitter, without end.

    `progress` is called before every attempt: waiting for something outside is no standstill.
    """
    progress()
    try:
        return await operation()  # mostly that is all there is to do
    except TransientError:
        stop_if_cancelled()
    await asyncio.sleep(random.uniform(FIRST_WAIT_S, 2 * FIRST_WAIT_S))  # noqa: S311 - jitter, not a secret
    async for attempt in stamina.retry_context(
        on=TransientError,
        attempts=None,
        timeout=None,
        wait_initial=FIRST_WAIT_S,
        wait_max=MAX_WAIT_S,
        wait_jitter=FIRST_WAIT_S,
    ):
        with attempt:
            progress()
            try:
                return await operation()
            except TransientError:
                stop_if_cancelled()
                raise
    raise AssertionError("retrying without end cannot end")  # pragma: no cover
