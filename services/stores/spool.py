"""What must happen, happens: at Redis or, while that is down, in the local store, from where it is brought to Redis.

Only a process that does everything alone goes on without Redis, and only after it has worked with it: its memory and
PostgreSQL then say who was accepted already. Operations are idempotent, so an answer that was lost costs nothing: the
same operation is written down and carried out again. Their order is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import structlog

from managers.redis.client import RedisManager, RedisUnavailableError, Reply
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.lock import Gate
from runtime.pace import pace
from runtime.waiting import REPORT_EVERY_S, Progress, turn
from services.stores.journal_tail import JournalTail, Noted
from services.stores.local_store import LocalAlert, LocalStore
from services.stores.operations import Operation, ScriptCall, Transaction
from services.stores.replay import replay

log = structlog.get_logger(__name__)

PAUSE_S: Final = 0.5
_PAGE: Final = 500


class Spool:
    """`store` is `None` where Redis cannot be done without: then its absence is the caller's to wait for."""

    def __init__(
        self,
        redis: RedisManager,
        *,
        store: LocalStore | None = None,
        tail: JournalTail | None = None,
        is_alone: Callable[[], bool] = lambda: True,
    ) -> None:
        """`tail`: what went into the journal and may not have left it."""
        self._tail = JournalTail() if tail is None else tail
        self._tail.redis_has_all = lambda: not self.waiting and not redis.written.in_doubt
        self._redis = redis
        self._store = store
        self._is_alone = is_alone
        self._gate = Gate()
        self._one_replay = asyncio.Lock()
        self._has_worked = False
        self._news = asyncio.Event()
        self.is_local = False
        """Whether operations go into the local store."""
        self.is_closed = False
        """Whether everybody waits for what is done `closed`."""

    @property
    def waiting(self) -> int:
        """Operations that Redis does not know yet."""
        return 0 if self._store is None else self._store.size

    @property
    def local_alerts(self) -> int:
        """Alerts that live in the local store."""
        return 0 if self._store is None else self._store.alerts

    async def unsettled(self) -> list[LocalAlert]:
        return [] if self._store is None else await self._store.unsettled()

    async def mark(self, ids: Sequence[str]) -> None:
        """Mark local alerts as in flight."""
        await self._needed_store().mark(ids)

    async def unmark(self, ids: Sequence[str]) -> None:
        await self._needed_store().unmark(ids)

    async def begin(self) -> None:
        """Bring to Redis what a killed process left behind. `RedisUnavailableError`: ask again."""
        await self.replay_all()
        self._has_worked = True

    async def execute(
        self, operation: Operation, settles: Sequence[str] = (), *, later: Operation | None = None
    ) -> Reply:
        """Carry out an idempotent operation; the reply is `None` when it was only written down.

        It is always written down where it `settles` local alerts, together with that. What is written down is `later`,
        where `operation` is right at this moment only: a fencing number is another one after the next start.
        `RedisUnavailableError` or `LocalStoreError`: nothing is known to have happened, do it again.
        """
        async with self._gate:
            if not settles and not self.is_local:
                try:
                    return await self._at_redis(operation)
                except RedisUnavailableError as error:
                    if not self.may_go_local():
                        raise
                    self.go_local(str(error))
            doubted = self._doubted()
            await self._needed_store().settle(settles, [*_again(doubted), later or operation])
            self._tail.keep(doubted)
            self._news.set()
            return None

    async def confirm(self) -> None:
        """Return when what was executed before is not in Redis's memory alone. `RedisUnavailableError`: do it again.

        Redis answers before it knows whether its disk takes it (`managers.redis.written`); asked next, it knows.
        """
        if not self.is_local and not await self._redis.has_written():
            self._redis.written.doubt("it says so itself")
            raise RedisUnavailableError("Redis has not written down what it answered")

    async def put(self, alerts: Sequence[LocalAlert], operation: Operation) -> None:
        """Keep local alerts, and the operation that tells Redis of them; to be called inside the gate."""
        doubted = self._doubted()
        await self._needed_store().put_alerts(alerts, [*_again(doubted), operation])
        self._tail.keep(doubted)
        self._news.set()

    def _doubted(self) -> list[Noted]:
        """Return what Redis has answered and may not have written down: should it end, it is nowhere else.

        It is written down here before anything that rests on it: a claim that takes the feed's cursor past it, a
        request that leaves for an alert out of it.
        """
        return self._tail.not_kept() if self._redis.written.in_doubt else []

    def entered(self) -> AbstractAsyncContextManager[None]:
        """Be inside the gate for something of which `execute` is not the whole."""
        return self._gate

    @asynccontextmanager
    async def closed(self, progress: Progress = lambda: None) -> AsyncGenerator[None]:
        """Let nothing happen meanwhile. Whoever has something to do waits, and cannot report progress."""
        async with self._gate.closed(progress):
            self.is_closed = True
            try:
                yield
            finally:
                self.is_closed = False

    @property
    def is_alone(self) -> bool:
        """Whether no other process has a part in the work."""
        return self._is_alone()

    def may_go_local(self) -> bool:
        return self._store is not None and self._has_worked and self._redis.is_unavailable and self._is_alone()

    def go_local(self, reason: str) -> None:
        if not self.is_local:
            self.is_local = True
            log.error("redis_bypassed", reason=reason)
        self._news.set()

    def _needed_store(self) -> LocalStore:
        if self._store is None:
            raise RedisUnavailableError("Redis is unavailable and there is no local store")
        return self._store

    async def _at_redis(self, operation: Operation) -> Reply:
        if isinstance(operation, ScriptCall):
            return await self._redis.script(operation.script, operation.keys, operation.args)
        return list(await self._redis.transaction([tuple(command) for command in operation.commands]))

    async def replay_all(self, progress: Progress = lambda: None) -> None:
        """Bring everything to Redis, in order; nothing is left where nothing can be added meanwhile."""
        async with turn(self._one_replay, progress):  # two at once would mix up the order
            if self._store is not None and not self._store.is_empty:
                await replay(self._store, self._redis, progress=progress)

    async def run(self, progress: Progress, refill: Callable[[Progress], Awaitable[object]]) -> None:
        """Bring operations to Redis whenever it is there and some are waiting, until cancelled.

        `refill` is awaited first: a Redis that came back empty is filled again.
        """
        while True:
            progress()
            try:
                async with asyncio.timeout(pace.seconds(REPORT_EVERY_S)):
                    await self._news.wait()
            except TimeoutError:
                continue
            if not self._redis.is_unavailable:
                await self._try_to_merge(progress, refill)
            if self.is_local or self.waiting:
                await asyncio.sleep(PAUSE_S)
            else:
                self._news.clear()

    async def _try_to_merge(self, progress: Progress, refill: Callable[[Progress], Awaitable[object]]) -> None:
        try:
            await refill(progress)
            await self.merge(progress)
        except TransientError as error:
            log.warning("local_store_waits", operations=self.waiting, reason=str(error))

    async def merge(self, progress: Progress = lambda: None) -> None:
        """Bring to Redis what happened without it, and work with it again."""
        began_with = self.waiting
        await self.replay_all(progress)  # the most of it while others go on
        async with self.closed(progress):
            await self.replay_all(progress)
            fault_point("merging")
            self.is_local = False
        log.info("local_store_merged", operations=began_with)


def _again(entries: Sequence[Noted]) -> list[Operation]:
    """Return what appends the entries to the journal once more, which changes nothing where they are."""
    pages = (entries[at : at + _PAGE] for at in range(0, len(entries), _PAGE))
    return [Transaction(commands=[noted.entry for noted in page]) for page in pages]
