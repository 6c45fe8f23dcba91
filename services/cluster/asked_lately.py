"""Which hosts were asked lately: after a restart, the limits of providers go on as they stood.

A moment is told by the wall clock, since the process that reads it is another one than that which wrote it. What was
asked in the last second before a kill is in no document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog
from msgspec import Struct

from managers.http.api import APIRetryManager
from managers.redis.client import RedisManager
from runtime.errors import TransientError
from runtime.waiting import Progress
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_WRITTEN_EACH_S = 1.0


class AskedLately(Struct, frozen=True, kw_only=True):
    at: datetime
    hosts: dict[str, list[float]]
    """By host: how many seconds before `at` each request that still counted came there."""


class AskedBefore:
    """`take_up` before anything is asked, `run` meanwhile."""

    def __init__(self, redis: RedisManager, api: APIRetryManager, owner: str, *, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._api = api
        self._key = keys.ASKED_LATELY.of(owner)
        self._lives_s = keys.ASKED_LATELY.lives_s
        self._clock = clock

    async def take_up(self) -> None:
        """Count what an earlier process of this name asked; without Redis nothing is known of it."""
        try:
            stored = await self._redis.get(self._key)
            said = None if stored is None else msgspec.json.decode(stored, type=AskedLately)
        except (TransientError, msgspec.MsgspecError) as error:
            log.warning("asked_lately_unknown", reason=str(error))
            return
        if said is not None:
            passed_s = max(0.0, (self._clock() - said.at).total_seconds())
            self._api.note({host: [age + passed_s for age in ages] for host, ages in said.hosts.items()})

    async def run(self, progress: Progress) -> None:
        """Write down for ever what counts, while anything does."""
        while True:
            progress()
            await self.write()
            await asyncio.sleep(_WRITTEN_EACH_S)

    async def write(self) -> None:
        """Write down what counts now, if anything does."""
        hosts = {host: [round(age, 1) for age in ages] for host, ages in self._api.counting().items()}
        if not hosts:
            return
        document = msgspec.json.encode(AskedLately(at=self._clock(), hosts=hosts))
        try:
            await self._redis.set(self._key, document, ex_s=self._lives_s)
        except TransientError as error:
            log.debug("asked_lately_not_written", reason=str(error))
