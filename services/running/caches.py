"""What is kept in memory for a while, and in Redis behind it: looked at, and forgotten on request.

Of what is a cache only: whatever is forgotten here is read again from where it lasts. Claims, documents and records are
none.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from runtime.errors import UserFacingError
from services.running.orders import Orders
from services.running.processes import CacheState
from services.stores import keys
from services.stores.redis_key import RedisKey

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FORGET: Final = "forget"
"""The order; its argument is the name of a cache and, behind a blank, a key."""
BEHIND: Final[dict[str, RedisKey]] = {"channels": keys.CHANNEL_INFO, "media": keys.MEDIA_FILE}
"""The layer in Redis, where there is one that may be lost."""
MAX_KEY: Final = 200


class Caches:
    def __init__(self, redis: RedisManager, orders: Orders) -> None:
        self._redis = redis
        self._orders = orders
        self._caches: dict[str, SmartCache[Any, Any]] = {}
        orders.on(FORGET, self._obey)

    def add(self, cache: SmartCache[Any, Any]) -> None:
        self._caches[cache.name] = cache

    def states(self) -> tuple[CacheState, ...]:
        return tuple(
            CacheState(
                name=one.name,
                entries=len(one),
                max_entries=one.max_entries,
                hits=one.hits,
                misses=one.misses,
            )
            for one in self._caches.values()
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._caches)

    async def forget(self, name: str, key: str = "") -> int:
        """Forget one value, or all where no key is named, everywhere; returns how many this process and Redis had.

        `TransientError` while Redis is away. `UserFacingError` for a cache that there is not.
        """
        if name not in self._caches or len(key) > MAX_KEY:
            raise UserFacingError("callback.stale")
        gone = self._count(name, key) + await self._forget_behind(name, key)
        await self._orders.give(FORGET, f"{name} {key}".strip())
        log.warning("cache_forgotten", cache=name, key=key, values=gone)
        return gone

    def _count(self, name: str, key: str) -> int:
        cache = self._caches[name]
        return int(cache.knows(key)) if key else len(cache)

    async def _obey(self, argument: str) -> bool:
        name, _, key = argument.partition(" ")
        cache = self._caches.get(name)
        if cache is None:
            return False
        if key:
            return cache.invalidate_shown(key)
        cache.clear()
        return True

    async def _forget_behind(self, name: str, key: str) -> int:
        behind = BEHIND.get(name)
        if behind is None:
            return 0
        if key:
            return await self._redis.delete(behind.of(key))
        gone = 0
        async for found in self._redis.scan(behind.of_any()):
            gone += await self._redis.delete(*found) if found else 0
        return gone
