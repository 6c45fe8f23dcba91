"""Who tells a process what time it is when it starts, and what waits for that.

By a clock that is an hour off, calls would be no news, alerts too late, digests due, and whoever has paid would have
run out; nobody would be told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bot.roles import SENDING, Role
from bot.updates import Updates
from runtime.clock import now
from runtime.retry import retry_until_done
from runtime.supervision import Job, Progress
from services.cluster.members import Members

log = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 0.2
STEPS_POLL_S: Final = 1.0
TOLD_WITHIN_S: Final = 5.0
"""So long a process that starts waits to be told. After that it goes on by its machine's clock, gives nothing up by it,
and learns later."""


async def join(members: Members, updates: Updates, role: Role) -> None:
    """Become a member, and pass on what time it is to the others, or learn it from them."""
    asks = role in SENDING
    if asks:
        await updates.ask_the_time(within_s=TOLD_WITHIN_S)
    await retry_until_done(members.join)
    if asks:
        await retry_until_done(members.beat)
    until = time.monotonic() + TOLD_WITHIN_S
    while not asks and not now.is_sure and time.monotonic() < until:
        await asyncio.sleep(POLL_EVERY_S)
        await retry_until_done(members.beat)
    if not now.is_sure:
        log.warning("clock_not_checked")


def once_sure(job: Job) -> Job:
    """Begin when Telegram has answered something: nothing can be sent before."""

    async def run(progress: Progress) -> None:
        while not now.is_sure:
            progress()
            await asyncio.sleep(POLL_EVERY_S)
        await job(progress)

    return run


async def follow_steps_back(put_back: Callable[[Progress], Awaitable[None]], progress: Progress) -> None:
    """Who ran out by a clock that was ahead has not run out."""
    steps = now.steps_back
    while True:
        progress()
        if steps != now.steps_back:
            steps = now.steps_back
            await put_back(progress)
        await asyncio.sleep(STEPS_POLL_S)
