"""Every call waits its turn in the queue; a full queue makes the feed wait, and what is drained is claimed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.intake import QUEUE_SIZE, Intake
from embedded.valkey import EmbeddedRedis
from services.claims.outbox import Outbox
from tests.e2e.conftest import composed
from tests.e2e.test_claim_line import frozen, some_calls, subscribed


async def test_drained_is_what_was_claimed_not_only_decided(data_dir: Path, postgres_dsn: str) -> None:
    (call,) = some_calls(1)
    async with EmbeddedRedis(data_dir) as server, AsyncExitStack() as stack:
        made = await subscribed(stack, server.url, postgres_dsn)
        intake = made.of(Intake)
        deciding = asyncio.create_task(intake.decide(lambda: None))
        with frozen(server):
            await intake.take_in(call)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(intake.drained(), 0.1)
            assert made.metrics.counts.calls_received == 1
        await intake.drained()
        assert await made.of(Outbox).size() == 1
        assert await made.of(Outbox).cursor("native") == call.cursor
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)


async def test_for_a_call_without_room_the_feed_has_to_wait(redis_url: str, postgres_dsn: str) -> None:
    (call,) = some_calls(1)
    async with AsyncExitStack() as stack:
        intake = (await composed(stack, redis_url, postgres_dsn)).of(Intake)  # nobody decides
        for n in range(QUEUE_SIZE):
            await intake.take_in(replace(call, id=f"{n}"))
        waiting = asyncio.create_task(intake.take_in(call))
        await asyncio.sleep(0)
        assert not waiting.done()
        intake.token_queue.get_nowait()
        await waiting
