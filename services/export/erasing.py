"""A person goes, and with them everything but the books.

It is written down first: from then on they have no document, nobody stores one, and the journal deletes what PostgreSQL
has. Then Redis is gone through; once more when what other processes had in hand must have settled; then they get a
receipt. Whatever ends a process, the next one finds the deletion in Redis and goes on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType
from typing import Final, LiteralString

import msgspec
import structlog

from domain.delivery.messages import Message
from domain.stored.erasures import Erasure
from managers.redis.client import Command, RedisManager
from managers.redis.scripts import Script, packed, raw
from managers.storage.postgres import PostgresManager
from runtime.errors import DeliveryError, FloodError, TransientError
from runtime.fault_points import fault_point
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause
from services.cluster.changes import CHANGES_KEPT
from services.export.exporting import Courier
from services.export.traces import Traces
from services.stores import keys
from services.stores.journal import Journal, entry
from services.subscribers.subscribers import Subscribers
from texts.renderer import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SETTLED_AFTER_S: Final = 60.0
"""Other processes have by then taken up that somebody is gone, and settled what they had in hand."""
SETTLED_ALONE_S: Final = 2.0
LOOK_EVERY_S: Final = 5.0
_POLL_S: Final = 0.2
_RECEIPT_ATTEMPTS: Final = 5
_NUMBER_BYTES: Final = 5

Others = Callable[[int], Awaitable[int]]
"""Deletes what some part keeps of a person beside all this; returns how much it was. May be repeated."""

_ERASE: Final = Script.beside(__file__, "erase.lua")
_DELETED: Final[LiteralString] = "SELECT deleted FROM erasures WHERE number = $1"
_DONE: Final[LiteralString] = "UPDATE erasures SET done_at = now() WHERE number = $1 AND done_at IS NULL"


class ErasingService:
    def __init__(
        self,
        *,
        redis: RedisManager,
        postgres: PostgresManager,
        journal: Journal,
        subscribers: Subscribers,
        courier: Courier,
        texts: Texts,
        clock: Callable[[], datetime],
        owner: str,
        is_alone: Callable[[], bool],
        is_settled: Callable[[], bool],
        before: Callable[[int], Awaitable[object]],
        others: Mapping[str, Others] = MappingProxyType({}),
    ) -> None:
        """`is_settled`: whether nothing waits in the local store. `before`: what has to be done while they are known.

        `is_alone`: whether no other process has anything of them in hand. `others`: by the table that it is in.
        """
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._subscribers = subscribers
        self._courier = courier
        self._texts = texts
        self._clock = clock
        self._owner = owner
        self._is_alone = is_alone
        self._is_settled = is_settled
        self._before = before
        self._others = others
        self._traces = Traces(redis)
        self._woken = asyncio.Event()
        self.completed = 0
        """Since the start."""

    async def ask(self, *, user_id: int, chat_id: int, language: str) -> Erasure:
        """Begin to delete somebody; return what is under way. May be repeated. `TransientError`: nothing has begun."""
        await self._before(user_id)
        known = await self._subscribers.find(user_id)
        erasure = Erasure(
            number=f"{self._clock():%Y%m%d}-{secrets.token_hex(_NUMBER_BYTES).upper()}",
            user_id=user_id,
            chat_id=chat_id,
            language=language,
            born_at=known.created_at if known else None,
            asked_at=self._clock(),
        )
        document = msgspec.json.encode(erasure)
        names = [keys.ERASING.of(), keys.SUBSCRIBER.of(user_id), keys.SUBSCRIBERS.of()]
        names += [keys.JOURNAL.of(), keys.CHANGES.of()]
        args = packed(user_id=user_id, erasure=raw(document), by=self._owner, changes_kept=CHANGES_KEPT)

        async def begin() -> bytes:
            reply = await self._redis.script(_ERASE, names, args)
            return reply if isinstance(reply, bytes) else document

        standing = await self._subscribers.remove(user_id, begin)
        if standing == document:
            self._journal.tail.note([entry("erasure", document)])
            log.info("erasure_asked", user_id=user_id, number=erasure.number)
        self._woken.set()
        return msgspec.json.decode(standing, type=Erasure)

    async def run(self, progress: Progress) -> None:
        """Complete what was asked for, for ever."""
        while True:
            self._woken.clear()
            await retry_until_done(lambda: self.go_on(progress), progress)
            with suppress(TimeoutError):
                async with asyncio.timeout(pace.seconds(LOOK_EVERY_S)):
                    await self._woken.wait()

    async def go_on(self, progress: Progress) -> None:
        """Complete every deletion that is under way."""
        for user_id, document in (await self._redis.hgetall(keys.ERASING.of())).items():
            try:
                erasure = msgspec.json.decode(document, type=Erasure)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                # It stays, for somebody to look at; the others have their turn.
                log.warning("erasure_unreadable", user_id=user_id, reason=str(error))
                continue
            await self._complete(erasure, progress)

    async def _complete(self, erasure: Erasure, progress: Progress) -> None:
        user_id = erasure.user_id
        deleted = await self._deleted(erasure, progress)
        fault_point("erased rows")
        await self._traces.remove(user_id, progress)
        for table, delete in self._others.items():
            deleted[table] = await delete(user_id)
        fault_point("erased keys")
        await self._settle(erasure, progress)
        # Everybody who follows the changes has read on by now, to this mark at least.
        mark = ("XADD", keys.CHANGES.of(), "MAXLEN", "~", CHANGES_KEPT, "*", "by", self._owner)
        await self._redis.transaction([mark])
        await self._subscribers.remove(user_id, _nothing)
        await self._traces.remove(user_id, progress)
        self._journal.begun.compact()
        await self._give_receipt(erasure, deleted, progress)
        fault_point("erasure told")
        document = msgspec.json.encode(erasure)
        await self._postgres.execute(_DONE, erasure.number)
        done: list[Command] = [
            ("HSET", keys.ERASED.of(), erasure.number, document),
            ("HDEL", keys.ERASING.of(), user_id),
        ]
        await self._redis.transaction(done)
        self.completed += 1
        log.info("erasure_completed", user_id=user_id, number=erasure.number)

    async def _deleted(self, erasure: Erasure, progress: Progress) -> dict[str, int]:
        """Wait until the journal has brought it to PostgreSQL; return how many rows were deleted, by table."""
        while True:
            row = await self._postgres.fetch_row(_DELETED, erasure.number)
            if row is not None:
                return msgspec.json.decode(row["deleted"], type=dict[str, int])
            await pause(_POLL_S, progress)

    async def _settle(self, erasure: Erasure, progress: Progress) -> None:
        """Wait until nobody can have anything of them in hand that is not written down."""
        while True:
            waits_s = SETTLED_ALONE_S if self._is_alone() else SETTLED_AFTER_S
            left_s = waits_s - (self._clock() - erasure.asked_at).total_seconds()
            if self._is_settled() and left_s <= 0:
                return
            await pause(min(max(left_s, _POLL_S), waits_s), progress)

    async def _give_receipt(self, erasure: Erasure, deleted: dict[str, int], progress: Progress) -> None:
        """Tell them. Who cannot be written to any more is gone without it; after a kill it may come twice."""
        html = self._texts.render(
            "leaving.receipt",
            erasure.language,
            number=erasure.number,
            at=f"{self._clock():%d %b %Y %H:%M} UTC",
            rows=f"{sum(deleted.values()):,}",
        )
        for left in reversed(range(_RECEIPT_ATTEMPTS)):
            progress()
            try:
                await self._courier.send(erasure.chat_id, Message(html=str(html)))
            except (TransientError, FloodError) as error:
                log.warning("receipt_delayed", number=erasure.number, reason=str(error))
                if not left:
                    return
                await pause(error.retry_after_s if isinstance(error, FloodError) else _POLL_S, progress)
            except DeliveryError as error:
                log.warning("receipt_not_given", number=erasure.number, reason=str(error))
                return
            else:
                return


async def _nothing() -> None:
    """Nothing more to begin."""
