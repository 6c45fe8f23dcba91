"""In which order a digest tells of its calls, so that its further pages go on where the message ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import structlog

from managers.redis.client import RedisManager
from runtime.clock import milliseconds
from runtime.errors import TransientError
from services.monitoring.metrics import Metrics
from services.stores import keys

log = structlog.get_logger(__name__)

_PLACES: Final = 1_000
"""More than a digest has."""


class DigestOrder:
    """While Redis is unavailable nothing is kept and nothing is known."""

    def __init__(self, redis: RedisManager, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics

    async def keep(self, user_id: int, at: datetime, call_ids: Sequence[str]) -> None:
        """Keep the order of one digest, in place of what was kept of these calls."""
        key, first = keys.TOLD_ORDER.of(user_id), milliseconds(at) * _PLACES
        oldest = first - keys.TOLD_ORDER.expires_s * 1_000 * _PLACES
        placed: list[str | int] = [part for place, call_id in enumerate(call_ids) for part in (first + place, call_id)]
        try:
            await self._redis.transaction(
                [
                    ("ZADD", key, *placed),
                    ("ZREMRANGEBYSCORE", key, "-inf", oldest),
                    ("EXPIRE", key, keys.TOLD_ORDER.expires_s),
                ]
            )
        except TransientError as error:
            self._unavailable(error)

    async def of(self, user_id: int, call_ids: Sequence[str]) -> dict[str, float]:
        """Return a number for each call that is known, smaller for what comes first."""
        if not call_ids:
            return {}
        try:
            [scores] = await self._redis.transaction([("ZMSCORE", keys.TOLD_ORDER.of(user_id), *call_ids)])
        except TransientError as error:
            self._unavailable(error)
            return {}
        known = zip(call_ids, cast("list[bytes | float | None]", scores), strict=True)
        return {call_id: float(score) for call_id, score in known if score is not None}

    def _unavailable(self, error: TransientError) -> None:
        self._metrics.counts.fallbacks["digest order"] += 1
        log.warning("digest_order_unavailable", reason=str(error))
