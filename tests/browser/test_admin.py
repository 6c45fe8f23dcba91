"""On a phone: an owner does the main job of each page of administration; somebody else sees what comes of it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import ViewportSize, expect

from bot.telegram_bot import TelegramBot
from handlers.conversation.routing import collect
from sandbox.telegram.server import TelegramSandbox
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.e2e.bot_process import BotProcess

pytestmark = [pytest.mark.browser, pytest.mark.thorough, pytest.mark.timeout(600)]

PHONE = ViewportSize(width=390, height=844)
OWNER, OTHER = "Grace", "Heidi"
WITHIN_S = 30.0
PICTURES = os.environ.get("PICTURES_DIR")
"""Where what was seen is put, for whoever wants to look at it."""


@pytest.fixture
async def program() -> AsyncIterator[BotProcess]:
    """Grace has the id that the sandbox gives to her name."""
    async with TelegramSandbox() as sandbox:
        owner_id = sandbox.user(OWNER).id
    data_dir = Path(tempfile.mkdtemp(prefix="bot-"))
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0", "ADMIN_CHAT_IDS": str(owner_id)}
    try:
        async with BotProcess(environment) as process:
            await process.says("Ready after")
            yield process
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


class Person:
    def __init__(self, tab: ChatPage) -> None:
        self.tab = tab
        self._seen = 0

    async def sees(self, text: str) -> None:
        await self.tab.wait_for_message(text, WITHIN_S)
        if PICTURES:
            self._seen += 1
            name = re.sub(r"\W+", "_", text)[:40]
            await self.tab.page.screenshot(path=f"{PICTURES}/{self._seen:02} {name}.png")

    async def writes(self, text: str, then: str) -> None:
        await self.tab.send(text)
        await self.sees(then)

    async def taps(self, *buttons: str, then: str) -> None:
        for button in buttons:
            await self.tab.tap(button)
        await self.sees(then)

    async def gets_toast(self, text: str) -> None:
        await expect(self.tab.page.get_by_text(text).last).to_be_attached(timeout=WITHIN_S * 1000)


@pytest.fixture
async def owner(open_tab: OpenTab, chat_page_url: str) -> Person:
    tab = await open_tab(PHONE, touch=True)
    await tab.open(chat_page_url)
    assert await tab.new_user(OWNER)
    owner = Person(tab)
    await owner.writes("/start", "Hi Grace!")
    return owner


@pytest.fixture
async def other(open_tab: OpenTab, chat_page_url: str) -> Person:
    tab = await open_tab(PHONE, touch=True)
    await tab.open(chat_page_url)
    await tab.new_user(OTHER)
    other = Person(tab)
    await other.writes("/start", "Hi Heidi!")
    return other


async def test_every_page_of_the_menu_opens(owner: Person) -> None:
    commands = [one for one in collect(TelegramBot).commands.values() if one.topic and one.name != "admin"]
    assert len(commands) > 15
    await owner.writes("/admin", "Administration")
    for one in commands:
        await owner.writes("/admin", "Administration")
        exactly = re.compile(f"^{one.name}$")
        await owner.tab.part("message").last.get_by_test_id("inline-button").filter(has_text=exactly).click()
        last = owner.tab.part("message").last
        await expect(last, one.name).not_to_contain_text("your role: owner", timeout=WITHIN_S * 1000)
        assert not await owner.tab.is_wider_than_screen(), one.name


async def test_people_are_helped_and_banned(owner: Person, other: Person) -> None:
    await owner.writes("/user Heidi", "Here since")
    await owner.taps("Add a note", then="What is to be noted")
    await owner.writes("asked for help twice", "✅ Noted.")
    await owner.writes("/user Heidi", "asked for help twice")
    await owner.taps("Write to them", then="What do you want to tell")
    await owner.writes("It is mended.", "To Heidi")
    await owner.tab.tap("Yes, send")
    await other.sees("It is mended.")
    await owner.writes("/user Heidi", "Here since")
    await owner.taps("Subscription", then="By the ledger")
    await owner.taps("➕ Pro", then="How many days of Pro")
    await owner.writes("30 the feed was down", "Give Heidi")
    await owner.taps("Yes, give", then="By the ledger: Pro")
    await other.writes("/status", "Pro")
    await owner.writes("/user Heidi", "Here since")
    await owner.taps("⛔ Ban", then="Ban Heidi")
    await owner.tab.tap("Yes, ban")
    await expect(owner.tab.button("Unban")).to_be_visible(timeout=WITHIN_S * 1000)
    count = await other.tab.part("message").count()
    await other.tab.send("/status")
    await owner.taps("✅ Unban", then="Here since")
    await other.writes("/help", "What I can do")
    assert await other.tab.part("message").count() == count + 3, "of the time of the ban: their own word alone"
    await owner.writes("/admins", "by the settings")
    await owner.taps("Add somebody", then="Who is to be added?")
    await owner.writes("Heidi", "Role: none")
    await owner.taps("Make read-only", then="Make Heidi")
    await owner.taps("Yes", then="read-only")
    await other.writes("/health", "Confirmed by Telegram")
    await owner.writes("/plans", "People, and of these")
    await owner.writes("/audit", "set role")
    for done in ("note", "write", "grant", "ban"):
        await owner.sees(done)


async def test_everybody_is_told_something(owner: Person, other: Person) -> None:
    await owner.writes("/broadcast", "None yet.")
    await owner.taps("New broadcast", then="Send me the text")
    await owner.writes("<b>Maintenance</b> tonight at 2:00.", "draft")
    await owner.taps("Send it to me", then="Maintenance tonight at 2:00.")
    await owner.taps("Send now", then="Send it now to")
    await owner.taps("Yes, send it to all of them", then="Broadcast done.")
    await other.sees("Maintenance tonight at 2:00.")
    await owner.writes("/stats", "Renewals and churn")
    await owner.tab.tap("New people")
    await expect(owner.tab.part("photo").last).to_be_visible(timeout=WITHIN_S * 1000)
    await owner.writes("/send_report", "Send a report now")
    await owner.writes("/payments", "Open invoices")


async def test_the_bot_is_run(owner: Person, other: Person) -> None:
    await other.taps("Everything", then="Everything")
    await owner.writes("/maintenance", "Nothing is turned off.")
    await owner.taps("⏸ Read-only mode", then="What should people read?")
    await owner.writes("Back in ten minutes.", "Turn read-only mode on?")
    await owner.taps("Yes, turn it on", then="Read-only mode since")
    await other.writes("/settings", "Your filters")
    await other.tab.tap("Add a filter")
    await other.gets_toast("Back in ten minutes.")
    await owner.writes("/health", "turned off")
    await owner.taps("Connections", then="Log level")
    await owner.tab.tap("Connect to the feed anew")
    await owner.gets_toast("told to every process")
    await owner.writes("/maintenance", "Read-only mode since")
    await owner.taps("▶ End: Read-only mode", then="Nothing is turned off.")
    await owner.writes("/sources", "feed, made by")
    await owner.taps("⏸ channels", then="Pause channels?")
    await owner.taps("Yes, pause it", then="⏸")
    await owner.taps("▶ channels", then="feed, made by")
    await owner.writes("/cache", "Caches")
    await owner.taps("channels", then="What channels are.")
    await owner.taps("Forget all", then="Forget all of channels?")
    await owner.tab.tap("Yes, forget all")
    await owner.gets_toast("Forgotten")
    await owner.writes("/channels", "Channels that are read")
    await owner.tab.page.locator("[data-testid=inline-button]").nth(-1).scroll_into_view_if_needed()
    await owner.writes("/dead_letters", "Dead letters")
    await owner.writes("/correct", "Send me the token's address")
    await owner.writes("/presets", "Presets")
    await owner.writes("/audit", "What admins did")
