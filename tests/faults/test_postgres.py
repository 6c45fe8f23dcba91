"""PostgreSQL dies, stands still and is unavailable: no alert waits for it, and nothing is missing in it afterwards."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.stage import Stage

FROZEN_S = 7.0


async def journaled(stage: Stage, *, timeout_s: float = 90) -> None:
    """Wait until PostgreSQL knows of every delivery."""
    async with asyncio.timeout(timeout_s):
        while stage.ledger.expected - await stage.delivered_in_database():  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.2)


@pytest.mark.thorough
async def test_killed_and_restarted(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.postgres.kill()
            await stage.postgres.restart()
        await stage.complete(bot)
        await journaled(stage)
        counts = await stage.finish(bot)
    verdict("PostgreSQL killed (`-m immediate`) and started again", counts)


@pytest.mark.thorough
async def test_frozen(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        stage.postgres.freeze()
        async with stage.playing():
            await asyncio.sleep(FROZEN_S if stage.size.full else 2)
        await stage.complete(bot)
        missed = len(stage.ledger.missing)
        stage.postgres.thaw()
        await journaled(stage)
        counts = await stage.finish(bot)
    assert missed == 0, "alerts waited for PostgreSQL"
    verdict("PostgreSQL frozen", counts)


@pytest.mark.thorough
async def test_away(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=stage.size.away_s):
            await stage.postgres_proxy.refuse()
            await asyncio.sleep(stage.size.away_s)
        await stage.complete(bot)
        missed = len(stage.ledger.missing)
        await stage.postgres_proxy.repair()
        await journaled(stage)
        counts = await stage.finish(bot)
    assert missed == 0, "alerts waited for PostgreSQL"
    verdict(f"PostgreSQL away for {stage.size.away_s:g} s", counts)


@pytest.mark.thorough
async def test_bot_killed_while_it_is_away(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.postgres.kill()
            await bot.kill()
    await stage.postgres.restart()
    async with stage.bot() as bot:
        await stage.complete(bot)
        await journaled(stage)
        counts = await stage.finish(bot)
    verdict("`kill -9` of the bot while PostgreSQL is unavailable", counts, repeats=IN_FLIGHT)


async def test_both_killed(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await asyncio.gather(stage.redis.kill(), stage.postgres.kill())
            await asyncio.sleep(stage.size.away_s if stage.size.full else 0)
            await asyncio.gather(stage.redis.restart(), stage.postgres.restart())
        await stage.complete(bot)
        await journaled(stage)
        counts = await stage.finish(bot)
    verdict("Redis and PostgreSQL killed at once", counts)
