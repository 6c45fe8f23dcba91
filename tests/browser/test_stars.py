from __future__ import annotations

import pytest
from playwright.async_api import ViewportSize, expect
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup

from sandbox.telegram.server import TelegramSandbox
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.browser.test_chat import begun
from tests.sandbox.stars.kit import MONTH, PERIODIC, Till

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)


async def agree(till: Till, refusal: str = "") -> None:
    """Answer the pre-checkout query that comes next."""
    while (query := (await till.next()).pre_checkout_query) is None:
        pass
    await query.answer(ok=not refusal, error_message=refusal or None)


async def test_an_invoice_is_paid_on_a_phone(open_tab: OpenTab, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url, ada)
    await bot.send_invoice(ada, **MONTH)
    await tab.button("Pay ⭐ 250").tap()
    await expect(tab.part("pay-balance")).to_have_text("Balance ⭐ 0")
    await expect(tab.part("pay-problem")).to_contain_text("⭐ 250 are missing")
    await tab.part("pay-confirm").tap()
    await expect(tab.part("pay-balance")).to_have_text("Balance ⭐ 250")
    assert not await tab.is_wider_than_screen()

    till = Till(bot)
    await tab.part("pay-confirm").tap()
    await expect(tab.part("pay-confirm")).to_be_disabled()
    await agree(till, "The price has changed.")
    await expect(tab.part("pay-problem")).to_have_text("The price has changed.")
    await tab.part("pay-confirm").tap()
    await agree(till)
    await expect(tab.part("pay-sheet")).to_be_hidden()
    await expect(tab.part("receipt-line")).to_have_text("You paid ⭐ 250 for Pro, one month")
    await expect(tab.part("stars")).to_have_text("⭐ 0")

    await tab.button("Receipt").tap()
    (charge_id,) = telegram.stars.ledger.charges
    await expect(tab.part("receipt-charge")).to_have_text(charge_id)
    await tab.part("receipt-close").tap()
    await bot.refund_star_payment(ada, charge_id)
    await expect(tab.part("refund")).to_have_text("⭐ 250 came back for Pro, one month")
    await expect(tab.part("stars")).to_have_text("⭐ 250")
    await tab.page.reload()
    await expect(tab.part("receipt-line")).to_have_text("You paid ⭐ 250 for Pro, one month")


async def test_somebody_else_pays(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada, ben = await begun(telegram, "Ada"), telegram.user("Ben")
    ben.wallet.top_up(1_000)
    await chat.open(telegram.url, ada)
    pay = InlineKeyboardButton("Buy for XTR 250", pay=True)
    await bot.send_invoice(ada, **MONTH, reply_markup=InlineKeyboardMarkup([[pay]]))
    await chat.tap("Buy for ⭐ 250")
    await chat.part("pay-testing").locator("summary").click()
    await chat.part("pay-as").select_option("Ben")
    await expect(chat.part("pay-balance")).to_have_text("Balance ⭐ 1,000")
    await chat.part("pay-fault").select_option("twice")
    await chat.part("pay-confirm").click()
    till = Till(bot)
    await agree(till)
    await expect(chat.part("toast")).to_contain_text("Ben has paid ⭐ 250")
    payers = [update.effective_user for update in await till.updates()]
    assert [payer.id for payer in payers if payer is not None] == [ben.id, ben.id]
    await chat.tap("Buy for ⭐ 250")
    await expect(chat.part("pay-sheet")).to_be_visible()
    await chat.part("pay-cancel").click()
    await expect(chat.part("receipt-line")).to_have_count(0)


@pytest.mark.parametrize("place", ["link", "button"])
async def test_a_link_subscribes_and_the_wallet_cancels(
    chat: ChatPage, telegram: TelegramSandbox, bot: Bot, place: str
):
    ada = await begun(telegram, "Ada")
    telegram.user("Ada").wallet.top_up(1_000)
    link = await bot.create_invoice_link(**PERIODIC)
    await chat.open(telegram.url, ada)
    button = InlineKeyboardMarkup([[InlineKeyboardButton("Subscribe", url=link)]])
    await bot.send_message(ada, f"Here: {link}", reply_markup=button)
    if place == "link":
        await chat.message("Here").get_by_role("link", name=link).click()
    else:
        await chat.tap("Subscribe")
    await expect(chat.part("pay-price")).to_have_text("⭐ 250 every 30 days")
    await chat.part("pay-confirm").click()
    await agree(Till(bot))
    await expect(chat.part("receipt-line")).to_have_count(1)

    await chat.part("stars").click()
    await expect(chat.part("subscription-state")).to_contain_text("Renews on")
    await chat.part("subscription-renew").click()
    await expect(chat.part("wallet-balance")).to_have_text("500")
    await chat.part("subscription-cancel").click()
    await expect(chat.part("subscription-state")).to_contain_text("Cancelled, ends on")
    await chat.part("subscription-resume").click()
    await expect(chat.part("subscription-state")).to_contain_text("Renews on")
    (subscription,) = telegram.user("Ada").wallet.subscriptions
    await bot.edit_user_star_subscription(ada, subscription.id, is_canceled=True)
    await expect(chat.part("subscription-state")).to_contain_text("Cancelled by the bot")
    await chat.part("top-up").first.click()
    await expect(chat.part("wallet-balance")).to_have_text("600")
    await chat.part("wallet-close").click()
    await expect(chat.part("receipt-line").last).to_have_text("Renewed: ⭐ 250 for Pro, one month")
