"""Filter sets in a browser: made by tapping and typing, shared by link, and asked for their reasons."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import pytest
from playwright.async_api import Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.e2e.bot_process import BotProcess

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

ALERT = "market cap at call"
CALLED = re.compile(r"\$([\d.,]+)([kMB]?) market cap at call[^\n]*\s+([1-9A-HJ-NP-Za-km-z]{32,44})")
"""Market capitalisation and address in an alert, alone or with others in a message."""
SCALES = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}
MAXIMUM_USD = 60e3
FAR_ABOVE_USD = 2 * MAXIMUM_USD
"""So much that a second call of the token does not fit either."""
LIST = "Your filters 🟢 Alerts are on."
TIMEOUT_S = 45.0
"""For alerts: the market is random."""


@dataclass(frozen=True)
class Called:
    market_cap_usd: float
    address: str


@pytest.fixture
def calls_per_minute() -> int:
    """So few that answers need not wait for their turn behind alerts."""
    return 60


def calls_in(alert: str) -> list[Called]:
    return [
        Called(float(figure.replace(",", "")) * SCALES[scale], address)
        for figure, scale, address in CALLED.findall(alert)
    ]


async def begin(chat: ChatPage, url: str, name: str) -> None:
    await chat.open(url)
    await chat.new_user(name)
    await chat.send("/start")
    await chat.wait_for_message(f"Hi {name}!")


async def rename(chat: ChatPage, before: str, name: str) -> None:
    await chat.wait_for_message(f"{before} is off")
    await chat.tap_under(f"{before} is off", "🏷 Rename")
    await chat.wait_for_message(f"What should {before} be called?")
    await chat.send(name)
    await chat.wait_for_message(f"Renamed to {name}.")


async def open_field(chat: ChatPage, name: str, group: str, field: str) -> None:
    """From the menu of the set over its group to one of its fields."""
    await chat.tap_under(f"{name} is", f"▸ {group}")
    await chat.wait_for_message(f"{group} in {name}")
    await chat.tap_under(f"{group} in {name}", f"{field}: any")


async def back_to_set(chat: ChatPage, name: str, group: str) -> None:
    await chat.tap_under(f"{group} in {name}", "‹ Back")
    await chat.wait_for_message(f"{name} is on")


async def type_rule(chat: ChatPage, name: str, group: str, field: str, *, typed: str, shown: str) -> None:
    await open_field(chat, name, group, field)
    await chat.wait_for_message("Send me")
    await chat.send(typed)
    await chat.wait_for_message(f"✅ {field}: {shown}")
    await back_to_set(chat, name, group)


async def make_cheap_and_clean(chat: ChatPage) -> None:
    """A range, a flag that lets what is unknown pass, and words that must not be there."""
    name = "Cheap & clean"
    await chat.tap("Set my own rules")
    await rename(chat, "Filter 1", name)
    await type_rule(chat, name, "Size", "Market cap", typed="2k - 60k", shown="$2k – $60k")
    await open_field(chat, name, "Safety", "Mint revoked")
    await chat.wait_for_message("Tap what it must be.")
    await chat.tap_under("Tap what it must be.", "yes")
    await chat.wait_for_message("✅ Mint revoked: yes")
    await chat.tap_under("✅ Mint revoked: yes", "let it pass")
    await chat.wait_for_message("If this is not known yet: let it pass.")
    await chat.tap_under("If this is not known yet: let it pass.", "‹ Back")
    await chat.wait_for_message(f"Safety in {name}")
    await back_to_set(chat, name, "Safety")
    await type_rule(
        chat, name, "Origin", "Name or symbol", typed='-rug, -"not a scam"', shown="without “rug”, “not a scam”"
    )


async def make_large_on_solana(chat: ChatPage) -> None:
    """A range that nothing in this market reaches, and a choice."""
    name = "Large on Solana"
    await chat.send("/settings")
    await chat.wait_for_message(LIST)
    await chat.tap_under(LIST, "➕ Add a filter")
    await chat.wait_for_message("New filter")
    await chat.tap_under("New filter", "Empty filter")
    await rename(chat, "Filter 2", name)
    await type_rule(chat, name, "Size", "Liquidity", typed="> 900M", shown="≥ $900M")
    await type_rule(chat, name, "Origin", "Chain", typed="solana", shown="solana")


async def share(chat: ChatPage, name: str) -> str:
    """The link to a filter, as the button copies it."""
    await chat.send("/settings")
    await chat.wait_for_message(LIST)
    await chat.tap_under(LIST, f"🟢 {name}")
    await chat.wait_for_message(f"{name} is on")
    await chat.tap_under(f"{name} is on", "🔗 Share")
    await chat.wait_for_message("as a link:")
    await chat.tap_under("as a link:", "Copy link")
    await expect(chat.part("toast")).to_have_text("Copied to the clipboard")
    return await chat.page.evaluate("navigator.clipboard.readText()")


def alerts(chat: ChatPage) -> Locator:
    return chat.part("message").filter(has_text=ALERT)


def alerts_after_sharing(chat: ChatPage) -> Locator:
    """Those of the chat that came when both filters were done."""
    shared = '[data-testid=message]:has-text("as a link:")'
    return chat.page.locator(f"{shared} ~ [data-testid=message]").filter(has_text=ALERT)


async def called_far_above(chat: ChatPage) -> Called:
    """A call among the alerts in a chat that is far too large for the cheap filter."""
    position = 0
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            alert = alerts(chat).nth(position)
            await alert.wait_for(state="attached", timeout=TIMEOUT_S * 1000)
            for called in calls_in(await alert.inner_text()):
                if called.market_cap_usd >= FAR_ABOVE_USD:
                    return called
            position += 1


async def test_two_filters_are_made_shared_copied_and_explained(
    open_tab: OpenTab, program: BotProcess, chat_page_url: str
) -> None:
    ada, ben = await open_tab(), await open_tab()
    await begin(ada, chat_page_url, "Ada")
    await make_cheap_and_clean(ada)
    await make_large_on_solana(ada)
    link = await share(ada, "Cheap & clean")
    payload = link.partition("?start=")[2]
    assert payload.startswith("f_")
    assert len(payload) <= 64

    await begin(ben, chat_page_url, "Ben")
    await sees_and_copies(ben, payload)
    await ben.tap_under(LIST, "➕ Add a filter")
    await ben.wait_for_message("New filter")
    await ben.tap_under("New filter", "Everything")
    await ben.wait_for_message("The filter Everything is added.")

    await asks_why_it_was_held_back(ada, await called_far_above(ben))
    await asks_why_it_came(ada)

    program.interrupt()
    assert await program.exit_code() == 0, program.output


async def sees_and_copies(ben: ChatPage, payload: str) -> None:
    """What is behind Ada's link, in words; then it is Ben's."""
    await ben.send(f"/start {payload}")
    preview = await ben.wait_for_message("A filter shared by Ada on")
    assert preview.startswith("Cheap & clean\n")
    assert preview.splitlines()[3:] == [
        "• Market cap: $2k – $60k",
        "• Mint revoked: yes (if unknown: let it pass)",
        "• Name or symbol: without “rug”, “not a scam”",
    ]
    await ben.tap_under("A filter shared by Ada on", "Copy to my filters")
    copied = await ben.wait_for_message("✅ Copied. It was made by Ada;")
    assert "Cheap & clean is on" in copied
    await ben.send("/settings")
    listed = await ben.wait_for_message(LIST)
    assert "🟢 Cheap & clean · rules: 3" in listed


async def asks_why_it_was_held_back(ada: ChatPage, held_back: Called) -> None:
    await ada.send(f"/why {held_back.address}")
    answer = await ada.wait_for_message("✗ None of your filters let it through.")
    assert held_back.address in answer
    failed = re.search(r"✗ Market cap \$([\d.,]+)([kMB]?), needs \$2k – \$60k", answer)
    assert failed, answer
    assert re.search(r"(figures from|\() ?[^,\n]+, .+ old", answer)
    assert float(failed[1].replace(",", "")) * SCALES[failed[2]] > MAXIMUM_USD
    assert re.search(r"✗ Cheap & clean \([123] of 3 rules failed\)", answer)
    assert re.search(r"✗ Large on Solana \([12] of 2 rules failed\)", answer)
    own_alerts = "\n".join(await alerts_after_sharing(ada).all_inner_texts())
    assert held_back.address not in own_alerts


async def asks_why_it_came(ada: ChatPage) -> None:
    later = alerts_after_sharing(ada)
    # The next ones may have been decided before both filters were done, and have waited for their turn.
    await later.nth(await later.count() + 2).wait_for(state="attached", timeout=TIMEOUT_S * 1000)
    message_id = await later.last.get_attribute("data-message-id")
    alert = ada.page.locator(f"[data-message-id='{message_id}']")
    called = calls_in(await alert.inner_text())[0]
    await alert.get_by_test_id("inline-button").filter(has_text="Why?").first.click()
    answer = await ada.wait_for_message("✓ It passed your filters.")
    assert called.address in answer
    assert "✓ Cheap & clean (all 3 rules passed)" in answer
    assert re.search(r"✓ Market cap \$\S+ within \$2k – \$60k", answer)
    assert re.search(r"✓ Mint revoked (yes, needs yes|not known, which you let pass)", answer)
    assert re.search(r"✓ Name or symbol .+, needs to be without “rug”, “not a scam”", answer)
    assert re.search(r"✗ Large on Solana \([12] of 2 rules failed\)", answer)
    assert re.search(r"✗ Liquidity (\$\S+|not known), needs ≥ \$900M", answer)
    assert re.search(r"Received .+ ms\)\nDecided .+ ms\)", answer)
