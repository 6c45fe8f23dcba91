"""An empty Redis is filled again: at start, or when it was emptied while we run.

PostgreSQL knows everything but what was journaled last, and that is still in our memory. So: nothing more is sent, the
gate is closed, the journal gets its tail back and is drained; then PostgreSQL knows who was accepted and what became
of it, and everything that is not settled goes into the outbox once more. Only then the epoch is written, which says
that this Redis is complete.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, LiteralString, Protocol

import msgspec
import structlog
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.subscribers.partitions import Partition
from managers.redis.client import Command, RedisManager, RedisUnavailableError
from managers.redis.written import ServerRun
from managers.storage.postgres import PostgresManager
from runtime.counted import counted
from runtime.errors import TransientError
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause, reporting, turn
from services.recovery.doubts import Doubts
from services.recovery.outbox_refill import OutboxRefill
from services.recovery.payments import PaymentsRefill
from services.stores import keys
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.spool import Spool
from services.subscribers.store import SubscribersStore

log = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 1.0
OTHERS_NOTICE_S: Final = 3.0
"""Other processes notice within a second or two and put their tails back."""
_FIRST_POLL_S: Final = 0.1
_BATCH: Final = 500

# A claim without its call is the half of what was being journaled when all was lost: the feed tells the call again, and
# it is decided anew. Unless its outcome is known.
_ACCEPTED: Final[LiteralString] = """
    SELECT token_address, user_id, call_id, claimed_at FROM claims c WHERE claimed_at > $1
        AND (EXISTS (SELECT 1 FROM calls k WHERE k.call_id = c.call_id)
            OR EXISTS (SELECT 1 FROM deliveries d WHERE d.call_id = c.call_id AND d.user_id = c.user_id))
"""
_ERASURES: Final[LiteralString] = "SELECT number, user_id, document::text AS document, done_at FROM erasures"
_CURSOR: Final[LiteralString] = """
    SELECT max((document->>'cursor')::bigint) AS position FROM
        (SELECT document FROM calls WHERE document ? 'cursor' ORDER BY decided_at DESC LIMIT 1000) newest
"""


class _Accepted(Struct, frozen=True, kw_only=True):
    """What an accepted token's record says when only its claim is known (`domain.matching.matcher.ProcessedToken`)."""

    timestamp: datetime
    call_id: str
    channels_checked: tuple[str, ...] = ()
    status: str = "accepted"
    channels_called_at: dict[str, datetime] = {}


class Senders(Protocol):
    """Who has alerts in hand; `services.delivery.delivery.DeliveryService` in the running bot."""

    def take_over(self, partitions: Iterable[Partition]) -> None: ...

    async def release(self, partitions: Iterable[Partition]) -> Collection[tuple[int, str]]: ...

    @property
    def owned(self) -> frozenset[Partition]: ...

    @property
    def recovered(self) -> frozenset[Partition]:
        """Of the owned ones those of which every mark of an earlier request was seen."""
        ...


class Refill:
    def __init__(
        self,
        *,
        redis: RedisManager,
        postgres: PostgresManager,
        journal: Journal,
        spool: Spool,
        subscribers: SubscribersStore,
        senders: Senders,
        database: Database,
        sends: bool,
        entitled: Callable[[], frozenset[Partition]],
        source: str,
        renew: Callable[[], Awaitable[object]],
        leads: Callable[[], Awaitable[bool]],
        say: Callable[[str], None],
        clock: Callable[[], datetime],
        rebuild_schedule: Callable[[Progress], Awaitable[object]] | None = None,
    ) -> None:
        """`renew`: tells an emptied Redis of our leases again. `leads`: whether it is this process that fills.

        `sends`: whether alerts are ever sent from here. `entitled`: the partitions that this process may send at this
        moment.
        """
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._spool = spool
        self._subscribers = subscribers
        self._senders = senders
        self._database = database
        self._entitled = entitled
        self._source = source
        self._renew = renew
        self._leads = leads
        self._say = say
        self._clock = clock
        self._rebuild_schedule = rebuild_schedule
        self._doubts = Doubts(redis, database, journal.begun, spool, sends=sends)
        self._outbox = OutboxRefill(redis=redis, postgres=postgres, spool=spool, clock=clock)
        self._payments = PaymentsRefill(redis=redis, postgres=postgres, clock=clock)
        self._one_poll = asyncio.Lock()
        self.is_filling = False

    async def run(self, progress: Progress) -> None:
        """Look again and again, until cancelled."""
        while True:
            progress()
            await asyncio.sleep(POLL_EVERY_S if self._doubts.is_noted else _FIRST_POLL_S)
            try:
                await self.poll(progress)
                await self._doubts.note_sender(self._senders.recovered)
            except TransientError as error:
                log.debug("redis_not_polled", reason=str(error))

    async def poll(self, progress: Progress = lambda: None) -> bool:
        """Fill Redis if it is not the one we know; returns whether it was. `TransientError`: look again.

        For PostgreSQL it waits, and everybody with it; for Redis only where nothing can be done without it.
        """
        async with turn(self._one_poll, progress):
            await self._doubts.meet()
            epoch = await self._redis.get(keys.EPOCH.of())
            doubts = self._redis.written.doubts
            server = await self._redis.server_run()
            if epoch is not None and self._journal.epoch in {None, epoch}:
                if not self._lacks_writes(server, doubts):
                    await self._journal.put_back_found()
                    self._journal.epoch = epoch
                    return False
                log.error("redis_lost_writes")
                # What it says is complete no more; and every other process is to notice.
                await self._redis.delete(keys.EPOCH.of())
            began_empty = self._journal.epoch is None
            if not began_empty:
                log.error("redis_emptied")
            owned = self._senders.owned
            self._doubts.certain = (self._doubts.certain | self._senders.recovered) & owned
            self.is_filling = True
            try:
                self._doubts.unknown.update(await reporting(self._senders.release(owned), progress))
                async with self._spool.closed(progress):
                    fill = partial(self._try_to_fill, progress, began_empty=began_empty)
                    unavailable = await retry_until_done(fill, progress)
                if unavailable is not None:
                    raise unavailable
                self._redis.written.trust(server.run_id, as_of=doubts)
            finally:
                self._senders.take_over(owned & self._entitled())
                self.is_filling = False
            return True

    def _lacks_writes(self, server: ServerRun, doubts: int) -> bool:
        """Whether the server that did not write what it answered has ended; else it still writes it, or has.

        `doubts`: how many there were when `server` was asked for.
        """
        written = self._redis.written
        if not server.writes:
            written.doubt("it says so itself")
        elif written.in_doubt and written.run_id and written.run_id != server.run_id:
            return True
        else:
            written.trust(server.run_id, as_of=doubts)
        return False

    async def _try_to_fill(self, progress: Progress, *, began_empty: bool) -> RedisUnavailableError | None:
        """Return why it was given up: Redis went away, and others can go on without it once the gate is open."""
        try:
            await self._fill(progress, began_empty=began_empty)
        except RedisUnavailableError as error:
            if not self._spool.may_go_local():
                raise
            return error
        return None

    async def _fill(self, progress: Progress, *, began_empty: bool) -> None:
        epoch = secrets.token_hex(8).encode()
        await self._redis.set(keys.NEXT_EPOCH.of(epoch.decode()), epoch, ex_s=keys.NEXT_EPOCH.expires_s)
        await self._renew()
        await self._spool.replay_all(progress)
        put_back = await self._journal.put_back()
        await self._doubts.tell(began_empty=began_empty)
        await self._journal.put_back_found()
        while not await self._leads():
            if await self._was_filled():
                return
            await pause(POLL_EVERY_S, progress)
        if not self._spool.is_alone:
            if await self._was_filled():
                return  # by somebody who led before, and has ended
            await asyncio.sleep(OTHERS_NOTICE_S)
        await self._database.make_schema()  # both may have been emptied
        # Should this end halfway, nobody takes the word of an earlier life for ours.
        await self._redis.delete(keys.EPOCH.of())
        await self._journal.drain_all(progress)
        subscribers = await self._subscribers.put_all_back(progress)
        if subscribers:
            self._say(f"Filling Redis: put back {counted(subscribers, 'subscriber')}; accepted tokens follow …")
        await self._payments.put_back(progress)
        await self._put_back_erasures(progress)
        accepted = await self._put_back_accepted(progress)
        waiting, held = await self._outbox.put_back(await self._doubts.of_all(), progress)
        await self._put_back_cursor()
        if self._rebuild_schedule is not None:
            await self._rebuild_schedule(progress)
        belongs_to, lost_both = await self._database.of_filled_redis()
        await self._complete(epoch, belongs_to)
        if lost_both:
            self._say("Both Redis and PostgreSQL were emptied: nobody is known any more. Restore PostgreSQL's backup.")
        counts = {"subscribers": subscribers, "accepted": accepted, "alerts": waiting, "held": held}
        certain, unknown = len(self._doubts.certain), len(self._doubts.unknown)
        log.info("redis_filled", journal=put_back, certain=certain, unknown=unknown, **counts)
        if subscribers:
            self._say(f"Redis filled. Accepted tokens: {accepted:,}, alerts: {waiting:,}, for digests: {held:,}.")

    async def _complete(self, epoch: bytes, belongs_to: Sequence[Command]) -> None:
        """Say that Redis is full, unless it was emptied while it was filled: then it has to be filled anew."""
        following = keys.NEXT_EPOCH.of(epoch.decode())
        commands: list[Command] = [("COPY", following, keys.EPOCH.of(), "REPLACE"), ("PERSIST", keys.EPOCH.of())]
        copied, *_ = await self._redis.transaction([*commands, ("DEL", following, keys.IN_DOUBT.of()), *belongs_to])
        if not copied:
            raise TransientError("Redis was emptied while it was filled")
        self._journal.epoch = epoch

    async def _was_filled(self) -> bool:
        """Whether another process has filled it."""
        epoch = await self._redis.get(keys.EPOCH.of())
        self._journal.epoch = epoch or self._journal.epoch
        return epoch is not None

    async def _put_back_accepted(self, progress: Progress) -> int:
        now, count = self._clock(), 0
        async for rows in self._postgres.stream(_ACCEPTED, now - ACCEPTED_FOR, batch=_BATCH):
            progress()
            commands: list[Command] = []
            for address, user_id, call_id, claimed_at in rows:
                left_ms = int((claimed_at + ACCEPTED_FOR - now).total_seconds() * 1000)
                record = msgspec.json.encode(_Accepted(timestamp=claimed_at, call_id=call_id))
                key = keys.ACCEPTED_TOKEN.of(address, user_id)
                commands.append(("SET", key, record, "NX", "PX", max(1, min(left_ms, keys.ACCEPTED_S * 1000))))
            await self._redis.transaction(commands)
            count += len(rows)
            if count % (100 * _BATCH) == 0:
                self._say(f"Accepted tokens put back: {count:,} so far.")
        return count

    async def _put_back_erasures(self, progress: Progress) -> None:
        async for rows in self._postgres.stream(_ERASURES, batch=_BATCH):
            progress()
            commands: list[Command] = [("HSET", keys.ERASED.of(), row["number"], row["document"]) for row in rows]
            going = [row for row in rows if row["done_at"] is None]
            commands += [("HSETNX", keys.ERASING.of(), row["user_id"], row["document"]) for row in going]
            await self._redis.transaction(commands)

    async def _put_back_cursor(self) -> None:
        row = await self._postgres.fetch_row(_CURSOR)
        if row is not None and row["position"] is not None:
            await self._redis.set(keys.FEED_CURSOR.of(self._source), row["position"], nx=True)
