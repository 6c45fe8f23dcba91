"""From a call to the reply that tells what it did, with everything between them real."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from msgspec.structs import replace

from composition import Composition
from domain.calls.events import Call, PriceTick
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.tracking.tracking import TrackingService
from tests.e2e.conftest import bot, data_dir, feed, subscribe, telegram, text_of

LOOK_S = 0.05

__all__ = ["bot", "data_dir", "feed", "telegram"]


def publish(feed: FeedSandbox) -> Call:
    """A call at a price of a dollar and a market cap of $20,000."""
    call = feed.market.next_call(datetime.now(UTC))
    while call.token.address in feed.emitted:
        call = feed.market.next_call(datetime.now(UTC))
    figures = {"price_usd": 1.0, "market_cap_usd": 20_000.0, "liquidity_usd": 30_000.0, "symbol": "MCAT"}
    return feed.publish(replace(call, token=replace(call.token, **figures)))


async def tracked(bot: Composition, call: Call) -> None:
    """Wait until the call is followed."""
    service = bot.of(TrackingService)
    async with asyncio.timeout(20):
        while call.token.address not in service.keys:  # noqa: ASYNC110 - a number, not an event
            await asyncio.sleep(LOOK_S)


async def rise(bot: Composition, feed: FeedSandbox, call: Call, price_usd: float, ticks: int = 3) -> None:
    """Let the feed say the price so often that it is believed."""
    service = bot.of(TrackingService)
    for _ in range(ticks):
        before = service.updates
        at = datetime.now(UTC)
        tick = PriceTick(token_address=call.token.address, price_usd=price_usd, market_cap_usd=None, at=at)
        feed.publish_tick(tick)
        async with asyncio.timeout(20):
            while service.updates == before:  # noqa: ASYNC110 - a number, not an event
                await asyncio.sleep(LOOK_S)


async def alert_of(user: SandboxUser, call: Call) -> JsonObject:
    return await user.next_message(where=lambda m: call.token.address in copied_addresses(m))


def is_milestone(message: JsonObject) -> bool:
    return text_of(message).startswith("🚀")


async def test_a_call_that_doubles_answers_its_alert(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    call = publish(feed)
    alert = await alert_of(ann, call)
    await tracked(bot, call)
    await rise(bot, feed, call, 2.1)
    told = await ann.next_message(where=is_milestone, timeout_s=20)
    assert text_of(told).startswith("🚀 2x · MCAT · $20k → $42k ")
    assert told["reply_to_message"]["message_id"] == alert["message_id"]
