"""The first of the three layers in front of anything slow: a small cache in memory, counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar, cast

from cachetools import TTLCache
from msgspec import Struct

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_MISSING: Final = object()
_ABANDONED: Final = object()


class CacheKind(Struct, frozen=True, kw_only=True):
    ttl_s: float
    """How long a stale value may be believed, when no event invalidates it earlier."""
    max_entries: int


CACHES: Final[dict[str, CacheKind]] = {
    "channels": CacheKind(ttl_s=30 * 60, max_entries=1_000),
    "settings": CacheKind(ttl_s=5 * 60, max_entries=5_000),
    "subscriptions": CacheKind(ttl_s=5 * 60, max_entries=5_000),
    "permissions": CacheKind(ttl_s=5 * 60, max_entries=1_000),
    "media": CacheKind(ttl_s=10 * 60, max_entries=5_000),
    "wallets": CacheKind(ttl_s=30, max_entries=5_000),
}
"""Every cache of the process: what channels are, what subscribers set, what they paid for, what Telegram says
they may do in a chat, under which id it has a picture, and what a wallet holds."""


class SmartCache(Generic[K, V]):
    """Values by key, the least recently used leaves first, none is older than `ttl_s`."""

    def __init__(self, name: str, *, ttl_s: float, max_entries: int) -> None:
        self.name = name
        self.max_entries = max_entries
        self.hits = 0
        self.misses = 0
        self._values = TTLCache[K, V](max_entries, ttl_s)
        self._flights: dict[K, asyncio.Future[object]] = {}

    @classmethod
    def of(cls, name: str) -> SmartCache[K, V]:
        """Build the cache that `CACHES` declares under this name."""
        kind = CACHES[name]
        return cls(name, ttl_s=kind.ttl_s, max_entries=kind.max_entries)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value, or `None` when there is none."""
        return self._look_up(key, None)

    def put(self, key: K, value: V) -> None:
        """Keep a value that is known to be right; a load of it that is under way no longer counts."""
        self._flights.pop(key, None)
        self._values[key] = value

    def invalidate(self, key: K) -> None:
        """Forget a value; a load of it that is under way is not kept either."""
        self._flights.pop(key, None)
        self._values.pop(key, None)

    def knows(self, shown: str) -> bool:
        """Whether there is a value under the key that is written so."""
        return self._key_of(shown) is not _MISSING

    def invalidate_shown(self, shown: str) -> bool:
        """Forget the value whose key is written so (parts of a tuple with blanks between); `False`: there was none."""
        key = self._key_of(shown)
        if key is _MISSING:
            return False
        self.invalidate(cast("K", key))
        return True

    def _key_of(self, shown: str) -> object:
        return next((key for key in (*self._values, *self._flights) if _shown(key) == shown), _MISSING)

    def clear(self) -> None:
        self._flights.clear()
        self._values.clear()

    async def get_or_load(self, key: K, loader: Callable[[K], Awaitable[V]]) -> V:
        """Return the value, loading it when there is none. All who ask meanwhile wait for the same load.

        What the loader raises, all of them get; nothing is kept then.
        """
        value: object = self._look_up(key, _MISSING)
        while value is _MISSING:
            flight = self._flights.get(key)
            if flight is None:
                return await self._load(key, loader)
            value = await asyncio.shield(flight)
            if value is _ABANDONED:
                # Who was loading got cancelled; somebody else has to.
                value = self._values.get(key, _MISSING)
        return cast("V", value)

    def _look_up(self, key: K, default: D) -> V | D:
        try:
            value = self._values[key]  # `TTLCache.get` looks twice
        except KeyError:
            self.misses += 1
            return default
        self.hits += 1
        return value

    async def _load(self, key: K, loader: Callable[[K], Awaitable[V]]) -> V:
        flight: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        try:
            value = await loader(key)
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # marks it as seen: nobody else may be waiting
            raise
        else:
            if self._flights.get(key) is flight:
                self._values[key] = value
            flight.set_result(value)
            return value
        finally:
            if not flight.done():
                flight.set_result(_ABANDONED)
            if self._flights.get(key) is flight:
                del self._flights[key]


def _shown(key: object) -> str:
    return " ".join(map(str, cast("tuple[object, ...]", key))) if isinstance(key, tuple) else str(key)
