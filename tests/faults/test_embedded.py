"""The bot's own Redis and PostgreSQL are killed, or everything is asked to end at once, while calls flow."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import asyncpg
import pytest

from embedded.postgres import EmbeddedPostgres
from migrations import migrate
from tests.e2e.test_embedded import processes_of, server_of
from tests.faults.conftest import Verdict
from tests.faults.process import Bot
from tests.faults.stage import Stage, store

pytestmark = pytest.mark.thorough

OWN_SERVERS = {"REDIS_URL": "", "DATABASE_URL": ""}
KILLS = 3


async def enrol(stage: Stage) -> None:
    """Give the bot's own PostgreSQL the subscribers whom the stage's has."""
    async with EmbeddedPostgres(stage.data_dir / "postgres") as server:
        await migrate(server.dsn)
        connection = await asyncpg.connect(server.dsn)
        try:
            await store(connection, stage.workload.subscribers)
        finally:
            await connection.close()


@pytest.mark.parametrize("names", [("Redis",), ("PostgreSQL",), ("Redis", "PostgreSQL")], ids="+".join)
async def test_killed(names: tuple[str, ...], stage: Stage, verdict: Verdict) -> None:
    """They come back by themselves, so nothing but calls and kills happens here."""
    await enrol(stage)
    async with stage.bot(**OWN_SERVERS) as bot:
        await stage.warm_up()
        async with stage.playing(over_s=8):
            for kill in range(KILLS):
                for name in names:
                    server_of(bot, name).kill()
                await restarted(bot, kill + 1, names)
        counts = await stage.finish(bot)
    verdict(f"`kill -9` of the bot's own {' and '.join(names)}, {KILLS} times", counts)


async def test_everything_is_asked_to_end(stage: Stage, verdict: Verdict) -> None:
    """As systemd does without KillMode: bot and servers at once; then it is started again."""
    await enrol(stage)
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(stage.bot(**OWN_SERVERS))
        await stage.warm_up()
        async with stage.playing(over_s=4):
            for process in processes_of(bot):
                process.send_signal(signal.SIGTERM)
            assert await bot.exit_code() == 0, bot.output
            bot = await stack.enter_async_context(stage.bot(**OWN_SERVERS))
        counts = await stage.finish(bot)
    verdict("SIGTERM to the bot and to its own servers at once", counts)


async def restarted(bot: Bot, times: int, names: tuple[str, ...]) -> None:
    async with asyncio.timeout(60):
        for name in names:
            while bot.output.count(f"The embedded {name} runs again") < times:  # noqa: ASYNC110 - what it prints
                await asyncio.sleep(0.1)
