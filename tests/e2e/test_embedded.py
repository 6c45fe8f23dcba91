"""The bot with servers of its own: they are started again when they end, and a stop is an orderly one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, subscribe

ORDERLY_WITHIN_S = 15.0
"""Less than the bot would drain for if its Redis were gone."""
SERVERS = {"Redis": "valkey-server", "PostgreSQL": "postgres"}
EACH = ["Redis", pytest.param("PostgreSQL", marks=pytest.mark.thorough)]


def environment(telegram: TelegramSandbox, feed: FeedSandbox, data_dir: Path) -> dict[str, str]:
    """Telegram and feed from here, Redis and PostgreSQL of the bot's own."""
    return process_environment(
        telegram=telegram,
        redis_url="",
        postgres_dsn="",
        data_dir=data_dir,
        FEED_SOURCE="native",
        FEED_URL=feed.ws_url,
        FEED_API_URL=feed.http_url,
        FEED_TOKEN=feed.token,
    )


def processes_of(bot: BotProcess) -> list[psutil.Process]:
    """Everything in its control group, as systemd would see it."""
    main = psutil.Process(bot.pid)
    return [main, *main.children(recursive=True)]


def server_of(bot: BotProcess, name: str) -> psutil.Process:
    """The embedded server itself, not what it forked."""
    children = psutil.Process(bot.pid).children()
    return next(child for child in children if child.name() == SERVERS[name])


class Told:
    """Which tokens somebody was told of, and how often."""

    def __init__(self, telegram: TelegramSandbox) -> None:
        self.counts: Counter[tuple[int, str]] = Counter()
        self._news = asyncio.Event()
        telegram.on_message(self._saw)

    def _saw(self, message: JsonObject) -> None:
        self.counts.update((message["chat"]["id"], address) for address in copied_addresses(message))
        self._news.set()

    async def all_of(self, users: list[SandboxUser], tokens: set[str]) -> None:
        wanted = {(user.chat_id, token) for user in users for token in tokens}
        try:
            async with asyncio.timeout(40):
                while wanted - self.counts.keys():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"not told of {len(wanted - self.counts.keys())} of {len(wanted)}")


# systemd, and a terminal


def to_main(bot: BotProcess) -> None:
    """KillMode=mixed."""
    os.kill(bot.pid, signal.SIGTERM)


def to_all(bot: BotProcess) -> None:
    """KillMode=control-group, as in a unit that says nothing about it."""
    for process in processes_of(bot):
        process.send_signal(signal.SIGTERM)


def ctrl_c(bot: BotProcess) -> None:
    os.killpg(os.getpgid(bot.pid), signal.SIGINT)


@pytest.mark.parametrize(
    "stop", [to_main, *(pytest.param(stop, marks=pytest.mark.thorough) for stop in (to_all, ctrl_c))]
)
async def test_a_stop_is_orderly(
    stop: Callable[[BotProcess], None], telegram: TelegramSandbox, feed: FeedSandbox, data_dir: Path
) -> None:
    """Whoever is asked to end, the bot drains, stops its servers and ends well, before anything times out."""
    async with BotProcess(environment(telegram, feed, data_dir)) as bot:
        await bot.says("Loaded after")
        ann, told = telegram.user("Ann"), Told(telegram)
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        calls = await feed.burst(1)  # from here on the feed's position is stored
        await told.all_of([ann], {calls[0].token.address})
        calls += await feed.burst(20)
        everything = processes_of(bot)
        stop(bot)
        assert await bot.exit_code(timeout_s=ORDERLY_WITHIN_S) == 0, bot.output
    assert "Traceback" not in bot.output
    assert not [process for process in everything if process.is_running() and process.status() != "zombie"]
    async with BotProcess(environment(telegram, feed, data_dir)) as bot:
        await bot.says("Loaded after")
        await told.all_of([ann], {call.token.address for call in calls})
        bot.interrupt()
        assert await bot.exit_code(timeout_s=ORDERLY_WITHIN_S) == 0, bot.output
    assert set(told.counts.values()) == {1}


@pytest.mark.parametrize("unit", ["token-filter-bot.service", "token-filter-bot@.service"])
def test_systemd_asks_the_bot_alone(unit: str) -> None:
    lines = (Path(__file__).parents[2] / "systemd" / unit).read_text().splitlines()
    assert {"KillMode=mixed", "UMask=0077"} <= set(lines)


# a server that ends


@pytest.mark.parametrize("deadly", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", EACH)
async def test_a_server_that_ends_is_started_again(
    name: str, deadly: signal.Signals, telegram: TelegramSandbox, feed: FeedSandbox, data_dir: Path
) -> None:
    """While calls flow: whatever was called before, meanwhile and afterwards is told, each once."""
    async with BotProcess(environment(telegram, feed, data_dir)) as bot:
        await bot.says("Loaded after")
        users, told = [telegram.user(f"user {number}") for number in range(5)], Told(telegram)
        await asyncio.gather(*(subscribe(user, "everything") for user in users))
        await feed.someone_listens.wait()
        tokens: set[str] = set()
        for before in (True, False):
            for _ in range(4):
                tokens |= {call.token.address for call in await feed.burst(3)}
                await told.all_of(users[:1], {max(tokens)})
            if before:
                server_of(bot, name).send_signal(deadly)
                tokens |= {call.token.address for call in await feed.burst(3)}
                await bot.says(f"The embedded {name} has ended")
                await bot.says(f"The embedded {name} runs again")
        await told.all_of(users, tokens)
        bot.interrupt()
        assert await bot.exit_code(timeout_s=ORDERLY_WITHIN_S) == 0, bot.output
    assert set(told.counts.values()) == {1}
    assert "Traceback" not in bot.output


@pytest.mark.thorough
@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_that_keeps_ending_ends_the_bot(
    name: str, telegram: TelegramSandbox, feed: FeedSandbox, data_dir: Path
) -> None:
    async with BotProcess(environment(telegram, feed, data_dir)) as bot:
        await bot.says("Loaded after")
        if name == "Redis":
            (data_dir / "redis" / "appendonlydir").rename(data_dir / "redis" / "aside")
            (data_dir / "redis" / "appendonlydir").write_text("not a directory")
        else:
            (data_dir / "postgres" / "cluster" / "postgresql.conf").write_text("no_such_setting = 1")
        server_of(bot, name).kill()
        assert await bot.exit_code() == 1, bot.output
    assert f"the embedded {name} did not start" in bot.output
    assert "Traceback" not in bot.output
