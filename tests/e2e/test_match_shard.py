"""A share of the matching changes hands in the middle of a batch: whoever has it in the end tells of every call."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from bot.shards import MatchShard
from composition import Composition, ProcessConfig
from managers.redis.client import RedisManager
from sandbox.market.market import Market
from services.calls.call_stream import CallStream
from services.claims.outbox import Outbox
from services.cluster.members import Members
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import composed

USER = 7
"""In partition 7, of which two processes give the second its share."""


async def prepare(stack: AsyncExitStack, redis_url: str, postgres_dsn: str) -> Composition:
    """Return an idle matching process, with a subscriber who takes everything."""
    before = await composed(stack, redis_url, postgres_dsn)
    await before.of(SubscriberServices).subscribers.open(user_id=USER, chat_id=USER, name="Ann", language="en")
    await before.of(SubscriberServices).sets.apply_preset(USER, "everything", None)
    await before.of(Journal).drain_all()
    return await composed(stack, redis_url, postgres_dsn, ProcessConfig(role="match", owner="a"))


async def test_what_was_matched_but_left_to_another_is_matched_again_when_the_other_dies_without_a_claim(
    redis_url: str, postgres_dsn: str, redis_manager: RedisManager
) -> None:
    async with AsyncExitStack() as stack:
        process = await prepare(stack, redis_url, postgres_dsn)
        members, shard, outbox = process.of(Members), process.of(MatchShard), process.of(Outbox)
        other = Members(redis_manager, "b", ["match"])
        await members.join()
        await shard.partitions.step()
        assert len(shard.partitions.share.owned) == 16

        deciding = asyncio.create_task(shard.decide(lambda: None))
        one_batch = shard._one_batch  # pyright: ignore[reportPrivateUsage] - the moment is the point
        while not one_batch.locked():  # noqa: ASYNC110 - a lock tells nobody that it was taken
            await asyncio.sleep(0)  # now it reads, and nothing is there
        await other.join()
        await members.beat()
        handing_over = asyncio.create_task(shard.partitions.step())
        while USER in shard.partitions.share.owned:  # noqa: ASYNC110 - nothing tells that it has begun to hand over
            await asyncio.sleep(0)
        await process.of(CallStream).publish([Market(seed=3).next_call(datetime.now(UTC))], None)
        await handing_over
        assert await outbox.size() == 0

        await other.leave()
        await members.beat()
        await shard.partitions.step()
        await outbox.prepare()
        async with asyncio.timeout(10):
            while not (told := await outbox.read("test", 10, 1_000)):
                pass
        assert [one.alert.user_id for one in told] == [USER]
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)
