"""Calls are decided while earlier ones are being claimed: in order, all of them, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from bot.intake import Intake
from bot.roles import exclusive_leases
from composition import Composition
from domain.calls.events import Call, ChannelRecord
from embedded.valkey import EmbeddedRedis
from sandbox.market.market import Market
from services.claims.outbox import Outbox
from services.cluster.leases import Leases
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import composed


def some_calls(count: int) -> list[Call]:
    """Calls of different tokens; their channels are known, so that deciding them asks nobody."""
    market, calls = Market(seed=3), dict[str, Call]()
    while len(calls) < count:
        call = market.next_call(datetime.now(UTC))
        channel = replace(call.channel, record=ChannelRecord(calls=3, win_rate_percent=50.0))
        calls.setdefault(call.token.address, replace(call, channel=channel))
    return [replace(call, id=f"call-{n}", cursor=n) for n, call in enumerate(calls.values(), start=1)]


@contextmanager
def frozen(server: EmbeddedRedis) -> Generator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def subscribed(stack: AsyncExitStack, redis_url: str, postgres_dsn: str) -> Composition:
    """A bot with one subscriber who takes everything."""
    made = await composed(stack, redis_url, postgres_dsn)
    await made.of(Leases).acquire(exclusive_leases())
    await made.of(SubscriberServices).subscribers.open(user_id=7, chat_id=7, name="Ann", language="en")
    await made.of(SubscriberServices).sets.apply_preset(7, "everything", None)
    await made.bot.load()
    return made


async def decided(made: Composition, calls: list[Call]) -> None:
    """Queue them one by one, each when the one before is decided."""
    for call in calls:
        already = made.metrics.counts.calls_received
        await made.of(Intake).token_queue.put(call)
        while made.metrics.counts.calls_received == already:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0)


async def test_what_is_decided_during_a_claim_goes_together_with_the_next(data_dir: Path, postgres_dsn: str) -> None:
    calls = some_calls(6)
    async with EmbeddedRedis(data_dir) as server, AsyncExitStack() as stack:
        made = await subscribed(stack, server.url, postgres_dsn)
        intake, outbox, redis = made.of(Intake), made.of(Outbox), made.connections.redis
        deciding = asyncio.create_task(intake.decide(lambda: None))
        trips = redis.round_trips
        with frozen(server):
            await decided(made, calls)
            joining = asyncio.create_task(intake.token_queue.join())
            await asyncio.sleep(0)
            assert not joining.done()
        await joining
        assert redis.round_trips - trips <= 3  # two claims; the server learns the script with the first
        assert await outbox.size() == len(calls)
        assert await outbox.cursor("native") == calls[-1].cursor
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)


async def test_cancelled_with_a_claim_on_its_way_nothing_is_lost_or_doubled(data_dir: Path, postgres_dsn: str) -> None:
    calls = some_calls(4)
    async with EmbeddedRedis(data_dir) as server, AsyncExitStack() as stack:
        killed = await subscribed(stack, server.url, postgres_dsn)
        deciding = asyncio.create_task(killed.of(Intake).decide(lambda: None))
        with frozen(server):
            await decided(killed, calls)
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)
        # The claim that was under way may have arrived, those in line behind it have not.
        assert await killed.of(Outbox).cursor("native") in {None, calls[0].cursor}
        await killed.of(Leases).release_all()

        made = await subscribed(stack, server.url, postgres_dsn)
        intake = made.of(Intake)
        deciding = asyncio.create_task(intake.decide(lambda: None))
        await decided(made, calls)
        await intake.token_queue.join()
        assert await made.of(Outbox).size() == len(calls)
        assert await made.of(Outbox).cursor("native") == calls[-1].cursor
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)
