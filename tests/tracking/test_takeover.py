"""Processes that are killed while they follow prices: another one goes on, or the same one started again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.calls.events import Call, PriceTick
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import data_dir, feed, subscribe, telegram, text_of
from tests.e2e.test_roles import Document, Site, site, told

__all__ = ["data_dir", "feed", "site", "telegram"]

OTHERS = ("gateway", "ingest", "match", "send")
EVERY_S = 1.5


def follows(health: Document, calls: int) -> bool:
    details = [part["detail"] for part in health["parts"] if part["name"] == "tracking"]
    return f" {calls} call" in details[0]


def publish_with_figures(feed: FeedSandbox) -> Call:
    call = feed.market.next_call(datetime.now(UTC))
    while call.token.address in feed.emitted:  # a repost would tell nobody anything new
        call = feed.market.next_call(datetime.now(UTC))
    figures = {"price_usd": 1.0, "market_cap_usd": 20_000.0, "liquidity_usd": 30_000.0}
    return feed.publish(replace(call, token=replace(call.token, **figures)))


async def keep_at(feed: FeedSandbox, call: Call, price_usd: float) -> None:
    """Let the feed say a price for ever."""
    while True:
        now = datetime.now(UTC)
        feed.publish_tick(PriceTick(token_address=call.token.address, price_usd=price_usd, market_cap_usd=None, at=now))
        await asyncio.sleep(EVERY_S)


@pytest.mark.thorough
async def test_another_process_goes_on_when_one_is_killed(
    telegram: TelegramSandbox, feed: FeedSandbox, site: Site
) -> None:
    ann = telegram.user("Ann")
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(site.start(stack, "--role", role) for role in OTHERS))
        first = await site.start(stack, "--role", "track")
        await site.health_when(first, lambda health: follows(health, 0))
        second = await site.start(stack, "--role", "track")
        await feed.someone_listens.wait()
        await subscribe(ann, "everything")
        call = publish_with_figures(feed)
        alert = await told(ann, call)
        await site.health_when(first, lambda health: follows(health, 1))
        playing = asyncio.create_task(keep_at(feed, call, 2.1))
        message = await ann.next_message(where=lambda m: text_of(m).startswith("🚀 2x"), timeout_s=20)
        assert message["reply_to_message"]["message_id"] == alert["message_id"]
        await first.kill()
        playing.cancel()
        await site.health_when(second, lambda health: follows(health, 1))
        playing = asyncio.create_task(keep_at(feed, call, 3.1))
        message = await ann.next_message(where=lambda m: text_of(m).startswith("🚀 3x"), timeout_s=20)
        assert message["reply_to_message"]["message_id"] == alert["message_id"]
        playing.cancel()
        assert [text_of(m)[:4] for m in ann.messages if text_of(m).startswith("🚀")] == ["🚀 2x", "🚀 3x"]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("crossed", marks=pytest.mark.thorough),
        pytest.param("reached"),
        pytest.param("fanned_out", marks=pytest.mark.thorough),
    ],
)
async def test_killed_between_the_price_and_the_message_it_is_told_once(
    point: str, telegram: TelegramSandbox, feed: FeedSandbox, site: Site, data_dir: Path
) -> None:
    ann = telegram.user("Ann")
    environment = {**site.environment, "DATA_DIR": str(data_dir / "bot")}
    async with BotProcess(environment | {"FAULT_POINT": point}) as bot:
        await bot.says("Ready after")
        await feed.someone_listens.wait()
        await subscribe(ann, "everything")
        call = publish_with_figures(feed)
        alert = await told(ann, call)
        await site.health_when(bot, lambda health: follows(health, 1))
        playing = asyncio.create_task(keep_at(feed, call, 2.1))
        assert await bot.exit_code() < 0, bot.output
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        message = await ann.next_message(where=lambda m: text_of(m).startswith("🚀"), timeout_s=30)
        assert text_of(message).startswith("🚀 2x")
        assert message["reply_to_message"]["message_id"] == alert["message_id"]
        playing.cancel()
        call = publish_with_figures(feed)
        await told(ann, call)
        await site.health_when(bot, lambda health: follows(health, 2))
        playing = asyncio.create_task(keep_at(feed, call, 2.1))
        await ann.next_message(where=lambda m: text_of(m).startswith("🚀"), timeout_s=30)
        playing.cancel()
        assert sum(text_of(m).startswith("🚀") for m in ann.messages) == 2
