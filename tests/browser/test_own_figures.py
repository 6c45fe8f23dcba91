"""On a phone: a filter is tried on the past, a report read, data taken along and deleted; then somebody comes anew."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Locator, ViewportSize, expect

from managers.storage.postgres import PostgresManager
from sandbox.world.world import Wants, World, open_world
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment
from tests.export.kit import table
from tests.reports.kit import Shelf

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

PHONE = ViewportSize(width=390, height=844)
PEAKS = (1.0, 1.1, 3.0, 1.2, 5.0, 2.5, 12.0, 1.1, 1.4, 4.0)
"""Half of them at 2x or more."""
ALERT_S, DRAWN_S, GONE_S = 20.0, 30.0, 20.0
FILTER = "Filter 1 is"
WATCH_BARS = """() => {
    window.bars = [];
    const look = () => {
        for (const node of document.querySelectorAll("[data-testid=message]"))
            if (/[█░]/.test(node.innerText)) window.bars.push(node.innerText);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
"""Remembers every bar that stands in the chat, however short: so few calls are tried within a second."""


@dataclass(kw_only=True, slots=True)
class Running:
    world: World
    bot: BotProcess
    shelf: Shelf

    @property
    def url(self) -> str:
        assert self.world.telegram
        return self.world.telegram.url

    async def told_of_the_past(self, user_id: int) -> None:
        """Calls of the last days, and alerts for them."""
        for hours, peak in enumerate(PEAKS, 3):
            await self.shelf.call(peak, user_id, at=datetime.now(UTC) - timedelta(hours=hours))


@pytest.fixture
async def running(
    redis_url: str, postgres_dsn: str, postgres_manager: PostgresManager, tmp_path: Path
) -> AsyncIterator[Running]:
    """The bot beside Telegram, a market and prices, on a PostgreSQL that the test writes to as well."""
    wants = Wants(telegram=True, feed=True, prices=True, redis=False, postgres=False)
    async with AsyncExitStack() as stack:
        outside = open_world(wants, data_dir=tmp_path, port=0, calls_per_s=0.4, demo=False)
        world = await stack.enter_async_context(outside)
        assert world.telegram
        assert world.feed
        assert world.prices
        assert world.dexscreener
        assert world.gecko
        environment = process_environment(
            telegram=world.telegram,
            redis_url=redis_url,
            postgres_dsn=postgres_dsn,
            data_dir=tmp_path / "data",
            FEED_URL=world.feed.ws_url,
            FEED_API_URL=world.feed.http_url,
            FEED_TOKEN=world.feed.token,
            PRICE_API_URL=world.prices.url,
            DEXSCREENER_URL=world.dexscreener.url,
            GECKOTERMINAL_URL=world.gecko.url,
        )
        bot = await stack.enter_async_context(BotProcess(environment))
        await bot.says("Ready after")
        yield Running(world=world, bot=bot, shelf=Shelf(postgres_manager))


async def test_a_filter_is_tried_reported_on_taken_along_and_left(open_tab: OpenTab, running: Running) -> None:
    ada = await open_tab(PHONE, touch=True)
    await ada.open(running.url)
    user_id = await ada.new_user("Ada")
    await ada.send("/start")
    await ada.wait_for_message("Hi Ada!")
    await running.told_of_the_past(user_id)
    await makes_a_draft(ada)
    await tries_it_and_switches_it_on(ada)
    await gets_an_alert(ada)
    await reads_the_report(ada)
    await takes_everything_along(ada)
    await goes(ada)
    await comes_anew(ada)
    assert not await ada.is_wider_than_screen()
    running.bot.interrupt()
    assert await running.bot.exit_code() == 0, running.bot.output


def after(chat: ChatPage, says: str) -> Locator:
    """The messages that came after the one that says this."""
    return chat.page.locator(f'[data-testid=message]:has-text("{says}") ~ [data-testid=message]')


async def makes_a_draft(ada: ChatPage) -> None:
    """A filter with a rule, that is off."""
    await ada.tap("Set my own rules")
    await ada.wait_for_message(f"{FILTER} off")
    await ada.tap_under(f"{FILTER} off", "▸ Size")
    await ada.tap_under("Size in Filter 1", "Market cap: any")
    await ada.wait_for_message("Send me a range")
    await ada.send("> 1k")
    await ada.tap_under("✅ Market cap: ≥ $1k", "‹ Back")
    await ada.tap_under(f"{FILTER} on", "⚪ Turn off")
    await ada.wait_for_message(f"{FILTER} off")


async def tries_it_and_switches_it_on(ada: ChatPage) -> None:
    await ada.tap_under(f"{FILTER} off", "🧪 Backtest")
    await ada.page.evaluate(WATCH_BARS)
    await ada.tap_under("Over how many days?", "7 days")
    result = await ada.wait_for_message("Reached 2x at the peak", timeout_s=DRAWN_S)
    base = re.search(r"All tokens called in that time: \d+% of (\d+)", result)
    assert base, result
    assert int(base[1]) >= len(PEAKS), "those that were called meanwhile count, too"
    assert "12x" in result
    bars = await ada.page.evaluate("() => window.bars")
    assert any(re.search(r"[█░]{20} \d+%.*Cancel", bar, re.DOTALL) for bar in bars), bars
    await ada.tap_under("Reached 2x at the peak", "🟢 Turn it on")
    await ada.wait_for_message(f"{FILTER} on")


async def gets_an_alert(ada: ChatPage) -> None:
    alerts = after(ada, "Reached 2x at the peak").filter(has_text="market cap at call")
    await expect(alerts.first).to_be_attached(timeout=ALERT_S * 1000)


async def reads_the_report(ada: ChatPage) -> None:
    await ada.send("/report")
    report = await ada.wait_for_message("Your alerts ·")
    assert "reached 2x" in report
    await ada.tap_under("Your alerts ·", "🖼 As a picture")
    picture = ada.message("Your alerts ·").get_by_test_id("photo")
    await expect(picture).to_be_visible(timeout=DRAWN_S * 1000)
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > PHONE["width"]


async def takes_everything_along(ada: ChatPage) -> None:
    await ada.send("/export")
    await ada.tap_under("Your data", "Spreadsheet")
    await ada.wait_for_message("That is everything", timeout_s=DRAWN_S)
    async with ada.page.expect_download() as downloading:
        await ada.part("document").filter(has_text="alerts").first.click()
    alerts = rows_of(await (await downloading.value).path())
    assert len(alerts) > len(PEAKS)


def rows_of(file: Path) -> list[dict[str, str]]:
    return table(file.read_bytes())


async def goes(ada: ChatPage) -> None:
    """Two questions, and the second one is in the place of the first."""
    await ada.send("/delete_me")
    await ada.tap_under("Delete your data", "Delete my data")
    await ada.tap_under("Delete everything now?", "Yes, delete everything")
    begun = await ada.wait_for_message("Your data is being deleted")
    receipt = await ada.wait_for_message("Your data is deleted", timeout_s=GONE_S)
    number = receipt.partition("Receipt: ")[2].split()[0]
    assert number in begun


async def comes_anew(ada: ChatPage) -> None:
    """Nothing is known of them but that they have had their trial."""
    await ada.send("/start")
    greeted = after(ada, "Your data is deleted").filter(has_text="Hi Ada!")
    await expect(greeted).to_be_attached(timeout=GONE_S * 1000)
    await ada.send("/settings")
    await ada.wait_for_message("You have no filter yet")
    await ada.send("/report")
    await ada.wait_for_message("You got no alert")
