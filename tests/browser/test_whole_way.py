"""The way of a newcomer in a browser: the whole program with its sandbox on one side, a person on the other."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, ViewportSize, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.e2e.bot_process import BotProcess

pytestmark = pytest.mark.browser

ALERT = "market cap at call"
NARROW_PHONE = ViewportSize(width=390, height=844)
SHOWN_MARKET_CAP = re.compile(r"\$([\d.,]+)([kMB]?) market cap at call")
SCALES = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}
FRESH_LAUNCHES_USD = (3e3, 60e3)
TYPED, TYPED_USD = "61k - 1B", (61e3, 1e9)
"""Apart from the range before, so that an alert tells by itself which of the two let it pass."""
ALERTS_AFTER_THE_CHANGE = 3
ON_THEIR_WAY_MAX = 8
"""Alerts that may have passed the range before and wait for their turn while the bot confirms the new one."""
TIMEOUT_S = 60.0
"""For alerts: the market is random, and about one call in fifteen passes."""


def market_caps_usd(alert: str) -> list[float]:
    """One for each call in the message: those that waited together come together."""
    shown = [float(figure.replace(",", "")) * SCALES[scale] for figure, scale in SHOWN_MARKET_CAP.findall(alert)]
    assert len(shown) == alert.lower().count(ALERT), alert
    return shown


def within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


async def nth_market_caps_usd(alerts: Locator, position: int) -> list[float]:
    alert = alerts.nth(position)
    await alert.wait_for(state="attached", timeout=TIMEOUT_S * 1000)
    return market_caps_usd(await alert.inner_text())


async def test_a_newcomer_gets_alerts_and_the_next_ones_obey_the_changed_filter(
    chat: ChatPage, program: BotProcess, chat_page_url: str
) -> None:
    await chat.open(chat_page_url)
    await chat.new_user("Grace")
    await chat.send("/start")
    await chat.wait_for_message("Hi Grace!")
    await chat.tap("Fresh launches")
    await chat.wait_for_message("The filter Fresh launches is added")
    alerts = chat.part("message").filter(has_text=ALERT)
    assert all(within(value, FRESH_LAUNCHES_USD) for value in await nth_market_caps_usd(alerts, 0))

    await chat.send("/settings")
    await chat.wait_for_message("Your filters")
    await chat.tap_under("Your filters", "🟢 Fresh launches")
    opened = chat.part("message").filter(has_text="Fresh launches is on")
    await expect(opened).to_have_count(2)
    await chat.tap_under("Fresh launches is on", "▸ Size · 1")
    await chat.wait_for_message("Size in Fresh launches")
    await chat.tap_under("Size in Fresh launches", "Market cap: $3k – $60k")
    await chat.wait_for_message("Send me a range")
    await chat.send("to the moon")
    await chat.wait_for_message("I cannot read “to the moon” as a")
    await chat.wait_for_message("Market cap stays at $3k – $60k")
    await chat.send(TYPED)
    await chat.wait_for_message("✅ Market cap: $61k – $1B")

    confirmed = '[data-testid=message]:has-text("✅ Market cap")'
    after = chat.page.locator(f"{confirmed} ~ [data-testid=message]").filter(has_text=ALERT)
    seen: list[float] = []
    messages = 0
    async with asyncio.timeout(TIMEOUT_S):
        while sum(within(value, TYPED_USD) for value in seen) < ALERTS_AFTER_THE_CHANGE:
            seen += await nth_market_caps_usd(after, messages)
            messages += 1
    # Calls that had passed before the change and waited for their turn come first, then none of them any more.
    on_their_way = sum(within(value, FRESH_LAUNCHES_USD) for value in seen)
    assert on_their_way <= ON_THEIR_WAY_MAX
    assert all(within(value, FRESH_LAUNCHES_USD) for value in seen[:on_their_way])
    assert all(within(value, TYPED_USD) for value in seen[on_their_way:])

    program.interrupt()
    assert await program.exit_code() == 0, program.output


@pytest.mark.thorough
async def test_on_a_phone_the_first_screen_is_seen_whole_and_a_mute_is_seen_under_its_alert(
    open_tab: OpenTab, program: BotProcess, chat_page_url: str
) -> None:
    chat = await open_tab(NARROW_PHONE)
    await chat.open(chat_page_url)
    await chat.new_user("Grace")
    await chat.send("/start")
    await chat.wait_for_message("Hi Grace!")
    await expect(chat.page.get_by_text("Hi Grace!")).to_be_in_viewport(ratio=1)
    await expect(chat.button("Set my own rules")).to_be_in_viewport(ratio=1)

    await chat.tap("Everything")
    # Several that waited share a message, and have no such button.
    mutes = chat.page.get_by_test_id("inline-button").filter(has_text="🔇")
    alert = chat.part("message").filter(has_text=ALERT).filter(has=mutes).first
    await alert.wait_for(state="attached", timeout=TIMEOUT_S * 1000)

    def under(label: str) -> Locator:
        return alert.get_by_test_id("inline-button").filter(has_text=label)

    await under("🔇 Mute").dblclick()
    await under("for a day").click()
    await expect(under("muted until")).to_be_in_viewport()
    await expect(under("🔇 Muted")).to_be_visible()
    await under("undo").click()
    await expect(under("undo")).to_have_count(0)
    await expect(under("🔇 Muted")).to_have_count(0)
