"""A process that does everything begins when nobody else has any part in the work, and ends when somebody else has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from bot.lifecycle import Lifecycle
from bot.roles import exclusive_leases
from runtime.errors import FatalError
from runtime.retry import retry_until_done
from runtime.supervision import Progress
from services.cluster.leases import Leases

LOOK_S: Final = 1.0


class Leadership:
    def __init__(self, leases: Leases, lifecycle: Lifecycle, say: Callable[[str], None]) -> None:
        self._leases = leases
        self._lifecycle = lifecycle
        self._say = say

    async def take(self) -> None:
        """Stand by until every lease is this process's."""
        leases, names = self._leases, exclusive_leases()
        while True:
            held = await retry_until_done(partial(leases.acquire, names))
            if len(held) == len(names):
                return
            await leases.release(held)
            if self._lifecycle.state != "standing by":
                self._lifecycle.state = "standing by"
                self._say("Another process is at work; standing by.")
            await asyncio.sleep(LOOK_S)

    async def keep(self, progress: Progress) -> None:
        """`FatalError` when another process has taken over: this one was frozen, or cut off, for too long."""
        names = exclusive_leases()
        while True:
            progress()
            lost = [name for name in names if not self._leases.is_valid(name)]
            if lost:
                raise FatalError(
                    f"Another process may be at work by now ({lost[0]} is not ours any more); this one ends."
                )
            await asyncio.sleep(LOOK_S)
