"""The process that does everything alone, as far as its stores go, and a sender whose every step is a test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct, field

from domain.calls.events import Call, Channel, Token
from domain.delivery.policy import Hold
from domain.subscribers.partitions import ALL, Partition
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from managers.storage.sqlite import SqliteManager
from runtime.waiting import Progress
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.outbox import ClaimRequest, FeedCursor, Outbox, OutboxEntry
from services.claims.stored_calls import StoredCalls
from services.cluster.leases import Leases
from services.delivery.held import HeldCalls, Holding, record_of
from services.recovery.refill import Refill
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.local_store import LocalStore
from services.stores.spool import Spool
from services.subscribers.store import SubscribersStore
from tests.faults.proxy import FaultProxy

NOW = datetime.now(UTC)
SOURCE = "native"

Pair = tuple[int, str]
"""(user, call)"""


def call_of(call_id: str, address: str, cursor: int | None = None) -> Call:
    token, channel = Token(address=address), Channel(id="@alpha")
    return Call(id=call_id, token=token, channel=channel, called_at=NOW, received_at=NOW, cursor=cursor)


def request(call_id: str, address: str, *users: int, cursor: int | None = None) -> ClaimRequest:
    call = call_of(call_id, address, cursor)
    decided = {"call": call, "decided_at": NOW, "reason": "matched", "checked_channels": ()}
    return ClaimRequest(
        call_id=call_id,
        token_address=address,
        call_payload=msgspec.json.encode(call),
        decided_payload=msgspec.json.encode(decided),
        accepted=[(user, 1) for user in users],
        accepted_record=json.dumps({"status": "accepted", "call_id": call_id}).encode(),
        received_at=NOW,
        decided_at=NOW,
    )


def subscriber(user_id: int) -> Subscriber:
    return Subscriber(user_id=user_id, chat_id=user_id, name="", created_at=NOW)


def pair_of(entry: OutboxEntry) -> Pair:
    return entry.outgoing.user_id, entry.outgoing.key


class Hands:
    """What a sender has taken from the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._is_new = False
        self.owned: frozenset[Partition] = frozenset()
        self.entries: list[OutboxEntry] = []
        self.begun: set[Pair] = set()
        """Of which a request has left."""

    def take_over(self, partitions: Iterable[Partition]) -> None:
        self.owned |= frozenset(partitions)
        self._is_new = True

    @property
    def recovered(self) -> frozenset[Partition]:
        return frozenset() if self._is_new else self.owned

    async def release(self, partitions: Iterable[Partition]) -> Collection[Pair]:
        self.owned -= frozenset(partitions)
        unknown = {pair_of(entry) for entry in self.entries if entry.may_repeat} | self.begun
        self.entries = [entry for entry in self.entries if entry.is_local]
        self.begun &= {pair_of(entry) for entry in self.entries}
        return unknown

    async def read(self) -> list[OutboxEntry]:
        """Take what waits; return everything in hand."""
        if self._is_new:
            with suppress(RedisUnavailableError):
                self.entries += await self._outbox.recover("anna", ALL)
                self._is_new = False
        partitions = () if self._is_new else sorted(self.owned)
        if await self._may_be_more():
            self.entries += await self._outbox.read("anna", count=500, block_ms=1, partitions=partitions)
        return self.entries

    async def _may_be_more(self) -> bool:
        """Spare a read that would wait: the server looks only ten times a second whose time is up."""
        try:
            return await self._outbox.size() > len(self.entries)
        except RedisUnavailableError:
            return True

    def drop(self, entry: OutboxEntry) -> None:
        self.entries.remove(entry)
        self.begun.discard(pair_of(entry))


class Process(Struct, kw_only=True):
    redis: RedisManager
    postgres: PostgresManager
    store: LocalStore
    spool: Spool
    journal: Journal
    calls: StoredCalls
    outbox: Outbox
    held: HeldCalls
    subscribers: SubscribersStore
    leases: Leases
    hands: Hands
    refill: Refill
    said: list[str] = field(default_factory=list[str])

    async def start(self) -> None:
        """As `TokenFilterBot` does it."""
        await self.leases.acquire(["match:0", *(f"send:{p}" for p in ALL)])
        await self.spool.begin()
        await self.refill.poll()
        await self.outbox.recover_local()
        self.hands.take_over(ALL)

    async def come_back(self) -> None:
        """Redis is there again."""
        await self.refill.poll()
        await self.spool.merge()

    async def claim(self, *requests: ClaimRequest, cursor: FeedCursor | None = None) -> list[set[int]]:
        return await self.outbox.claim(requests, cursor)

    async def finish(self, *entries: OutboxEntry) -> None:
        records = [msgspec.structs.replace(record_of(e), status="sent", sent_at=NOW, message_id=1) for e in entries]
        await self.outbox.finish(entries, records)
        for entry in entries:
            self.hands.drop(entry)

    async def hold(self, entry: OutboxEntry) -> None:
        holding = Holding(entry=entry, verdict=Hold(NOW + timedelta(hours=1), "quiet"))
        await self.held.hold(entry.outgoing.user_id, [holding], NOW, capped=False)
        self.hands.drop(entry)

    async def dead_letter(self, entry: OutboxEntry) -> None:
        await self.outbox.dead_letter(entry, "refused", [record_of(entry)])
        self.hands.drop(entry)

    async def fates(self) -> dict[Pair, str]:
        """What PostgreSQL says became of alerts."""
        rows = await self.postgres.fetch("SELECT user_id, call_id, status FROM deliveries WHERE kind = 'alert'")
        return {(row["user_id"], row["call_id"]): row["status"] for row in rows}


@asynccontextmanager
async def process_on(
    redis_url: str,
    postgres: PostgresManager,
    path: Path,
    *,
    max_operations: int = 10_000,
    filling: Callable[[Progress], Awaitable[object]] | None = None,
) -> AsyncGenerator[Process]:
    """A process that was not started yet; it ends without a word, as if it were killed.

    `filling`: called when it has nearly filled Redis.
    """
    async with (
        RedisManager(redis_url) as redis,
        SqliteManager(path) as sqlite,
        LocalStore(sqlite, max_operations=max_operations) as store,
    ):
        journal = Journal(redis, postgres)
        spool = Spool(redis, store=store, tail=journal.tail)
        leases = Leases(redis, "anna", ttl_s=1000.0, alone=lambda: True)
        calls = StoredCalls(redis, postgres)
        outbox = Outbox(
            redis,
            journal,
            spool,
            calls,
            AcceptedPairs(postgres),
            match_fences=lambda: leases.fences(["match:0"]),
            send_fences=lambda partition: leases.fences([f"send:{partition}"]),
        )
        cache = SmartCache[int, Subscriber | None].of("settings")
        subscribers = SubscribersStore(redis, postgres, journal, cache)
        hands = Hands(outbox)
        said: list[str] = []

        async def leads() -> bool:
            return bool(await leases.acquire(["refill"]))

        refill = Refill(
            redis=redis,
            postgres=postgres,
            journal=journal,
            spool=spool,
            subscribers=subscribers,
            senders=hands,
            database=Database(redis, postgres),
            sends=True,
            entitled=lambda: ALL,
            source=SOURCE,
            renew=leases.renew,
            leads=leads,
            say=said.append,
            clock=lambda: datetime.now(UTC),
            rebuild_schedule=filling,
        )
        yield Process(
            redis=redis,
            postgres=postgres,
            store=store,
            spool=spool,
            journal=journal,
            calls=calls,
            outbox=outbox,
            held=HeldCalls(redis, spool, journal),
            subscribers=subscribers,
            leases=leases,
            hands=hands,
            refill=refill,
            said=said,
        )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells."""
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)


async def take_away(process: Process, proxy: FaultProxy) -> None:
    """Nobody listens any more, and the process knows it."""
    await proxy.refuse()
    while not process.redis.is_unavailable:
        with suppress(RedisUnavailableError):
            await process.redis.ping()
