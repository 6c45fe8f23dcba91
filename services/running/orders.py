"""What an admin wants of every process at once: connect anew, forget what is cached, log more.

Nothing of it lasts: a process that is started later does not hear of it. What has to last is one of the controls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from managers.redis.client import RedisManager
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress
from services.running.keys import ORDERS

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KEPT: Final = 100
_BLOCK_MS: Final = 2_000

Obey = Callable[[str], Awaitable[bool]]
"""Gets the argument; returns whether there was anything to do here. May be given the same order twice."""


class Orders:
    def __init__(self, redis: RedisManager, owner: str) -> None:
        self._redis = redis
        self._owner = owner
        self._known: dict[str, list[Obey]] = {}
        self._read_to: str | None = None

    def on(self, what: str, obey: Obey) -> None:
        """Let an order be obeyed here; several may obey the same."""
        self._known.setdefault(what, []).append(obey)

    async def give(self, what: str, argument: str = "") -> bool:
        """Obey here at once, and tell the others; `False`: Redis is away, so nobody else will hear of it."""
        await self._obey(what, argument)
        entry = ("XADD", ORDERS.of(), "MAXLEN", "~", KEPT, "*", "what", what, "argument", argument)
        try:
            await self._redis.transaction([(*entry, "by", self._owner)])
        except TransientError as error:
            stop_if_cancelled()
            log.warning("order_not_passed_on", what=what, reason=str(error))
            return False
        return True

    async def run(self, progress: Progress) -> None:
        """Obey what is ordered elsewhere, for ever. `RedisUnavailableError`: call it again, it goes on where it was."""
        while True:
            stop_if_cancelled()
            progress()
            await self.follow(_BLOCK_MS)

    async def follow(self, block_ms: int = 1) -> None:
        """Obey what others have ordered since the last time; at first, remember where to begin."""
        if self._read_to is None:
            newest = await self._redis.xrevrange(ORDERS.of(), count=1)
            self._read_to = newest[0].id if newest else "0-0"
        for entry in await self._redis.xread(ORDERS.of(), after=self._read_to, count=KEPT, block_ms=block_ms):
            self._read_to = entry.id
            fields = {name: value.decode("utf-8", "replace") for name, value in entry.fields.items()}
            if fields.get("by") != self._owner:
                await self._obey(fields.get("what", ""), fields.get("argument", ""))

    async def _obey(self, what: str, argument: str) -> None:
        for obey in self._known.get(what, ()):
            try:
                done = await obey(argument)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("order_not_obeyed", what=what, argument=argument, reason=str(error))
            else:
                log.info("order_obeyed", what=what, argument=argument, done=done)
