"""Somebody taps 👁 under an alert, the price gets there, and they are told: once, whatever is restarted in between."""

from __future__ import annotations

import asyncio

from composition import Composition
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.watches.evaluating import Evaluator
from tests.e2e.conftest import feed, running, subscribe, telegram, text_of
from tests.tracking.test_milestone_replies import LOOK_S, alert_of, publish, rise, tracked

__all__ = ["feed", "telegram"]


def is_met(message: JsonObject) -> bool:
    return text_of(message).startswith("👁") and "after you asked" in text_of(message)


async def evaluated(bot: Composition, watches: int) -> None:
    """Wait until so many are held against prices."""
    memory = bot.of(Evaluator).memory
    async with asyncio.timeout(20):
        while len(memory) != watches:  # noqa: ASYNC110 - a number, not an event
            await asyncio.sleep(LOOK_S)


def asked_at_usd(bot: Composition) -> float:
    """What the feed's HTTP side says, or the call: whichever was known when somebody asked."""
    [token] = bot.of(Evaluator).memory.tokens.values()
    [watch] = token.watches
    assert watch.base_usd
    return watch.base_usd


async def answer(user: SandboxUser, start: str) -> JsonObject:
    return await user.next_message(where=lambda m: text_of(m).startswith(start), timeout_s=20)


async def test_what_a_tap_under_an_alert_began_is_told_once_after_a_restart(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    ann = telegram.user("Ann")
    async with running(telegram, feed, redis_url, postgres_dsn) as bot:
        await subscribe(ann, "everything")
        call = publish(feed)
        alert = await alert_of(ann, call)
        await tracked(bot, call)
        await ann.tap_data(alert, f"watch:{call.token.address}")
        menu = await answer(ann, "👁 MCAT")
        two_x = f"w:{call.token.address}:ma2o"
        await asyncio.gather(ann.tap_data(menu, two_x), ann.tap_data(menu, two_x))
        await evaluated(bot, 1)
    async with running(telegram, feed, redis_url, postgres_dsn) as bot:
        await evaluated(bot, 1)
        await rise(bot, feed, call, 2.1 * asked_at_usd(bot))
        told = await ann.next_message(where=is_met, timeout_s=20)
        assert text_of(told).startswith("👁 MCAT: 2x\n$")
        assert "This alert has ended." in text_of(told)
        await evaluated(bot, 0)
        await bot.of(Evaluator).round()
        assert sum(map(is_met, ann.messages)) == 1
        assert bot.bot.watched_jobs() >= {"watches"}
