"""`kill -9` in the middle of a burst: nothing is lost, and only what was in flight may come twice, marked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.delivery.delivery import SEND_SLOTS
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, subscribe, text_of
from texts import Texts
from texts.markup import to_plain

USERS = 20
BEFORE, DURING = 12, 3
REPEAT_NOTE = to_plain(Texts.load().render("card.may_repeat"))


class Arrivals:
    """What Telegram saw: alerts per (chat, token), and which of the later ones said that they may repeat."""

    def __init__(self, telegram: TelegramSandbox) -> None:
        self.counts: Counter[tuple[int, str]] = Counter()
        self.repeated_messages = 0
        self.unmarked_repeats = 0
        self.news = asyncio.Condition()
        self._pending: set[asyncio.Task[None]] = set()
        telegram.on_message(self._saw)

    def _saw(self, message: JsonObject) -> None:
        pairs = [(message["chat"]["id"], address) for address in copied_addresses(message)]
        if any(pair in self.counts for pair in pairs):
            self.repeated_messages += 1
            self.unmarked_repeats += REPEAT_NOTE not in text_of(message)
        self.counts.update(pairs)
        task = asyncio.create_task(self._tell())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def reach(self, distinct: int, *, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s), self.news:
            await self.news.wait_for(lambda: len(self.counts) >= distinct)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """Refuses what is beyond Telegram's limits."""
    async with TelegramSandbox() as server:
        yield server


@pytest.mark.thorough
async def test_kill_in_a_burst_loses_nothing(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
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
    arrivals = Arrivals(telegram)
    users = [telegram.user(f"user {n}") for n in range(USERS)]
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        await asyncio.gather(*(subscribe(user, "everything") for user in users))
        telegram.faults.latency_s = (0.03, 0.06)
        calls = await feed.burst(BEFORE)
        tokens = {call.token.address for call in calls}
        await arrivals.reach(USERS * 2, timeout_s=30)
        await bot.kill()
    in_flight_at_most = SEND_SLOTS
    sent_before = sum(arrivals.counts.values())
    tokens |= {call.token.address for call in await feed.burst(DURING)}
    async with BotProcess(environment) as bot:
        await arrivals.reach(USERS * len(tokens), timeout_s=90)
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output

    expected = {(user.chat_id, address) for user in users for address in tokens}
    print(f"{sent_before} sent before the kill, {len(expected)} expected, {arrivals.repeated_messages} repeated")  # noqa: T201 - the counts
    assert set(arrivals.counts) == expected
    assert arrivals.repeated_messages <= in_flight_at_most
    assert arrivals.unmarked_repeats == 0
    assert telegram.stats.refusals_429 == 0
