"""Somebody buys a plan for Stars in the chat of the whole bot."""

from __future__ import annotations

import asyncio

import pytest

from composition import Composition
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import bot, data_dir, feed, telegram

__all__ = ["bot", "data_dir", "feed", "telegram"]


@pytest.fixture
async def ann(bot: Composition, telegram: TelegramSandbox) -> SandboxUser:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    return ann


async def says(ann: SandboxUser, what: str) -> JsonObject:
    return await ann.next_message(where=lambda message: what in message.get("text", ""))


async def offers(ann: SandboxUser) -> JsonObject:
    await ann.send("/plan")
    plans = await says(ann, "Your plan: Free trial")
    await ann.tap("Buy Pro", plans)
    chosen = await says(ann, "Pro: for how long?")
    assert callback_buttons(chosen)[-2:] == callback_buttons(plans)[-2:], (
        "a second tap on the same place changes nothing"
    )
    return chosen


async def test_a_year_is_paid_once(ann: SandboxUser, bot: Composition) -> None:
    await ann.tap("12 mo · ⭐ 24,400 ($319)", await offers(ann))
    invoice = await ann.next_message(where=lambda message: "invoice" in message)
    ann.wallet.top_up(30_000)
    assert (await ann.wallet.pay(invoice)).status == "paid"
    assert "24,400 Stars for Pro, 365 days" in (await says(ann, "Paid"))["text"]
    subscribers = bot.of(SubscriberServices).subscribers
    async with asyncio.timeout(10):
        while (await subscribers.require(ann.id)).plan != "pro":  # noqa: ASYNC110 - written by another job
            await asyncio.sleep(0.01)
    await ann.send("/status")
    assert "Pro" in (await says(ann, "Days left"))["text"]
    await ann.send("/invoices")
    assert "Pro, 365 days · 24,400 ⭐ · paid" in (await says(ann, "Your invoices"))["text"]


async def test_a_month_renews(ann: SandboxUser, telegram: TelegramSandbox) -> None:
    await ann.tap("1 mo · ⭐ 2,990 ($39)", await offers(ann))
    asked = await says(ann, "renews by itself every 30 days")
    (link,) = [button["url"] for row in asked["reply_markup"]["inline_keyboard"] for button in row]
    ann.wallet.top_up(6_000)
    assert (await ann.wallet.pay(link)).status == "paid"
    assert "30 days" in (await says(ann, "Paid"))["text"]
    telegram.stars.advance(31 * 86_400)
    telegram.stars.renew_due()
    assert "30 days" in (await says(ann, "Paid"))["text"]


async def test_what_is_not_sold_cannot_be_bought(ann: SandboxUser) -> None:
    shown = await offers(ann)
    for forged in ("buystars:pro:2", "buystars:free:1", "offers:free", "offers:"):
        answer = await ann.tap_data(shown, forged)
        assert answer["text"], forged
