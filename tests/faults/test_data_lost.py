"""A store loses its data while the other one still has its own: it is filled again, and nobody misses anything."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.delivery.cards import MAX_CARDS
from tests.e2e.conftest import text_of
from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.process import Bot
from tests.faults.stage import STARTS_WITHIN_S, Stage
from tests.faults.test_roles import finish, started

ADMIN = 77


async def is_filled(stage: Stage) -> None:
    """Wait until PostgreSQL has everybody, and every alert, again."""
    async with asyncio.timeout(60), stage.database() as connection:
        while True:
            known = await connection.fetchval("SELECT to_regclass('identity') IS NOT NULL")
            if known and await connection.fetchval("SELECT filled_at IS NOT NULL FROM identity"):
                break
            await asyncio.sleep(0.1)
        assert await connection.fetchval("SELECT count(*) FROM subscribers") == len(stage.workload.subscribers)


async def is_told(stage: Stage) -> str:
    """Wait until an admin is told; returns what they read."""
    admin = stage.person(ADMIN)
    return text_of(await admin.next_message(timeout_s=30, where=lambda m: "PostgreSQL's data" in text_of(m)))


async def claimed_in_database(stage: Stage) -> int:
    async with stage.database() as connection:
        return await connection.fetchval("SELECT count(DISTINCT (user_id, token_address)) FROM claims")


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["database", pytest.param("schema", marks=pytest.mark.thorough)])
async def test_postgres_emptied(what: str, stage: Stage, verdict: Verdict) -> None:
    """While calls flow; afterwards Redis is emptied as well, and what PostgreSQL was given is all that is left."""
    stage.person(ADMIN).chat.is_started = True
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN)) as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.empty_database(whole=what == "database")
            told = await is_told(stage)
            await is_filled(stage)
        assert any(word in told for word in ("gone", "Gone", "filled again"))  # whichever is asked first
        counts = await stage.finish(bot)
    assert await claimed_in_database(stage) == counts.accepted
    await stage.redis.empty()
    async with stage.bot() as bot:
        for call in tuple(stage.published):
            stage.publish(call)
        counts = await stage.finish(bot)
    verdict(f"PostgreSQL emptied (its {what} dropped) while calls flow, Redis after it", counts)


@pytest.mark.thorough
async def test_postgres_emptied_while_the_bot_is_down(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        await stage.play(stage.size.calls // 2)
        await stage.finish(bot)
    await stage.empty_database(whole=True)
    async with stage.bot() as bot:
        loaded = await bot.says(r"Loaded after [\d.]+ s: ([\d,]+) subscriber")
        assert int(loaded[1].replace(",", "")) == len(stage.workload.subscribers)
        for call in tuple(stage.published):
            stage.publish(call)
        await stage.play()
        await is_filled(stage)
        counts = await stage.finish(bot)
    verdict("PostgreSQL emptied while the bot is down", counts)


@pytest.mark.thorough
async def test_postgres_emptied_under_divided_roles(stage: Stage, verdict: Verdict) -> None:
    """One process fills it; another of each kind that is started meanwhile has everybody."""
    async with AsyncExitStack() as stack:
        bots = await started(stage, stack)
        await stage.warm_up()
        async with stage.playing(over_s=6):
            await stage.empty_database(whole=True)
            added: list[Bot] = [await stage.role(stack, "match"), await stage.role(stack, "send")]
            await added[0].says(r"Matching .* subscribers", timeout_s=STARTS_WITHIN_S)
            await is_filled(stage)
        counts = await finish(stage, [*bots.values(), *added])
    assert await claimed_in_database(stage) == counts.accepted
    verdict("PostgreSQL emptied under divided roles, two more joining", counts)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "first",
    [pytest.param("emptied", marks=pytest.mark.thorough), "killed", pytest.param("both", marks=pytest.mark.thorough)],
)
async def test_redis_emptied_and_the_bot_killed(first: str, stage: Stage, verdict: Verdict) -> None:
    """Thousands wait: only those of which a request was under way say that they may be a repeat."""
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=0.5):
            await stage.ledger.more(stage.size.users)
            match first:
                case "emptied":
                    await stage.redis.empty()
                    await bot.kill()
                case "killed":
                    await bot.kill()
                    await stage.redis.empty()
                case _:
                    await asyncio.gather(bot.kill(), stage.redis.empty())
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    print(f"{stage.ledger.notes} say that they may be a repeat")  # noqa: T201 - the count
    assert stage.ledger.notes <= IN_FLIGHT * MAX_CARDS
    verdict(f"Redis emptied and the bot killed ({first} first)", counts, repeats=IN_FLIGHT)
