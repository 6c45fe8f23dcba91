"""An emptied Redis is filled again, and nobody gets anything twice or not at all for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.subscribers.partitions import PARTITIONS, partition_of
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.claims.outbox import ClaimRequest, FeedCursor, OutboxEntry
from services.cluster.fencing import LeaseLostError
from services.delivery.held import records_of
from services.schedule.due_times import DIGEST, DueTimes, Place
from services.stores import keys
from tests.claims.alert_path import (
    NOW,
    SOURCE,
    Pair,
    Process,
    pair_of,
    process_on,
    request,
    subscriber,
    take_away,
    until,
)
from tests.faults.proxy import FaultProxy

_WAITS_FOR_CLAIMS: Final = """
    SELECT FROM pg_locks WHERE NOT granted AND relation = 'claims'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def flush(redis: RedisManager) -> None:
    await redis.transaction([("FLUSHALL",)])


def marks(entries: list[OutboxEntry]) -> dict[Pair, bool]:
    return {pair_of(entry): entry.may_repeat for entry in entries}


async def test_a_redis_that_is_known_is_left_alone(process: Process) -> None:
    await process.claim(request("c1", "So1", 7))
    assert not await process.refill.poll()
    assert await process.outbox.size() == 1
    assert process.hands.owned


async def test_emptied_while_we_run(process: Process, redis_manager: RedisManager) -> None:
    await process.subscribers.save(subscriber(7))
    await process.claim(request("c1", "So1", *range(6)), cursor=FeedCursor(source=SOURCE, position=5))
    entries = {e.alert.user_id: e for e in await process.hands.read()}
    await process.outbox.begin([entries[user] for user in range(4)])
    process.hands.begun.add(pair_of(entries[0]))  # nobody knows what became of this one
    await process.finish(entries[1])
    await process.dead_letter(entries[2])
    await process.outbox.give_back([entries[3]])
    await process.hold(entries[4])

    await flush(redis_manager)
    # Nothing is claimed or sent before it is filled.
    with pytest.raises(LeaseLostError):
        await process.claim(request("c2", "So1", 0, 9))
    with pytest.raises(LeaseLostError):
        await process.outbox.begin([entries[5]])
    assert await process.refill.poll()
    assert not await process.refill.poll()

    assert marks(await process.hands.read()) == {(0, "c1"): True, (3, "c1"): False, (5, "c1"): False}
    assert [call.call_id for call in await process.held.of(4)] == ["c1"]
    assert await process.claim(request("c2", "So1", *range(6), 9)) == [{9}]
    assert await redis_manager.exists(keys.SUBSCRIBER.of(7)) == 1
    await process.outbox.begin(process.hands.entries)
    await process.finish(*tuple(process.hands.entries))
    assert [pair_of(e) for e in await process.hands.read()] == [(9, "c2")]


async def test_a_new_process_fills_an_emptied_redis_from_postgres(
    redis_manager: RedisManager, postgres_manager: PostgresManager, path: Path, redis_url: str
) -> None:
    async with process_on(redis_url, postgres_manager, path) as before:
        await before.start()
        await before.subscribers.save(subscriber(7))
        claim = replace(request("c1", "So1", 7, 8, 9, cursor=41), also={8: (2, 3), 9: (4,)})
        await before.claim(claim, cursor=FeedCursor(source=SOURCE, position=41))
        [sent, held, _] = await before.hands.read()
        await before.finish(sent)
        await before.hold(held)
        await before.journal.drain_all()
    await flush(redis_manager)
    async with process_on(redis_url, postgres_manager, path) as process:
        await process.start()
        assert any("put back 1 subscriber" in line for line in process.said)
        # What was in flight then nobody knows: whatever has no outcome may be a repeat.
        assert marks(await process.hands.read()) == {(9, "c1"): True}
        assert process.hands.entries[0].alert.also == (4,)
        [call] = await process.held.of(8)
        assert (call.call_id, call.reason, call.may_repeat, call.also) == ("c1", "quiet", True, (2, 3))
        assert await process.outbox.cursor(SOURCE) == 41
        assert await process.claim(request("c2", "So1", 7, 8, 9, 10)) == [{10}]
        (ttl_ms,) = await redis_manager.transaction([("PTTL", "processed_token:So1:7")])
        assert isinstance(ttl_ms, int)
        assert datetime.now(UTC) + timedelta(milliseconds=ttl_ms) < NOW + ACCEPTED_FOR + timedelta(seconds=5)
        found = await process.subscribers.find(7)
        assert found == subscriber(7)
        assert await process.outbox.load_call(process.hands.entries[0].alert) is not None


async def test_calls_of_a_digest_that_had_not_gone_are_held_again(
    process: Process, redis_manager: RedisManager
) -> None:
    await process.claim(request("c1", "So1", 7), request("c2", "So2", 7))
    for entry in tuple(await process.hands.read()):
        await process.hold(entry)
    first, second = await process.held.of(7)
    await process.held.dispatch(7, [first], NOW)
    [digest] = await process.hands.read()
    sent = [replace(one, status="sent", sent_at=NOW, message_id=1) for one in records_of(digest)]
    await process.outbox.finish([digest], sent)
    process.hands.drop(digest)
    await process.held.dispatch(7, [second], NOW)
    await process.hands.read()
    await flush(redis_manager)
    await process.refill.poll()
    assert await process.hands.read() == []
    assert [call.call_id for call in await process.held.of(7)] == ["c2"]
    due = await DueTimes(process.redis).due([Place(DIGEST, partition_of(7))], datetime.now(UTC))
    assert [one.user_id for one in due] == [7]


async def test_emptied_while_it_was_away(process: Process, proxy: FaultProxy, redis_manager: RedisManager) -> None:
    await process.claim(request("c1", "So1", 7, 8, 9))
    [first, _, third] = await process.hands.read()
    await take_away(process, proxy)
    await process.outbox.begin([first])
    await process.finish(first)
    await process.outbox.begin([third])
    process.hands.begun.add(pair_of(third))
    await process.claim(request("c2", "So2", 7, 8))
    local = [e for e in await process.hands.read() if e.is_local]
    await process.finish(local[0])
    await flush(redis_manager)
    await proxy.repair()
    await process.come_back()
    # The local one is on its way from where it is, and not from Redis as well.
    assert [pair_of(e) for e in process.hands.entries] == [(8, "c2")]
    assert marks(await process.hands.read()) == {(8, "c2"): False, (8, "c1"): False, (9, "c1"): True}
    assert await process.claim(request("c3", "So1", 7, 8), request("c4", "So2", 7, 8)) == [set(), set()]
    await process.finish(*tuple(process.hands.entries))
    await process.spool.merge()
    assert await process.outbox.size() == 0


async def test_emptied_after_a_lost_reply_of_which_a_sender_got_the_alert(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    await process.claim(request("c0", "So0", 1))
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await process.claim(request("c1", "So1", 7))
    assert [pair_of(e) for e in await process.hands.read()] == [(1, "c0"), (7, "c1")]
    await take_away(process, proxy)
    assert await process.claim(request("c1", "So1", 7)) == [set()]
    await flush(redis_manager)
    await proxy.repair()
    await process.come_back()
    assert [pair_of(e) for e in await process.hands.read()] == [(1, "c0"), (7, "c1")]


async def test_what_comes_into_the_journal_while_it_is_drained_was_not_drained(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await process.claim(request("c1", "So1", 7))
    [entry] = await process.hands.read()
    await take_away(process, proxy)
    await process.outbox.begin([entry])
    await process.finish(entry)
    await proxy.repair()
    await process.redis.ping()
    async with postgres_manager.transaction() as statements:
        await statements.execute("LOCK TABLE claims")
        drain = asyncio.create_task(process.journal.drain_once())
        while not await postgres_manager.fetch(_WAITS_FOR_CLAIMS):  # noqa: ASYNC110 - only PostgreSQL knows
            await asyncio.sleep(0)
        await process.spool.merge()
    assert await drain == 2
    await flush(redis_manager)
    await process.refill.poll()
    assert await process.hands.read() == []
    await process.journal.drain_all()
    assert await process.fates() == {(7, "c1"): "sent"}


async def test_what_goes_on_waits_until_redis_is_filled(process: Process, redis_manager: RedisManager) -> None:
    await process.claim(request("c1", "So1", 7))
    await flush(redis_manager)
    poll = asyncio.create_task(process.refill.poll())
    await until(lambda: process.refill.is_filling)
    claimed: list[set[int]] = []
    async with asyncio.timeout(10):
        while not claimed:
            try:
                claimed = await process.claim(request("c2", "So1", 7, 8))
            except LeaseLostError:
                await asyncio.sleep(0)
        assert await poll
    assert claimed == [{8}]
    assert await process.outbox.size() == 2


async def test_redis_that_dies_while_it_is_filled_holds_nobody_up(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    await process.claim(request("c1", "So1", 7, 8))
    [first, second] = await process.hands.read()
    await process.outbox.begin([first])
    process.hands.begun.add(pair_of(first))
    await flush(redis_manager)
    poll = asyncio.create_task(process.refill.poll())
    await until(lambda: process.refill.is_filling)
    await proxy.refuse()
    async with asyncio.timeout(20):
        with pytest.raises(RedisUnavailableError):
            await poll
        assert await process.claim(request("c2", "So1", 9)) == [{9}]
    await proxy.repair()
    await process.come_back()
    assert marks(await process.hands.read() + await process.outbox.read("anna", 9, 1)) == {
        pair_of(second): False,
        pair_of(first): True,  # still, although it is another attempt that has filled Redis
        (9, "c2"): False,
    }


async def test_a_redis_that_is_filled_by_another_process_is_taken_as_it_is(
    process: Process, redis_manager: RedisManager
) -> None:
    await process.claim(request("c1", "So1", 7))
    await flush(redis_manager)
    await redis_manager.set(keys.EPOCH.of(), b"by another")
    await redis_manager.set(keys.LEASE.of("refill"), b"1 another")
    process.leases.forget(["refill"])
    await process.journal.drain_all()  # there is nothing in it, and PostgreSQL does not know the claim for that
    assert await process.refill.poll()
    assert await redis_manager.get(keys.EPOCH.of()) == b"by another"
    assert not await process.refill.poll()
    await process.journal.drain_all()
    assert [row["user_id"] for row in await process.postgres.fetch("SELECT user_id FROM claims")] == [7]


async def test_a_fill_that_was_interrupted_begins_anew(
    process: Process, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await process.claim(request("c1", "So1", 7))
    await process.journal.drain_all()
    await flush(redis_manager)
    await redis_manager.set(keys.EPOCH.of(), b"of an earlier life")  # a server that came back with old data
    await postgres_manager.execute("ALTER TABLE claims RENAME TO unreachable")
    poll = asyncio.create_task(process.refill.poll())
    while await redis_manager.get(keys.EPOCH.of()) is not None:  # noqa: ASYNC110 - only Redis knows
        await asyncio.sleep(0)
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    await postgres_manager.execute("ALTER TABLE unreachable RENAME TO claims")
    assert await process.refill.poll()
    assert [pair_of(e) for e in await process.hands.read()] == [(7, "c1")]


# any history

USERS = 4
TOKENS = 3
step = st.tuples(
    st.sampled_from(
        ["claim"] * 5
        + ["read"] * 4
        + ["begin"] * 4
        + ["finish"] * 4
        + ["hold", "bury", "give_back", "lost", "lost and read", "lost and away"]
        + ["away", "back", "back", "empty", "look", "drain", "merge", "restart"]
    ),
    st.integers(0, 2**16),
)


class History:
    """What happens to one process after the other, and what must be true of it."""

    def __init__(self, process: Process, proxy: FaultProxy, direct: RedisManager) -> None:
        self.process = process
        self.proxy = proxy
        self.direct = direct
        self.matched: set[tuple[str, int]] = set()
        """What the matcher remembers."""
        self.wanted: set[tuple[str, int]] = set()
        self.pending: list[ClaimRequest] = []
        self.requests: Counter[Pair] = Counter()
        """Requests to Telegram that left."""
        self.settled: dict[Pair, str] = {}
        self.addresses: dict[str, str] = {}
        self.numbers = count()
        self.is_unavailable = False

    async def take(self, name: str, value: int) -> None:
        steps: dict[str, Callable[[int], Awaitable[None]]] = {
            "claim": self.claim,
            "read": self.read,
            "begin": self.begin,
            "finish": self.finish,
            "hold": self.hold,
            "bury": self.dead_letter,
            "give_back": self.give_back,
            "lost": self.claim_with_lost_reply,
            "lost and read": self.claim_with_lost_reply,
            "lost and away": self.claim_with_lost_reply,
            "away": self.unavailable,
            "back": self.back,
            "empty": self.empty,
            "look": self.poll,
            "drain": self.drain,
            "merge": self.merge,
        }
        if name == "lost and read":
            value |= 2**17
        if name == "lost and away":
            value |= 2**17 + 2**18
        with suppress(LeaseLostError):
            await steps[name](value)

    def decide(self, value: int) -> None:
        call_id, address = f"c{next(self.numbers)}", f"So{value % TOKENS}"
        users = [u for u in range(USERS) if value >> (2 + u) & 1 and (address, u) not in self.matched]
        self.matched |= {(address, user) for user in users}
        self.wanted |= {(address, user) for user in users}
        self.addresses[call_id] = address
        self.pending.append(request(call_id, address, *users))

    async def claim(self, value: int) -> None:
        self.decide(value)
        await self.claim_pending()

    async def claim_pending(self) -> None:
        while self.pending:
            await persist(lambda: self.process.claim(self.pending[0]))
            del self.pending[0]

    async def claim_with_lost_reply(self, value: int) -> None:
        await self.claim_pending()
        self.decide(value)
        if not self.process.spool.is_local and not self.is_unavailable:
            self.proxy.lose_reply_to(b"EVALSHA")
            with suppress(TransientError):
                await self.process.claim(self.pending[0])
            if value & 2**17:
                await self.read(0)
            if value & 2**18:
                await self.unavailable(0)
        await self.claim_pending()

    async def read(self, value: int) -> None:
        del value
        with suppress(TransientError):
            await self.process.hands.read()
        pairs = [pair_of(entry) for entry in self.process.hands.entries]
        assert len(pairs) == len(set(pairs))
        assert not set(pairs) & set(self.settled)

    def one(self, value: int, *, begun: bool) -> OutboxEntry | None:
        hands = self.process.hands
        found = [e for e in hands.entries if (pair_of(e) in hands.begun) == begun]
        return found[value % len(found)] if found else None

    async def begin(self, value: int) -> None:
        entry = self.one(value, begun=False)
        if entry is not None:
            await persist(lambda: self.process.outbox.begin([entry]))
            self.process.hands.begun.add(pair_of(entry))
            self.requests[pair_of(entry)] += 1
            assert self.requests[pair_of(entry)] == 1 or entry.may_repeat

    async def finish(self, value: int) -> None:
        entry = self.one(value, begun=True)
        if entry is not None:
            await persist(lambda: self.process.finish(entry))
            self.settle(entry, "sent")

    async def hold(self, value: int) -> None:
        entry = self.one(value, begun=False)
        if entry is not None:
            await persist(lambda: self.process.hold(entry))
            self.settle(entry, "digest")

    async def dead_letter(self, value: int) -> None:
        entry = self.one(value, begun=False)
        if entry is not None:
            await persist(lambda: self.process.dead_letter(entry))
            self.settle(entry, "dead")

    async def give_back(self, value: int) -> None:
        entry = self.one(value, begun=True)
        if entry is not None:
            await persist(lambda: self.process.outbox.give_back([entry]))
            self.process.hands.begun.discard(pair_of(entry))
            self.requests[pair_of(entry)] -= 1

    def settle(self, entry: OutboxEntry, status: str) -> None:
        assert pair_of(entry) not in self.settled
        self.settled[pair_of(entry)] = status

    async def unavailable(self, value: int) -> None:
        del value
        await take_away(self.process, self.proxy)
        self.is_unavailable = True

    async def back(self, value: int) -> None:
        del value
        await self.proxy.repair()
        self.is_unavailable = False
        await self.process.come_back()

    async def empty(self, value: int) -> None:
        del value
        await flush(self.direct)

    async def poll(self, value: int) -> None:
        del value
        with suppress(TransientError):
            await self.process.refill.poll()

    async def drain(self, value: int) -> None:
        del value
        with suppress(TransientError):
            await self.process.journal.drain_all()

    async def merge(self, value: int) -> None:
        del value
        with suppress(TransientError):
            await self.process.come_back()

    async def die(self) -> None:
        """Leave to the next process what is in the stores; everything else is gone."""
        # What was journaled last and is lost with Redis, and what was begun without Redis, have tests of their own.
        await self.back(0)
        await self.claim_pending()
        await self.process.journal.drain_all()
        self.matched.clear()

    async def end(self) -> None:
        await self.back(0)
        await self.claim_pending()
        for _ in range(2):
            await self.read(0)
        while self.process.hands.entries:
            await self.begin(0)
            await self.finish(0)
            await self.read(0)
        await self.process.come_back()
        await self.process.journal.drain_all()

        settled = Counter((self.addresses[call_id], user) for user, call_id in self.settled)
        assert settled == Counter(self.wanted)
        assert await self.process.fates() == self.settled
        assert await self.process.outbox.size() == self.process.spool.waiting == 0
        assert self.process.store.refused == 0
        held = {(user, call.call_id) for user in range(USERS) for call in await self.process.held.of(user)}
        assert held == {pair for pair, status in self.settled.items() if status == "digest"}
        for address, user in self.wanted:
            assert await self.direct.exists(keys.ACCEPTED_TOKEN.of(address, user))
        assert await self.direct.exists(*map(keys.IN_FLIGHT.of, range(PARTITIONS))) == 0


async def persist(operation: Callable[[], Awaitable[object]]) -> None:
    """As `runtime.retry` does it, without its waits."""
    for _ in range(10):
        with suppress(TransientError):
            await operation()
            return
    await operation()


@asynccontextmanager
async def clean(postgres: PostgresManager, redis: RedisManager) -> AsyncGenerator[None]:
    await flush(redis)
    await postgres.execute("TRUNCATE claims, deliveries, calls, channels, subscribers CASCADE")
    yield


_files = count()


# A local alert of the process before is settled: the journal that is drained does not know of it yet.
@example(
    steps=[
        *[("claim", 0), ("claim", 0), ("lost and away", 0), ("claim", 4), ("restart", 0)],
        *[("begin", 0), ("finish", 0), ("drain", 0), ("back", 0), ("empty", 0)],
    ]
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, min_size=10, max_size=60))
async def test_whatever_happens_every_pair_is_settled_once(
    redis_url: str,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    tmp_path: Path,
    steps: list[tuple[str, int]],
) -> None:
    path = tmp_path / f"{next(_files)}.sqlite"
    left = iter(steps)
    history: History | None = None
    is_over = False
    async with clean(postgres_manager, redis_manager), FaultProxy(redis_url) as proxy:
        while not is_over:
            async with process_on(proxy.redis_url, postgres_manager, path) as process:
                await process.start()
                await process.hands.read()  # emptied before, Redis would have lost the marks of the one before
                history = history or History(process, proxy, redis_manager)
                history.process = process
                is_over = True
                for name, value in left:
                    if name == "restart":
                        await history.die()
                        is_over = False
                        break
                    await history.take(name, value)
                if is_over:
                    await history.end()


def test_the_partitions_of_the_history_differ() -> None:
    assert len({partition_of(user) for user in range(USERS)}) == USERS
