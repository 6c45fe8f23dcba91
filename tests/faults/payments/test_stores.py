"""Redis and PostgreSQL die, forget everything and are unavailable while people pay."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.faults.ledger import IN_FLIGHT
from tests.faults.payments.conftest import PaymentVerdict
from tests.faults.payments.shop import Shop

REPLIES_LOST = 0.05
AWAY_S = {False: 3.0, True: 20.0}
"""By whether the run is full."""


@pytest.mark.thorough
async def test_redis_emptied(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        await shop.sell()
        await shop.invoices_stored()
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await shop.stage.redis.empty()
        counts = await shop.finish(bot)
    verdict("Redis emptied (FLUSHALL) while people pay", counts)


@pytest.mark.thorough
async def test_redis_emptied_again_and_again(shop: Shop, verdict: PaymentVerdict) -> None:
    times = 5
    async with shop.bot() as bot:
        await shop.sell()
        await shop.invoices_stored()
        async with shop.paying():
            for _ in range(times):
                await asyncio.sleep(shop.size.over_s / times)
                await shop.stage.redis.empty()
        counts = await shop.finish(bot)
    verdict(f"Redis emptied while people pay, {times} times", counts)


@pytest.mark.thorough
async def test_redis_emptied_and_the_bot_killed(shop: Shop, verdict: PaymentVerdict) -> None:
    """Nobody is left who knows more than PostgreSQL: the chain, the processor and Telegram are asked again."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(shop.bot())
        await shop.sell()
        await shop.invoices_stored()
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await first.kill()
            await shop.stage.redis.empty()
            second = await stack.enter_async_context(shop.bot())
        counts = await shop.finish(second)
    verdict("Redis emptied and the bot killed while people pay", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_redis_killed_and_restarted(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await shop.stage.redis.kill()
            await asyncio.sleep(1.0)
            await shop.stage.redis.restart()
        counts = await shop.finish(bot)
    verdict("Redis killed and started again while people pay", counts)


@pytest.mark.thorough
async def test_redis_away(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        async with shop.paying():
            await shop.books.more(len(shop.people) // 8)
            await shop.stage.redis_proxy.refuse()
            await asyncio.sleep(AWAY_S[shop.stage.size.full])
            await shop.stage.redis_proxy.repair()
        counts = await shop.finish(bot)
    verdict("Redis away while people pay", counts)


@pytest.mark.thorough
async def test_replies_of_redis_lost(shop: Shop, verdict: PaymentVerdict) -> None:
    """What was written down may seem to have failed, and is reported again."""
    async with shop.bot() as bot:
        async with shop.paying():
            shop.stage.redis_proxy.lose_replies(REPLIES_LOST)
            await asyncio.sleep(shop.size.over_s)
        await shop.stage.redis_proxy.repair()
        counts = await shop.finish(bot)
    assert shop.stage.redis_proxy.lost
    verdict(f"{REPLIES_LOST:.0%} of Redis's replies lost while people pay", counts)


@pytest.mark.thorough
async def test_postgres_away(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        async with shop.paying():
            await shop.books.more(len(shop.people) // 8)
            await shop.stage.postgres_proxy.refuse()
            await asyncio.sleep(AWAY_S[shop.stage.size.full])
            await shop.stage.postgres_proxy.repair()
        counts = await shop.finish(bot)
    verdict("PostgreSQL away while people pay", counts)


@pytest.mark.thorough
async def test_postgres_emptied(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        await shop.sell()
        await shop.invoices_stored()
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await shop.stage.empty_database(whole=False)
        await shop.invoices_stored()
        counts = await shop.finish(bot)
    verdict("PostgreSQL emptied (its schema dropped) while people pay", counts)


@pytest.mark.thorough
async def test_both_killed(shop: Shop, verdict: PaymentVerdict) -> None:
    async with shop.bot() as bot:
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await asyncio.gather(shop.stage.redis.kill(), shop.stage.postgres.kill())
            await asyncio.sleep(1.0)
            await asyncio.gather(shop.stage.redis.restart(), shop.stage.postgres.restart())
        counts = await shop.finish(bot)
    verdict("Redis and PostgreSQL killed at once while people pay", counts)


@pytest.mark.thorough
async def test_bot_killed_while_redis_is_away(shop: Shop, verdict: PaymentVerdict) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(shop.bot())
        async with shop.paying():
            await shop.books.more(len(shop.people) // 8)
            await shop.stage.redis_proxy.refuse()
            await asyncio.sleep(AWAY_S[shop.stage.size.full])
            await first.kill()
            await shop.stage.redis_proxy.repair()
            second = await stack.enter_async_context(shop.bot())
        counts = await shop.finish(second)
    verdict("`kill -9` of the bot while Redis is unavailable and people pay", counts, repeats=IN_FLIGHT)
