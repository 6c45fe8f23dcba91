"""Which process may do what: leases in Redis, each with a fencing number that only grows.

A lease is a key that expires. Its holder believes in it by its own monotonic clock, counted from before the request:
it stops believing before Redis does, however late the reply came and however long it was frozen. Clocks may still be
wrong, so whatever changes something under a lease also carries the numbers of its leases: the script looks them up
first, and after somebody else took a lease it changes nothing (`services.cluster.fencing`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import structlog

from managers.redis.client import Argument, RedisManager, RedisUnavailableError, Reply
from managers.redis.scripts import Script, packed
from runtime.cancellation import end, stop_if_cancelled
from runtime.waiting import Progress
from services.cluster.fencing import LeaseLostError
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Work = Callable[[Progress], Awaitable[None]]

_DRIFT: Final = 0.01
"""Share of its lifetime by which a lease ends earlier for its holder: no two clocks run alike."""
_TRY_AGAIN_S: Final = 1.0
WATCH_EVERY_S: Final = 0.2
"""How often it is looked whether a lease is still valid."""

_ACQUIRE: Final = Script.beside(__file__, "acquire.lua")
_RENEW: Final = Script.beside(__file__, "renew.lua")
_RELEASE: Final = Script.beside(__file__, "release.lua")


@dataclass(slots=True)
class _Held:
    number: int
    ends_at: float
    """On our own clock."""


class Leases:
    """The leases of one process. `run` renews them; whoever acts under one asks `is_valid` right before."""

    def __init__(
        self,
        redis: RedisManager,
        owner: str,
        ttl_s: float = float(keys.LEASE.expires_s),
        clock: Callable[[], float] = time.monotonic,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        """`owner`: the same after a restart, different for every process.

        `alone`: whether this process leads on while Redis is unavailable.
        """
        self.owner = owner
        self._redis = redis
        self._ttl_s = ttl_s
        self._clock = clock
        self._alone = alone
        self._held: dict[str, _Held] = {}
        self._unavailable_since: float | None = None
        """When Redis did not answer last; `None` after it has answered."""
        self._one_request = asyncio.Lock()
        """A renewal that is under way must not bring back what is being released."""

    async def acquire(self, names: Iterable[str]) -> frozenset[str]:
        """Take what is free, expired or left by this owner; return which of the names are held now.

        May be repeated after a lost reply.
        """
        wanted = list(dict.fromkeys(names))
        async with self._one_request:
            missing = [name for name in wanted if not self.is_valid(name)]
            if missing:
                names_of = [keys.FENCES.of(), *map(keys.LEASE.of, missing)]
                leases = [{"name": name, "key": key} for key, name in enumerate(missing, start=2)]
                args = packed(owner=self.owner, ttl_ms=self._ttl_ms, leases=leases)
                before, reply = await self._ask(_ACQUIRE, names_of, args)
                for name, number in zip(missing, cast("list[bytes]", reply), strict=True):
                    if number:
                        self._held[name] = _Held(int(number), self._end_of(before))
                        log.info("lease_taken", lease=name, fence=int(number))
                    else:
                        self._held.pop(name, None)
        return frozenset(name for name in wanted if self.is_valid(name))

    async def renew(self) -> frozenset[str]:
        """Prolong everything that is held, in one round trip; return what was lost. May be repeated."""
        async with self._one_request:
            renewing = dict(self._held)
            if not renewing:
                return frozenset()
            names_of = [keys.FENCES.of(), *map(keys.LEASE.of, renewing)]
            leases = [
                {"name": name, "number": str(held.number), "key": key}
                for key, (name, held) in enumerate(renewing.items(), start=2)
            ]
            args = packed(owner=self.owner, ttl_ms=self._ttl_ms, leases=leases)
            before, reply = await self._ask(_RENEW, names_of, args)
            lost: set[str] = set()
            for (name, held), flag in zip(renewing.items(), cast("bytes", reply).decode(), strict=True):
                if flag == "1":
                    held.ends_at = self._end_of(before)
                elif self._held.get(name) is held:
                    del self._held[name]
                    lost.add(name)
                    log.warning("lease_lost", lease=name, fence=held.number)
            return frozenset(lost)

    async def release(self, names: Iterable[str]) -> None:
        """Give back: others may take them at once. While Redis is unavailable they end by themselves."""
        async with self._one_request:
            held = {name: self._held.pop(name) for name in names if name in self._held}
            if not held:
                return
            values = [f"{one.number} {self.owner}" for one in held.values()]
            try:
                await self._ask(_RELEASE, list(map(keys.LEASE.of, held)), packed(values=values))
            except RedisUnavailableError as error:
                log.warning("leases_not_released", leases=sorted(held), reason=str(error))

    async def release_all(self) -> None:
        """Give back everything, at the end of the process."""
        await self.release(list(self._held))

    def forget(self, names: Iterable[str]) -> None:
        """Renew them no more, without a word to Redis."""
        for name in names:
            self._held.pop(name, None)

    def is_valid(self, name: str) -> bool:
        """Tell whether this process may act under the lease at this moment.

        Beyond its end only while Redis has just failed to answer (a process that was frozen did not ask) and
        nobody else was there.
        """
        held, now = self._held.get(name), self._clock()
        if held is None:
            return False
        if now < held.ends_at:
            return True
        return self._unavailable_since is not None and now < self._unavailable_since + self._ttl_s and self._alone()

    def fence(self, name: str) -> int:
        """Return the number under which the lease is held; `LeaseLostError` when it is not valid now."""
        if not self.is_valid(name):
            raise LeaseLostError(f"“{name}” is not ours (any more)")
        return self._held[name].number

    def fences(self, names: Iterable[str]) -> dict[str, int]:
        """Return the numbers that a script under these leases must carry. `LeaseLostError` as in `fence`."""
        return {name: self.fence(name) for name in names}

    async def run(self, progress: Progress) -> None:
        """Renew for ever."""
        was_unavailable = False
        while True:
            stop_if_cancelled()
            progress()
            try:
                await self.renew()
                was_unavailable = False
            except RedisUnavailableError as error:
                stop_if_cancelled()
                if not was_unavailable:
                    log.warning("leases_not_renewed", reason=str(error), alone=self._alone())
                was_unavailable = True
            await asyncio.sleep(self._ttl_s / (6 if was_unavailable else 3))

    async def lead(self, name: str, work: Work, progress: Progress) -> None:
        """Wait for the lease and work until it is lost, for ever. An error of `work` gives it back and is raised."""
        while True:
            stop_if_cancelled()
            progress()
            if await self._try(name):
                try:
                    await self._while_valid(name, work, progress)
                except LeaseLostError as error:
                    log.warning("lead_lost", lease=name, reason=str(error))
                finally:
                    await self.release([name])
            await asyncio.sleep(min(_TRY_AGAIN_S, self._ttl_s / 3))

    async def _try(self, name: str) -> bool:
        try:
            return bool(await self.acquire([name]))
        except RedisUnavailableError:
            stop_if_cancelled()
            return False

    async def _while_valid(self, name: str, work: Work, progress: Progress) -> None:
        async def working() -> None:
            await work(progress)

        task = asyncio.create_task(working(), name=f"lead {name}")
        try:
            while self.is_valid(name) and not task.done():
                await asyncio.wait({task}, timeout=WATCH_EVERY_S)
        finally:
            await end([task])
        if not task.cancelled():
            task.result()

    async def _ask(self, script: Script, names: Sequence[str], args: Sequence[Argument]) -> tuple[float, Reply]:
        """Run a script; return when it was sent, and the reply."""
        before = self._clock()
        try:
            reply = await self._redis.script(script, names, args)
        except RedisUnavailableError:
            self._unavailable_since = self._clock()
            raise
        self._unavailable_since = None
        return before, reply

    @property
    def _ttl_ms(self) -> int:
        return round(self._ttl_s * 1000)

    def _end_of(self, asked_at: float) -> float:
        return asked_at + self._ttl_s * (1 - _DRIFT)
