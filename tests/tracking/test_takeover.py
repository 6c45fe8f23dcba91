"""Two processes of the role `track`: one follows the prices, and the other goes on when it is killed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from msgspec.structs import replace

from domain.calls.events import Call, PriceTick
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.conftest import data_dir, feed, subscribe, telegram, text_of
from tests.e2e.test_roles import Document, Site, site, told

__all__ = ["data_dir", "feed", "site", "telegram"]

OTHERS = ("gateway", "ingest", "match", "send")
EVERY_S = 1.5


def follows(health: Document, calls: int) -> bool:
    details = [part["detail"] for part in health["parts"] if part["name"] == "tracking"]
    return f"{calls} calls" in details[0]


def publish_with_figures(feed: FeedSandbox) -> Call:
    call = feed.market.next_call(datetime.now(UTC))
    figures = {"price_usd": 1.0, "market_cap_usd": 20_000.0, "liquidity_usd": 30_000.0}
    return feed.publish(replace(call, token=replace(call.token, **figures)))


async def keep_at(feed: FeedSandbox, call: Call, price_usd: float) -> None:
    """Let the feed say a price for ever."""
    while True:
        now = datetime.now(UTC)
        feed.publish_tick(PriceTick(token_address=call.token.address, price_usd=price_usd, market_cap_usd=None, at=now))
        await asyncio.sleep(EVERY_S)


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
