"""Somebody buys a plan for Stars in the chat of the whole bot."""

from __future__ import annotations

import asyncio

import pytest

from composition import Composition
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.payments.group import PaymentServices
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


async def invoices(ann: SandboxUser) -> JsonObject:
    await ann.send("/invoices")
    return await says(ann, "Your invoices")


async def subscribed(ann: SandboxUser) -> JsonObject:
    """Buy a month and pay it; returns the list of invoices as it was before."""
    await ann.tap("1 mo · ⭐ 2,990 ($39)", await offers(ann))
    asked = await says(ann, "renews by itself every 30 days")
    assert "You have a subscription" not in asked["text"]
    listed = await invoices(ann)
    ann.wallet.top_up(6_000)
    assert (await ann.wallet.pay(asked["reply_markup"]["inline_keyboard"][0][0]["url"])).status == "paid"
    await says(ann, "Paid")
    return listed


async def made(ann: SandboxUser, bot: Composition) -> int:
    return len(await bot.of(PaymentServices).invoices.of(ann.id, 20))


async def test_an_open_invoice_is_handed_over_again_and_a_paid_one_is_not(ann: SandboxUser, bot: Composition) -> None:
    await ann.tap("1 mo · ⭐ 2,990 ($39)", await offers(ann))
    await says(ann, "renews by itself every 30 days")
    listed = await invoices(ann)
    await ann.tap(callback_buttons(listed)[0]["text"], listed)
    asked = await says(ann, "renews by itself every 30 days")
    ann.wallet.top_up(6_000)
    charge_id = (await ann.wallet.pay(asked["reply_markup"]["inline_keyboard"][0][0]["url"])).charge_id
    await says(ann, "Paid")
    for menu in (listed, await invoices(ann)):
        await ann.tap(callback_buttons(listed)[0]["text"], menu)
        shown = await says(ann, "which is paid. There is nothing for you to do.")
        assert "Pro, 30 days, $39" in shown["text"]
        assert charge_id in shown["text"]
        assert "reply_markup" not in shown
    assert await made(ann, bot) == 1


async def test_a_second_subscription_is_warned_of(ann: SandboxUser, bot: Composition) -> None:
    await subscribed(ann)
    await ann.send("/plan")
    await ann.tap("Buy Pro", await says(ann, "Your plan:"))
    await ann.tap("1 mo · ⭐ 2,990 ($39)", await says(ann, "Pro: for how long?"))
    asked = (await says(ann, "renews by itself every 30 days"))["text"]
    assert "⚠️ You have a subscription to Pro that renews by itself on" in asked
    assert "both renew" in asked
    assert "To end the first, cancel it" in asked


async def test_who_has_a_subscription_reads_when_it_renews(ann: SandboxUser) -> None:
    await subscribed(ann)
    await ann.send("/status")
    shown = (await says(ann, "Next:"))["text"]
    assert "your subscription to Pro renews by itself on" in shown
    assert "(2,990 ⭐)" in shown
    assert "renew in time" not in shown


async def test_what_is_not_sold_cannot_be_bought(ann: SandboxUser) -> None:
    shown = await offers(ann)
    for forged in ("buystars:pro:2", "buystars:free:1", "offers:free", "offers:"):
        answer = await ann.tap_data(shown, forged)
        assert answer["text"], forged
