"""Calls that flow while subscribers are still being loaded: nobody misses one, and a kill meanwhile loses none."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from msgspec.structs import replace

from bot.intake import Intake
from bot.roles import exclusive_leases
from sandbox.market.market import Market
from services.claims.outbox import Outbox
from services.cluster.leases import Leases
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import composed


async def test_who_is_loaded_late_gets_the_call_and_the_cursor_waits_for_it(redis_url: str, postgres_dsn: str) -> None:
    market = Market(seed=3)
    early, later = (replace(market.next_call(datetime.now(UTC)), id=f"call-{n}", cursor=n) for n in (1, 2))
    async with AsyncExitStack() as stack:
        before = await composed(stack, redis_url, postgres_dsn)
        await before.of(SubscriberServices).subscribers.open(user_id=7, chat_id=7, name="Ann", language="en")
        await before.of(SubscriberServices).sets.apply_preset(7, "everything", None)
        await before.of(Journal).drain_all()

        restarted = await composed(stack, redis_url, postgres_dsn)
        bot, intake = restarted.bot, restarted.of(Intake)
        await restarted.of(Leases).acquire(exclusive_leases())
        deciding = asyncio.create_task(intake.decide(lambda: None))  # without the other jobs
        await intake.token_queue.put(early)
        await intake.token_queue.join()
        assert await restarted.of(Outbox).size() == 0
        assert await restarted.of(Outbox).cursor("native") is None

        await bot.load()
        assert await restarted.of(Outbox).size() == 1
        await intake.token_queue.put(later)
        await intake.token_queue.join()
        assert await restarted.of(Outbox).cursor("native") == 2
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)
