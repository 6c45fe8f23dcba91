"""What is wrong with one process of several, and a token that Telegram does not know any more."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.console import Terminal
from composition import Composition, ProcessConfig, connect
from config.settings import Settings
from managers.feed.sources.native import NativeSource
from managers.redis.client import RedisManager
from sandbox.telegram.server import TelegramSandbox
from services.cluster.members import Members
from services.monitoring.alarms import AlarmsService
from services.monitoring.conditions import alarms_elsewhere
from tests.alarms.kit import IDLE_S, Scene, Servers, Stage, opened
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import feed, process_environment, subscribe, telegram

__all__ = ["feed", "telegram"]


async def reader_of(scene: Scene, stop: asyncio.Event, group: asyncio.TaskGroup) -> Composition:
    """Start the process that reads the feed."""
    parts = await connect(scene.at, scene.stack)
    assert isinstance(parts.source, NativeSource)
    parts.source.idle_timeout_s = IDLE_S
    made = Composition(
        Settings(data_dir=scene.data_dir), parts, Terminal(), ProcessConfig(role="ingest", owner="reader")
    )
    made.of(AlarmsService)._clock = scene.bot.of(AlarmsService)._clock
    group.create_task(made.bot.run(stop, drain_s=1))
    return made


@pytest.mark.thorough
async def test_the_gateway_tells_what_is_wrong_with_the_process_that_reads(servers: Servers, data_dir: Path) -> None:
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(opened(Stage(role="gateway"), servers, data_dir))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        await reader_of(scene, stop, group)
        await scene.feed.someone_listens.wait()
        scene.feed.go_silent(True)
        told = await scene.told("🔴", "feed @ reader")
        assert "has sent nothing" in told
        await scene.admin.send("/health")
        await scene.admin.next_message(where=lambda message: "🔔 feed @ reader" in message.get("text", ""))
        scene.feed.go_silent(False)
        await scene.told("🟢", "feed @ reader")
        elsewhere = {line.split(" · ")[0] for text in scene.said() for line in text.splitlines() if " @ " in line}
        assert all("feed @ reader" in line for line in elsewhere), "what all see, or what is not its work, is not told"


async def test_members_say_what_is_wrong_with_them(redis_manager: RedisManager) -> None:
    one, other = Members(redis_manager, "one", {"gateway"}), Members(redis_manager, "other", {"ingest"})
    for member in (one, other):
        await member.join()
    other.alarms = lambda: {"feed": "silent" * 100}
    await other.beat()
    await one.beat()
    assert alarms_elsewhere(one) == {"feed @ other": ("silent" * 100)[:200]}
    other.alarms = dict
    await other.beat()
    await one.beat()
    assert alarms_elsewhere(one) == {}


@pytest.mark.thorough
async def test_a_token_that_was_revoked_ends_the_bot_with_a_sentence(
    telegram: TelegramSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    """It can tell nobody any more: the sentence is in the terminal, and the exit code for the supervisor."""
    environment = process_environment(
        telegram=telegram, redis_url=redis_url, postgres_dsn=postgres_dsn, data_dir=data_dir
    )
    given = telegram.token
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        await subscribe(telegram.user("Ann"), "everything")
        telegram.cloud.token = given.replace("SANDBOX", "REVOKED")
        await bot.says("Telegram does not know this bot: check TELEGRAM_BOT_TOKEN")
        assert await bot.exit_code() == 1
        assert "SANDBOX-TOKEN" not in bot.output
    telegram.cloud.token = given
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        await telegram.user("Ann").send("/help")
        await telegram.user("Ann").next_message(where=lambda message: "What I can do" in message.get("text", ""))
