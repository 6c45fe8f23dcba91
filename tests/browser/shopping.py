"""Buying plans as a person does: from /plan to an invoice, and paying it with the page's wallets."""

from __future__ import annotations

import re

from playwright.async_api import Locator, expect

from tests.browser.chat_page import ChatPage

FINAL_S = 30.0
"""Until a payment is final; on mainnet's clock that is about 13 s."""


class Shopper:
    def __init__(self, tab: ChatPage) -> None:
        self.tab = tab

    async def choose(self, *path: str) -> Locator:
        """Ask for the plans and press these buttons one after the other; the message that they end in."""
        await self.tab.send("/plan")
        own = self.tab.page.locator("[data-testid=message][data-from=user]").last
        asked = await own.get_attribute("data-message-id")
        after = self.tab.page.locator(f'[data-message-id="{asked}"] ~ [data-testid=message]')
        menu = after.filter(has_text="Your plan").first
        answered = await menu.get_attribute("data-message-id")
        menu = self.tab.page.locator(f'[data-message-id="{answered}"]')
        for button in path:
            await self.button(menu, button).click()
        return menu

    def button(self, message: Locator, text: str) -> Locator:
        return message.get_by_test_id("inline-button").filter(has_text=re.compile(rf"^\W*{re.escape(text)}"))

    async def pay_link(self, invoice: Locator) -> None:
        """Let the wallet open what a phone would hand to it."""
        await self.button(invoice, "Open wallet").click()
        await self._pay()

    async def pay_copied(self, invoice: Locator) -> None:
        await self.button(invoice, "Copy address").click()
        await self.tab.part("wallet-strip-pay").click()
        await self._pay()

    async def pay_stars(self, fault: str = "") -> None:
        """Take the subscription that was offered last, with Stars that have to be got first."""
        await self.tab.tap("Subscribe for")
        await self.tab.part("pay-confirm").click()
        await expect(self.tab.part("pay-confirm")).to_contain_text("Pay")
        if fault:
            await self.tab.part("pay-testing").locator("summary").click()
            await self.tab.part("pay-fault").select_option(fault)
        await self.tab.part("pay-confirm").click()
        await expect(self.tab.part("pay-sheet")).to_be_hidden()

    async def is_final(self, state: str = "Final") -> None:
        """Wait until the wallet says so, and go back to the chat."""
        await expect(self.tab.part("transfer-state")).to_have_text(state, timeout=FINAL_S * 1000)
        await self.back()

    async def back(self) -> None:
        await self.tab.part("transfer-confirm").click()
        await expect(self.tab.part("transfer-sheet")).to_be_hidden()

    async def sees(self, start: str, *, count: int) -> None:
        """Wait until so many messages that were sent like this begin like this; menus and invoices change into it."""
        sent = self.tab.part("message").filter(has_not=self.tab.part("edited"))
        texts = sent.get_by_test_id("message-text").filter(has_text=re.compile(rf"^\s*{re.escape(start)}"))
        await expect(texts).to_have_count(count, timeout=FINAL_S * 1000)

    async def has_days(self, days: int) -> None:
        await self.tab.send("/status")
        await self.tab.wait_for_message(f"Days left: {days} ")

    async def _pay(self) -> None:
        await expect(self.tab.part("transfer-to")).to_be_visible()
        await self.tab.part("transfer-confirm").click()
        await expect(self.tab.part("transfer-confirm")).to_have_text("Back to the chat")
