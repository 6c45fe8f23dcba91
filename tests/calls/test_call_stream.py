from __future__ import annotations

import asyncio
import random

import pytest

from domain.subscribers.partitions import PARTITIONS
from managers.redis.client import RedisManager, RedisUnavailableError
from runtime.cancellation import end
from services.calls.call_stream import BEGINNING, Batch, CallReader, CallStream, position_of
from services.claims.claiming import CLAIM, FeedCursor, claim_command
from services.cluster.fencing import LeaseLostError
from services.cluster.leases import Leases
from services.stores import keys
from tests.cluster.kit import TTL_S, World, call
from tests.faults.proxy import FaultProxy
from tests.wiring import add_entry

EVERY = range(PARTITIONS)


@pytest.fixture
def stream(redis_manager: RedisManager) -> CallStream:
    return CallStream(redis_manager)


def cursor(position: int) -> FeedCursor:
    return FeedCursor(source="native", position=position)


def numbers(batch: Batch) -> list[int | None]:
    return [one.call.cursor for one in batch.calls]


async def feed_position(redis: RedisManager) -> int:
    return int(await redis.get(keys.FEED_CURSOR.of("native")) or 0)


async def claimed(redis: RedisManager, moves: dict[int, str]) -> None:
    """Claim a batch in which nobody passed; the cursors move."""
    await redis.script(CLAIM, *claim_command([], match_cursors=moves))


async def test_calls_come_out_as_they_went_in_in_order(stream: CallStream, redis_manager: RedisManager) -> None:
    hostile = [call(n, text="\x00 \u202e <b> ' \" ; DROP") for n in range(1, 8)]
    before = redis_manager.commands_sent
    await stream.publish(hostile, cursor(7))
    assert redis_manager.commands_sent - before <= 2  # the second where the script was unknown yet
    batch = await stream.read(BEGINNING, 5, 1)
    assert [one.call for one in batch.calls] == hostile[:5]
    rest = await stream.read(batch.read_to, 5, 1)
    assert [one.call for one in rest.calls] == hostile[5:]
    nothing = await stream.read(rest.read_to, 5, 1)
    assert (nothing.calls, nothing.read_to) == ([], rest.read_to)
    assert await feed_position(redis_manager) == 7


async def test_nothing_is_published_twice_whatever_reply_is_lost(redis_url: str, redis_manager: RedisManager) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        lossy = CallStream(redis)
        for number in range(1, 6):
            batch = [call(2 * number), call(2 * number + 1)]
            proxy.lose_reply_to(f"call-{2 * number}".encode())
            with pytest.raises(RedisUnavailableError):
                await lossy.publish(batch, cursor(2 * number + 1))
            await lossy.publish(batch, cursor(2 * number + 1))
            await lossy.publish(batch, cursor(2 * number + 1))
        assert proxy.lost == 5
        found = await lossy.read(BEGINNING, 100, 1)
    assert numbers(found) == list(range(2, 12))
    assert await feed_position(redis_manager) == 11


async def test_the_feeds_cursor_never_goes_back(stream: CallStream, redis_manager: RedisManager) -> None:
    await stream.publish([call(5)], cursor(5))
    await stream.publish([call(3)], cursor(3))
    await stream.publish([call(4)], None)
    assert await feed_position(redis_manager) == 5
    await stream.publish([], cursor(9))
    assert await feed_position(redis_manager) == 9
    await stream.publish([], None)
    assert await stream.size() == 3


async def test_a_frozen_ingest_publishes_nothing(stream: CallStream, redis_manager: RedisManager) -> None:
    world = World(redis_manager)
    ada, ben = (Leases(redis_manager, name, TTL_S, world.clock) for name in ("ada", "ben"))
    await ada.acquire(["ingest"])
    stale = ada.fences(["ingest"])
    await stream.publish([call(1)], cursor(1), lambda: stale)
    await world.wait(TTL_S)
    await ben.acquire(["ingest"])
    with pytest.raises(LeaseLostError):
        await stream.publish([call(2)], cursor(2), lambda: stale)
    with pytest.raises(LeaseLostError):
        await stream.publish([call(2)], cursor(2), lambda: ada.fences(["ingest"]))
    assert (await stream.size(), await feed_position(redis_manager)) == (1, 1)
    await stream.publish([call(2)], cursor(2), lambda: ben.fences(["ingest"]))
    assert await stream.size() == 2


async def test_a_full_stream_makes_the_feed_wait_and_drops_nothing(redis_manager: RedisManager) -> None:
    stream, reader = CallStream(redis_manager, longest=10), CallReader(CallStream(redis_manager))
    await reader.take_up(EVERY)
    for n in range(0, 10, 5):
        await stream.publish([call(n + i) for i in range(5)], cursor(n + 4))
    waiting = asyncio.create_task(stream.publish([call(n) for n in range(10, 15)], cursor(14)))
    first = await reader.read(6, 1)
    assert not waiting.done()
    assert await feed_position(redis_manager) == 9
    moves = reader.moves(first)
    await claimed(redis_manager, moves)
    reader.claimed(moves)
    assert await stream.trim() == 5
    await waiting
    found = numbers(first) + numbers(await reader.read(100, 1))
    assert found == list(range(15))
    assert await feed_position(redis_manager) == 14


async def test_a_batch_larger_than_the_stream_enters_an_empty_one(redis_manager: RedisManager) -> None:
    stream = CallStream(redis_manager, longest=3)
    await stream.publish([call(n) for n in range(5)], None)
    assert await stream.size() == 5


async def test_nothing_is_trimmed_that_a_partition_has_not_read(
    stream: CallStream, redis_manager: RedisManager
) -> None:
    await stream.publish([call(n) for n in range(20)], None)
    ids = [one.entry_id for one in (await stream.read(BEGINNING, 20, 1)).calls]
    await claimed(redis_manager, dict.fromkeys(range(PARTITIONS - 1), ids[12]))
    assert await stream.trim() == 0  # one has read nothing
    assert await stream.cursors([0, PARTITIONS - 1]) == {0: ids[12], PARTITIONS - 1: BEGINNING}
    await claimed(redis_manager, {PARTITIONS - 1: ids[7]})
    await stream.trim()
    assert numbers(await stream.read(ids[7], 100, 1)) == list(range(8, 20))
    assert numbers(await stream.read(BEGINNING, 100, 1)) == list(range(7, 20))


async def test_what_cannot_be_read_is_passed_over(stream: CallStream, redis_manager: RedisManager) -> None:
    await add_entry(redis_manager, keys.CALLS.of(), {"call": b"\xff{"})
    await add_entry(redis_manager, keys.CALLS.of(), {"other": b"1"})
    batch = await stream.read(BEGINNING, 10, 1)
    assert batch.calls == []
    assert batch.read_to != BEGINNING
    await stream.publish([call(1)], None)
    assert numbers(await stream.read(batch.read_to, 10, 1)) == [1]


async def test_a_partition_that_was_taken_up_while_a_batch_was_read_is_not_moved_over_what_it_lacks(
    stream: CallStream, redis_manager: RedisManager
) -> None:
    await stream.publish([call(n) for n in range(4)], None)
    ids = [one.entry_id for one in (await stream.read(BEGINNING, 4, 1)).calls]
    await claimed(redis_manager, {1: ids[1], 2: ids[0]})
    reader = CallReader(stream)
    await reader.take_up([1])
    batch = await reader.read(1, 1)
    assert numbers(batch) == [2]
    await reader.take_up([2])
    assert reader.moves(batch) == {1: ids[2]}
    reader.claimed(reader.moves(batch))
    back = await reader.read(2, 1)
    assert numbers(back) == [1, 2]
    assert reader.moves(back) == {2: ids[2]}  # the other one knows them
    reader.drop([2])
    assert reader.moves(back) == {}
    assert len(reader) == 1
    reader.drop([1])
    nothing = await reader.read(2, 1)  # the last partition may go while a read is repeated
    assert nothing.read_from == nothing.read_to
    assert not nothing.calls


async def test_the_stream_is_kept_short(stream: CallStream, redis_manager: RedisManager) -> None:
    await stream.publish([call(n) for n in range(3)], None)
    last = (await stream.read(BEGINNING, 3, 1)).read_to
    await claimed(redis_manager, dict.fromkeys(EVERY, last))
    keeping = asyncio.create_task(stream.keep_short(lambda: None))
    while await stream.size() > 1:  # each look gives the job its turn
        continue
    await end([keeping])


def test_entries_are_in_the_order_of_their_numbers() -> None:
    assert max("999-9", "1000-1", "1000-10", "1000-9", key=position_of) == "1000-10"


class Exchange:
    """Partitions change hands at random between readers, which may be killed before they claim."""

    def __init__(self, redis: RedisManager, dice: random.Random) -> None:
        self.redis, self.dice = redis, dice
        self.stream = CallStream(redis, longest=1_000)
        self.readers = [CallReader(self.stream) for _ in range(3)]
        self.owner = {p: self.readers[p % 3] for p in EVERY}
        self.seen: dict[int, list[int]] = {p: [] for p in EVERY}
        self.published = 0

    async def publish(self) -> None:
        batch = [call(self.published + n) for n in range(self.dice.randint(1, 9))]
        self.published += len(batch)
        await self.stream.publish(batch, None)

    async def change_hands(self) -> None:
        for p in self.dice.sample(EVERY, 5):
            self.owner[p].drop([p])
            self.owner[p] = self.dice.choice(self.readers)
            await self.owner[p].take_up([p])

    async def read(self) -> None:
        reader = self.dice.choice([one for one in self.readers if len(one)])
        batch = await reader.read(self.dice.choice([3, 7, 30]), 1)
        if self.dice.random() < 0.2:
            await self.change_hands()
        moves = reader.moves(batch)
        if not moves or self.dice.random() < 0.2:
            return
        await claimed(self.redis, moves)
        reader.claimed(moves)
        for p in moves:
            last = self.seen[p][-1] if self.seen[p] else -1
            self.seen[p] += [n for n in numbers(batch) if n is not None and n > last]

    async def trim(self) -> None:
        await self.stream.trim()


@pytest.mark.parametrize("seed", range(3))
async def test_every_partition_reads_every_call_in_order_whoever_reads(redis_manager: RedisManager, seed: int) -> None:
    dice = random.Random(seed)
    exchange = Exchange(redis_manager, dice)
    await exchange.publish()
    for reader in exchange.readers:
        await reader.take_up([p for p, owner in exchange.owner.items() if owner is reader])
    for _ in range(40):
        doing = dice.choices([exchange.publish, exchange.read, exchange.change_hands, exchange.trim], [2, 6, 1, 1])[0]
        await doing()
    for _ in range(500):
        if all(len(calls) == exchange.published for calls in exchange.seen.values()):
            break
        await exchange.read()
    everything = list(range(exchange.published))
    assert all(calls == everything for calls in exchange.seen.values())
