"""The work divided among processes, processes that stand by, and a start while Telegram is unavailable."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from domain.calls.events import Call
from domain.subscribers.partitions import PARTITIONS, partition_of
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import ADMIN, composed, process_environment, subscribe, text_of

LOOK_S = 0.05
TIMEOUT_S = 15.0

EVEN, ODD = list(range(0, PARTITIONS, 2)), list(range(1, PARTITIONS, 2))

Document = dict[str, Any]


class Site:
    """Processes on the same servers, each with a directory and a port of its own."""

    def __init__(self, environment: dict[str, str], data_dir: Path, http: aiohttp.ClientSession) -> None:
        self.environment = environment
        self._data_dir = data_dir
        self._http = http

    async def start(self, stack: AsyncExitStack, *arguments: str, **more: str) -> BotProcess:
        """Run `main.py run` with these arguments until `stack` ends it, with SIGTERM."""
        directory = tempfile.mkdtemp(dir=self._data_dir)
        environment = {**self.environment, "DATA_DIR": directory, **more}
        bot = await stack.enter_async_context(BotProcess(environment, "run", *arguments))
        await bot.says("Ready after")
        return bot

    async def health(self, bot: BotProcess) -> Document:
        async with self._http.get(_health_url(bot).replace("/healthz", "/readyz")) as answer:
            return await answer.json()

    async def metric(self, bot: BotProcess, name: str) -> float:
        async with self._http.get(_health_url(bot).replace("/healthz", "/metrics")) as answer:
            found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
        assert found, f"there is no {name} in /metrics"
        return float(found[1])

    async def receiving(self, *bots: BotProcess) -> float:
        """How many subscribers these match."""
        return sum([await self.metric(bot, "subscribers_receiving") for bot in bots])

    async def health_when(self, bot: BotProcess, condition: Callable[[Document], bool]) -> Document:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition(health := await self.health(bot)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_S)
        return health

    async def works_on(self, bot: BotProcess, what: str, partitions: list[int]) -> None:
        await self.health_when(bot, lambda health: health["process"][what] == partitions)

    async def receive(self, bots: Iterable[BotProcess], count: int) -> None:
        """Wait until all of these together match so many subscribers."""
        bots = list(bots)
        async with asyncio.timeout(TIMEOUT_S):
            while await self.receiving(*bots) != count:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK_S)


def _health_url(bot: BotProcess) -> str:
    return next(found[1] for line in bot.lines if (found := re.search(r"Health: (\S+)", line)))


@pytest.fixture
async def site(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> AsyncIterator[Site]:
    environment = process_environment(
        telegram=telegram,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        data_dir=data_dir,
        ADMIN_CHAT_IDS=str(ADMIN),
        FEED_SOURCE="native",
        FEED_URL=feed.ws_url,
        FEED_API_URL=feed.http_url,
        FEED_TOKEN=feed.token,
    )
    async with aiohttp.ClientSession() as http:
        yield Site(environment, data_dir, http)


def publish(feed: FeedSandbox) -> Call:
    """Publish a call for a token that nobody has called yet."""
    call = feed.market.next_call(datetime.now(UTC))
    while call.token.address in feed.emitted:
        call = feed.market.next_call(datetime.now(UTC))
    return feed.publish(call)


async def told(user: SandboxUser, call: Call) -> JsonObject:
    return await user.next_message(timeout_s=TIMEOUT_S, where=lambda m: call.token.address in copied_addresses(m))


def alerts(user: SandboxUser) -> Counter[str]:
    return Counter(address for message in user.messages for address in copied_addresses(message))


async def ended(*bots: BotProcess) -> None:
    """End them by SIGTERM, all at once."""
    for bot in bots:
        bot.terminate()
    for bot in bots:
        assert await bot.exit_code() == 0, bot.output
        assert "Traceback" not in bot.output


def failing(health: Document) -> list[str]:
    return [part["name"] for part in health["parts"] if not part["ok"]]


async def everybody_says_what_he_has(
    site: Site, gateway: BotProcess, ingest: BotProcess, match: BotProcess, send: BotProcess
) -> None:
    parts = {
        gateway: ["data", "redis", "postgresql", "controls", "telegram", "updates", "clock"],
        ingest: ["data", "redis", "controls", "feed", "clock"],
        match: ["data", "redis", "controls", "clock"],
        send: ["data", "redis", "controls", "telegram", "clock"],
    }
    for bot, names in parts.items():
        health = await site.health_when(bot, lambda health: health["ok"])
        assert [part["name"] for part in health["parts"]] == names
        assert len(health["process"]["members"]) == 6
    assert "gateway" in (await site.health(gateway))["process"]["leases"]


async def test_the_work_divided_among_six_processes(telegram: TelegramSandbox, feed: FeedSandbox, site: Site) -> None:
    ann, ben = telegram.user("Ann", user_id=1600), telegram.user("Ben", user_id=1601)
    assert (partition_of(ann.id) in EVEN, partition_of(ben.id) in ODD) == (True, True)
    async with AsyncExitStack() as stack:
        gateway, ingest, match_1, match_2, send_1, send_2 = await asyncio.gather(
            site.start(stack, "--role", "gateway"),
            site.start(stack, "--role", "ingest"),
            site.start(stack, "--role", "match", "--shard", "1/2"),
            site.start(stack, "--role", "match", "--shard", "2/2"),
            site.start(stack, "--role", "send", "--shard", "1/2"),
            site.start(stack, "--role", "send", "--shard", "2/2"),
        )
        matching = (match_1, match_2)
        for bots, what in ((matching, "matching"), ((send_1, send_2), "sending")):
            for bot, half in zip(bots, (EVEN, ODD), strict=True):
                await site.works_on(bot, what, half)
        await feed.someone_listens.wait()

        # A subscriber by chat, a call, one alert.
        await subscribe(ann, "everything")
        await subscribe(ben, "everything")
        await site.receive(matching, 2)
        call = publish(feed)
        await asyncio.gather(told(ann, call), told(ben, call))

        await everybody_says_what_he_has(site, gateway, ingest, match_1, send_1)
        admin = telegram.user("Admin", user_id=ADMIN)
        await admin.send("/health")
        shown = text_of(await admin.next_message())
        assert "This process: gateway, working" in shown
        assert "match 1 of 2" in shown

        # The processes that had Ann's half go; the others have all of it.
        await ended(match_1, send_1)
        call = publish(feed)
        await asyncio.gather(told(ann, call), told(ben, call))
        await site.works_on(match_2, "matching", sorted(EVEN + ODD))

        # They pause: the process that matches them knows it before they are told anything else.
        await ann.send("/pause")
        await ann.next_message(where=lambda m: "/resume" in m.get("text", ""))
        await site.receive([match_2], 1)
        call = publish(feed)
        await told(ben, call)
        assert call.token.address not in alerts(ann)
        await ann.send("/resume")
        await ann.next_message(where=lambda m: "Alerts are on" in m.get("text", ""))
        await site.receive([match_2], 2)

        # A sender finds that Ben has blocked the bot: who matches, and who talks, know it too.
        ben.chat.is_blocked = True  # without the update that usually tells of it
        call = publish(feed)
        await told(ann, call)
        await asyncio.gather(site.receive([match_2], 1), site.receive([gateway], 1))
        ben.chat.is_blocked = False
        await ben.send("/start")
        await ben.next_message(where=lambda m: "Welcome back" in m.get("text", ""))
        await site.receive([match_2], 2)

        assert max((*alerts(ann).values(), *alerts(ben).values())) == 1
        await ended(gateway, ingest, match_2, send_2)


@pytest.mark.thorough
async def test_the_second_of_two_stands_by_until_the_first_ends(
    telegram: TelegramSandbox, feed: FeedSandbox, site: Site
) -> None:
    ann = telegram.user("Ann")
    async with AsyncExitStack() as stack:
        first = await site.start(stack)
        await subscribe(ann, "everything")
        second = await site.start(stack)
        await second.says("standing by")
        waiting = await site.health(second)
        assert waiting["ok"], waiting
        assert waiting["process"]["state"] == "standing by"
        await feed.someone_listens.wait()
        call = publish(feed)
        await told(ann, call)
        await ended(first)
        await second.says(r"Loaded after [\d.]+ s: 1 subscriber\.")
        call = publish(feed)
        await told(ann, call)
        await ann.send("/status")
        await ann.next_message(where=lambda m: "rial" in m.get("text", ""))
        assert max(alerts(ann).values()) == 1
        await site.health_when(second, lambda health: health["ok"] and health["process"]["state"] == "working")


@pytest.mark.thorough
async def test_it_starts_without_telegram_and_delivers_when_it_comes(
    feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        telegram = TelegramSandbox(port=listener.getsockname()[1])
    ann = telegram.user("Ann", user_id=7)
    ann.chat.is_started = True
    await enrol(ann, redis_url, postgres_dsn)
    environment = process_environment(
        telegram=telegram,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        data_dir=data_dir,
        FEED_SOURCE="native",
        FEED_URL=feed.ws_url,
        FEED_API_URL=feed.http_url,
        FEED_TOKEN=feed.token,
    )
    async with BotProcess(environment) as bot, aiohttp.ClientSession() as http:
        await bot.says("Ready after")
        await bot.says("Telegram cannot be reached; trying on")
        await feed.someone_listens.wait()
        site = Site(environment, data_dir, http)
        health = await site.health_when(bot, lambda health: failing(health) == ["telegram", "updates"])
        assert "not connected yet" in str(health)
        call = publish(feed)
        async with telegram:
            await told(ann, call)
            await bot.says("Telegram is reached")
            await ann.send("/status")
            await ann.next_message(where=lambda m: "rial" in m.get("text", ""))
            assert alerts(ann) == {call.token.address: 1}
            bot.interrupt()
            assert await bot.exit_code() == 0, bot.output


async def test_a_token_that_telegram_does_not_know_ends_it_with_a_sentence(
    telegram: TelegramSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    environment = process_environment(
        telegram=telegram, redis_url=redis_url, postgres_dsn=postgres_dsn, data_dir=data_dir
    )
    async with BotProcess(environment | {"TELEGRAM_BOT_TOKEN": "123456:Wrong"}) as bot:
        assert await bot.exit_code() == 1
    assert "check TELEGRAM_BOT_TOKEN" in bot.output
    assert "doctor" in bot.output
    assert "Traceback" not in bot.output


async def enrol(user: SandboxUser, redis_url: str, postgres_dsn: str) -> None:
    """Make somebody a subscriber of everything, without a bot that runs."""
    async with AsyncExitStack() as stack:
        composition = await composed(stack, redis_url, postgres_dsn)
        await composition.of(SubscriberServices).subscribers.open(
            user_id=user.id, chat_id=user.chat_id, name=user.name, language="en"
        )
        await composition.of(SubscriberServices).sets.apply_preset(user.id, "everything")
        await composition.of(Journal).drain_all()
