"""A call that finds nobody before it is decided where the socket is read; any other waits its turn in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.intake import QUEUE_SIZE
from composition import Composition
from embedded.valkey import EmbeddedRedis
from tests.e2e.conftest import composed
from tests.e2e.test_claim_line import frozen, some_calls, subscribed


@asynccontextmanager
async def deciding(redis_url: str, postgres_dsn: str) -> AsyncGenerator[Composition]:
    """A bot with one subscriber who takes everything; it waits for calls."""
    async with AsyncExitStack() as stack:
        made = await subscribed(stack, redis_url, postgres_dsn)
        jobs = asyncio.create_task(made.bot.engine.intake.decide(lambda: None))
        await asyncio.sleep(0.05)
        yield made
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)


async def test_one_in_a_turn_is_decided_at_once_and_the_next_ones_are_queued(redis_url: str, postgres_dsn: str) -> None:
    calls = some_calls(5)
    async with deciding(redis_url, postgres_dsn) as made:
        intake, counts = made.bot.engine.intake, made.metrics.counts
        assert [intake.take_in_now(call) for call in calls[:3]] == [True] * 3
        assert (counts.calls_received, intake.token_queue.qsize()) == (1, 2)
        await intake.drained()
        assert counts.calls_received == 3
        assert intake.take_in_now(calls[3])
        assert (counts.calls_received, intake.token_queue.qsize()) == (4, 0)
        await intake.drained()
        await intake.take_in(calls[4])
        await intake.drained()
        assert counts.calls_received == await made.outbox.size() == 5
        assert await made.outbox.cursor("native") == calls[4].cursor


async def test_a_call_that_has_to_ask_waits_in_the_queue_and_those_after_it_too(
    redis_url: str, postgres_dsn: str
) -> None:
    first, second = some_calls(2)
    first = replace(first, channel=replace(first.channel, id="@never_seen", record=None))
    async with deciding(redis_url, postgres_dsn) as made:
        intake, counts = made.bot.engine.intake, made.metrics.counts
        intake.take_in_now(first)
        intake.take_in_now(second)
        assert (counts.calls_received, intake.token_queue.qsize()) == (0, 2)
        await intake.drained()
        assert counts.calls_received == await made.outbox.size() == 2


async def test_drained_is_what_was_claimed_not_only_decided(data_dir: Path, postgres_dsn: str) -> None:
    (call,) = some_calls(1)
    async with EmbeddedRedis(data_dir) as server, deciding(server.url, postgres_dsn) as made:
        intake = made.bot.engine.intake
        with frozen(server):
            intake.take_in_now(call)
            assert made.metrics.counts.calls_received == 1
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(intake.drained(), 0.1)
        await intake.drained()
        assert await made.outbox.size() == 1


async def test_for_a_call_without_room_the_feed_has_to_wait(redis_url: str, postgres_dsn: str) -> None:
    (call,) = some_calls(1)
    async with AsyncExitStack() as stack:
        intake = (await composed(stack, redis_url, postgres_dsn)).bot.engine.intake  # nobody decides
        assert all(intake.take_in_now(replace(call, id=f"{n}")) for n in range(QUEUE_SIZE))
        assert not intake.take_in_now(call)
        waiting = asyncio.create_task(intake.take_in(call))
        await asyncio.sleep(0)
        assert not waiting.done()
        intake.token_queue.get_nowait()
        await waiting
