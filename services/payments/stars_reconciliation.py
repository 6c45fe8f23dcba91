"""Every night Telegram's book is held against the ledger: what was lost is written down, what remains is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from domain.schedule.triggers import Trigger
from managers.redis.client import RedisManager
from runtime.errors import DeliveryError, TransientError
from services.payments import keys
from services.payments.stars import StarsService
from services.schedule.due_times import Due
from services.schedule.schedule import Job

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOKS_BACK: Final = timedelta(days=3)
"""A night or two may be missed."""
_AT: Final = Trigger(minute=3 * 60 + 30, zone=ZoneInfo("UTC"))


class StarsReconciliation:
    def __init__(self, *, stars: StarsService, redis: RedisManager, clock: Callable[[], datetime]) -> None:
        self._stars = stars
        self._redis = redis
        self._clock = clock

    def job(self) -> Job:
        return Job(name="stars_reconciliation", run=self.run, trigger=_every_night, for_everybody=True)

    async def run(self, _due: Due) -> int:
        """Write down what nobody has brought; returns how much of it there was. May be repeated."""
        try:
            since = self._clock() - LOOKS_BACK
            recovered = await self._stars.recover(await self._stars.differences(since))
            left = await self._stars.differences(since)
        except DeliveryError as error:
            raise TransientError(f"Telegram's book cannot be read: {error}") from error
        for one in left:
            log.error("stars_differ", what=one.what, charge=one.charge_id)
        await self._redis.set(keys.STARS_DIFFER.of(), len(left))
        log.info("stars_reconciled", recovered=recovered, differences=len(left))
        return recovered

    async def left(self) -> int:
        """Return on how much Telegram and the ledger did not agree when they were last compared."""
        return int(await self._redis.get(keys.STARS_DIFFER.of()) or 0)


async def _every_night(_subject: str) -> Trigger:
    return _AT
