"""Price ticks on their way from the process that has the feed to the others, one entry a second.

Only the latest tick of a token counts, so while Redis is unavailable the newer takes the place of the older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from domain.calls.events import PriceTick
from managers.redis.client import RedisManager, RedisUnavailableError, StreamEntry
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


KEPT: Final = 120
"""Entries, one a second: two minutes for whoever starts."""
PUBLISH_EVERY_S: Final = 1.0
MAX_UNPUBLISHED: Final = 20_000
_COUNT: Final = 30
_BLOCK_MS: Final = 2_000
_FIELD: Final = "ticks"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[PriceTick]).decode


class TickStream:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis
        self._read_to = "0-0"
        self._unpublished: dict[str, PriceTick] = {}

    async def publish(self, ticks: Mapping[str, PriceTick]) -> None:
        """Append the latest tick of each token, by address, as one entry. Repeated it does no harm."""
        if ticks:
            command = ("XADD", keys.TICKS.of(), "MAXLEN", "~", KEPT, "*", _FIELD, _encode(list(ticks.values())))
            await self._redis.transaction([command])

    async def read(self) -> dict[str, PriceTick]:
        """Return the latest tick of each token in what came since the last time; waits for it a moment."""
        found = await self._redis.xread(keys.TICKS.of(), after=self._read_to, count=_COUNT, block_ms=_BLOCK_MS)
        if found:
            self._read_to = found[-1].id
        return {tick.token_address: tick for entry in found for tick in _ticks(entry)}

    async def run(self, progress: Progress, take: Callable[[], Mapping[str, PriceTick]]) -> None:
        """Publish every second what `take` hands over, for ever."""
        while True:
            stop_if_cancelled()
            progress()
            self._unpublished |= take()
            try:
                await self.publish(self._unpublished)
                self._unpublished.clear()
            except RedisUnavailableError:
                stop_if_cancelled()
                for address in list(self._unpublished)[:-MAX_UNPUBLISHED]:
                    del self._unpublished[address]
            await asyncio.sleep(PUBLISH_EVERY_S)

    async def follow(self, progress: Progress, take_in: Callable[[Mapping[str, PriceTick]], None]) -> None:
        """Hand over what others publish, for ever. `RedisUnavailableError`: call it again, it goes on where it was."""
        while True:
            stop_if_cancelled()
            progress()
            if ticks := await self.read():
                take_in(ticks)


def _ticks(entry: StreamEntry) -> list[PriceTick]:
    try:
        return _decode(entry.fields[_FIELD])
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("ticks_unreadable", entry_id=entry.id, reason=str(error))
        return []
