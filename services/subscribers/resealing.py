"""From one key to another: what is sealed by an earlier key, or not at all, is sealed anew by the first one.

Redis knows by which keys something may be sealed. A process that lacks one of them does not start, and changes nothing.
A key is forgotten when nobody has sealed by it for a while, and nothing that lasts is sealed by it: then it may be
taken out of the settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final, cast

import msgspec
import structlog

from domain.subscribers.subscriber import Subscriber
from managers.redis.client import Command, RedisManager
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause
from services.stores import keys
from services.stores.redis_key import MINUTE_S
from services.stores.sealing import PLAIN, Sealer, UnknownKeyError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 5.0 * MINUTE_S
UNUSED_FOR_S: Final = 20 * MINUTE_S
"""Longer than what is typed or asked lives, sealed or not, and than two rounds of whoever still seals by that key."""
_BATCH: Final = 500
_RESEAL: Final = Script.beside(__file__, "reseal.lua")


class ResealingService:
    def __init__(self, redis: RedisManager, sealer: Sealer, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._sealer = sealer
        self._clock = clock

    async def check(self) -> None:
        """`UnknownKeyError`: something may be sealed by a key that this process lacks."""
        await retry_until_done(self._known)

    async def begin(self) -> None:
        """Say by which key this process seals. `UnknownKeyError`: something may be sealed by one that it lacks."""
        await retry_until_done(self._begin)

    async def run(self, progress: Progress) -> None:
        """Look every five minutes, for ever. Without keys there is nothing to do."""
        while True:
            if self._sealer.has_keys:
                await retry_until_done(lambda: self.reseal(progress), progress)
            await pause(EVERY_S, progress)

    async def reseal(self, progress: Progress) -> int:
        """Seal anew what is sealed otherwise; returns how many documents it was. May be repeated."""
        await self._begin()
        if not [used for used in await self._used() if used != self._sealer.writes]:
            return 0
        resealed = await self._documents(progress)
        await self._forget_unused()
        return resealed

    async def _known(self) -> dict[str, int]:
        """Return what may be sealed by which key, and since when."""
        used = await self._used()
        for fingerprint in used:
            if fingerprint != PLAIN and fingerprint not in self._sealer.fingerprints:
                raise UnknownKeyError(fingerprint)
        return used

    async def _begin(self) -> None:
        used = await self._known()
        if not self._sealer.has_keys:
            return
        now = milliseconds(self._clock())
        # Until all has been looked at, what stands there may not be sealed.
        first: list[Command] = [] if used else [("HSETNX", keys.SEALED_BY.of(), PLAIN, now)]
        await self._redis.transaction([*first, ("HSET", keys.SEALED_BY.of(), self._sealer.writes, now)])

    async def _used(self) -> dict[str, int]:
        return {name: int(at_ms) for name, at_ms in (await self._redis.hgetall(keys.SEALED_BY.of())).items()}

    async def _documents(self, progress: Progress) -> int:
        count = 0
        async for names in self._names():
            progress()
            found = zip(names, await self._redis.mget(names), strict=True)
            for name, stored in found:
                if stored is not None:
                    count += await self._document(name, stored)
        if count:
            log.info("documents_resealed", count=count, key=self._sealer.writes)
        return count

    async def _document(self, name: str, stored: bytes) -> int:
        try:
            if self._sealer.is_current(stored):
                return 0
            resealed = self._resealed(name, self._sealer.open(stored))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("document_not_resealed", name=name, reason=str(error))
            return 0
        args = packed(seen=raw(stored), resealed=raw(resealed))
        return cast("int", await self._redis.script(_RESEAL, [name], args))

    def _resealed(self, name: str, document: bytes) -> bytes:
        if not name.startswith(keys.SUBSCRIBER.of("")):
            return self._sealer.seal(document)
        known = msgspec.json.decode(document, type=Subscriber)
        created_at = msgspec.to_builtins(known.created_at)
        return self._sealer.seal(document, revision=known.revision, created_at=created_at)

    async def _names(self) -> AsyncIterator[Sequence[str]]:
        """Yield the names of all that lasts and may be sealed."""
        async for user_ids in self._redis.sscan(keys.SUBSCRIBERS.of(), count=_BATCH):
            yield [keys.SUBSCRIBER.of(user_id) for user_id in user_ids]
        # Not by whose they are: of one that an emptied Redis was given back nobody's list knows.
        for key in (keys.SHARED_SET, keys.CARD_KEYBOARD):
            async for names in self._redis.scan(key.of_any(), count=_BATCH):
                yield names

    async def _forget_unused(self) -> None:
        """Forget the keys by which nothing is sealed any more."""
        waiting = await self._redis.xrange(keys.JOURNAL.of(), count=1)
        used_since_ms = milliseconds(self._clock()) - UNUSED_FOR_S * 1000
        if waiting:
            used_since_ms = min(used_since_ms, waiting[0].added_at_ms - int(EVERY_S * 1000))
        used = await self._used()
        unused = [one for one, at_ms in used.items() if one != self._sealer.writes and at_ms <= used_since_ms]
        if not unused or await self._some_stand():
            return
        await self._redis.transaction([("HDEL", keys.SEALED_BY.of(), *unused)])
        log.warning("data_keys_unused", fingerprints=unused)

    async def _some_stand(self) -> bool:
        """Tell whether something that lasts is sealed otherwise, or cannot be read: then no key is forgotten."""
        async for names in self._names():
            for stored in await self._redis.mget(names):
                if stored is not None and not self._is_current(stored):
                    return True
        return False

    def _is_current(self, stored: bytes) -> bool:
        try:
            return self._sealer.is_current(stored)
        except msgspec.MsgspecError:
            return False
