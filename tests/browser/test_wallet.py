"""The chat page's wallet with a bot that a test plays: what leads to it, what it asks, what it pays."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import segno
from aiohttp import web
from playwright.async_api import ViewportSize, expect
from solders.pubkey import Pubkey
from telegram import Bot, CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.payments import PaidChain, open_chain
from sandbox.world.wallets import wallets_of
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.browser.test_chat import begun
from tests.sandbox.payments.nowpayments_kit import Client

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)
SLOT_S = 0.02
AMOUNT = "0.181818231"


@pytest.fixture
async def paid(telegram: TelegramSandbox, tmp_path: Path) -> AsyncIterator[PaidChain]:
    """A chain and its wallet, which the chat page has too."""
    async with open_chain(tmp_path, slot_s=SLOT_S) as chain:
        telegram.wallets += wallets_of(chain, None)
        yield chain


@pytest.fixture
async def processor(telegram: TelegramSandbox) -> AsyncIterator[NowPaymentsSandbox]:
    async with NowPaymentsSandbox() as sandbox:
        telegram.wallets += wallets_of(None, sandbox)
        yield sandbox


def copying(**texts: str) -> list[InlineKeyboardButton]:
    return [InlineKeyboardButton(f"Copy {name}", copy_text=CopyTextButton(text)) for name, text in texts.items()]


def request_of(paid: PaidChain, *, amount: str = AMOUNT, mint: str = "") -> str:
    token = f"&spl-token={mint}" if mint else ""
    return (
        f"solana:{paid.merchant}?amount={amount}{token}&reference={Pubkey.new_unique()}&label=Bot&message=Invoice%201"
    )


async def lamports_of(paid: PaidChain) -> int:
    account = paid.chain.cluster.accounts.newest(Pubkey.from_string(paid.merchant))
    assert account
    return account.lamports


async def serving(page: str, status: int = 200, headers: dict[str, str] | None = None) -> tuple[web.AppRunner, str]:
    """A page on loopback, as the bot's HTTP edge has one for each invoice."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/pay/1", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/pay/1"


async def test_a_link_to_the_pay_page_opens_the_wallet(
    open_tab: OpenTab, telegram: TelegramSandbox, bot: Bot, paid: PaidChain
):
    ada = await begun(telegram, "Ada")
    tab = await open_tab(PHONE, touch=True)
    await tab.open(telegram.url, ada)
    await expect(tab.part("wallet-button")).to_have_attribute("aria-label", "Test wallet, 100 SOL, 10000 USDC")
    url = request_of(paid)
    runner, page_url = await serving(f'<a href="{url.replace("&", "&amp;")}">Open</a><a href="https://x.org">x</a>')
    picture = io.BytesIO()
    segno.make(url, micro=False).save(picture, kind="png", scale=8)
    keyboard = InlineKeyboardMarkup(
        [copying(amount=AMOUNT, address=paid.merchant), [InlineKeyboardButton("Open wallet", url=page_url)]]
    )
    await bot.send_photo(ada, picture.getvalue(), caption=f"Send {AMOUNT} SOL", reply_markup=keyboard)
    await expect(tab.part("photo")).to_be_visible()
    await tab.page.wait_for_function("document.querySelector('[data-testid=photo]').naturalWidth > 100")
    before = await lamports_of(paid)
    await tab.button("Open wallet").tap()
    await expect(tab.part("transfer-price")).to_have_text(f"{AMOUNT} SOL")
    await expect(tab.part("transfer-label")).to_have_text("Bot: Invoice 1")
    await expect(tab.part("transfer-page")).to_have_attribute("href", page_url)
    await expect(tab.part("transfer-to")).to_have_text(paid.merchant)
    assert not await tab.is_wider_than_screen()
    await tab.part("transfer-confirm").tap()
    await expect(tab.part("transfer-state")).to_have_text("Final")
    await tab.part("transfer-confirm").tap()
    await expect(tab.part("transfer-sheet")).to_be_hidden()
    assert await lamports_of(paid) - before == int(Decimal(AMOUNT).scaleb(9))
    await runner.cleanup()


async def test_a_page_with_nothing_to_pay_is_left_to_the_browser(
    chat: ChatPage, telegram: TelegramSandbox, bot: Bot, paid: PaidChain
):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    runner, page_url = await serving(f'<a href="solana:{paid.merchant}x?amount=1">Open</a>')
    far = InlineKeyboardButton("Far", url="https://example.com/pay")
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Open wallet", url=page_url), far]])
    await bot.send_message(ada, "Here", reply_markup=keyboard)
    await chat.tap("Open wallet")
    await expect(chat.part("transfer-label")).to_contain_text("finds nothing to pay")
    await expect(chat.part("transfer-confirm")).to_be_hidden()
    async with chat.page.expect_popup() as popup:
        await chat.part("transfer-page").click()
    assert (await popup.value).url == page_url
    await chat.part("transfer-cancel").click()
    await expect(chat.button("Far")).to_have_attribute("href", "https://example.com/pay")
    await runner.cleanup()


@pytest.mark.parametrize(
    ("coin", "button"),
    [
        ("SOL", "Copy address"),
        ("USDC", "Copy amount"),
        pytest.param("SOL", "Copy amount", marks=pytest.mark.thorough),
        pytest.param("USDC", "Copy address", marks=pytest.mark.thorough),
    ],
)
async def test_what_is_copied_is_offered_to_the_wallet(
    chat: ChatPage, telegram: TelegramSandbox, bot: Bot, paid: PaidChain, coin: str, button: str
):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    token = str(Pubkey.new_unique())
    await bot.send_message(ada, "A call", reply_markup=InlineKeyboardMarkup([copying(token=token)]))
    await chat.tap("Copy token")
    await expect(chat.part("toast")).to_have_text("Copied to the clipboard")
    text = f"We see 1.5 {coin} of 13.500041 {coin}; send 12.000041 {coin} more."
    keyboard = InlineKeyboardMarkup([copying(amount="12.000041", address=paid.merchant)])
    await bot.send_message(ada, text, reply_markup=keyboard)
    await expect(chat.part("wallet-strip")).to_be_hidden()
    await chat.tap(button)
    await expect(chat.part("wallet-strip")).to_contain_text(f"Pay 12.000041 {coin} with the test wallet")
    await chat.part("wallet-strip-close").click()
    await expect(chat.part("wallet-strip")).to_be_hidden()
    await chat.tap(button)
    await chat.part("wallet-strip-pay").click()
    await expect(chat.part("transfer-amount")).to_have_value("12.000041")
    await expect(chat.part("transfer-coin")).to_have_value(coin)
    await chat.part("transfer-amount").fill("7.5")
    await chat.part("transfer-confirm").click()
    await expect(chat.part("transfer-state")).to_have_text("Final")
    await chat.part("transfer-confirm").click()
    await expect(chat.part("wallet-strip")).to_be_hidden()
    await chat.part("wallet-button").click()
    await expect(chat.part("transfer").first).to_contain_text(f"7.5 {coin}")
    left = {"SOL": r"92\.4\d+ SOL", "USDC": r"9992\.5 USDC"}
    await expect(chat.part("wallet-balances")).to_have_text(re.compile(left[coin]))


async def test_what_is_pasted_is_paid_or_refused(chat: ChatPage, telegram: TelegramSandbox, paid: PaidChain):
    await chat.open(telegram.url, await begun(telegram, "Ada"))
    await chat.part("wallet-button").click()
    for text, problem in (("0.5 SOL please", "neither a link nor an address"), ("solana:nobody", "is no address")):
        await chat.part("wallet-paste").fill(text)
        await chat.part("wallet-continue").click()
        await expect(chat.part("wallet-problem")).to_contain_text(problem)
    await chat.part("wallet-paste").fill(request_of(paid, amount="25.5", mint=str(programs.USDC)))
    await chat.part("wallet-paste").press("Enter")
    await expect(chat.part("transfer-price")).to_have_text("25.5 USDC")
    await chat.part("transfer-testing").locator("summary").click()
    await chat.part("transfer-way").select_option("fail")
    await chat.part("transfer-confirm").click()
    await expect(chat.part("transfer-state")).to_have_text("Failed, nothing was moved")
    await chat.part("transfer-confirm").click()

    await chat.part("wallet-button").click()
    await chat.part("wallet-paste").fill(paid.merchant)
    await chat.part("wallet-paste").press("Enter")
    await chat.part("transfer-confirm").click()
    await expect(chat.part("transfer-problem")).to_have_text("Say how much, as in 0.25.")
    await chat.part("transfer-amount").fill("99999999999999")
    await chat.part("transfer-confirm").click()
    await expect(chat.part("transfer-problem")).to_contain_text("is more than there is")
    await chat.page.keyboard.press("Escape")
    await expect(chat.part("transfer-sheet")).to_be_hidden()


async def test_a_payment_needs_no_mouse(chat: ChatPage, telegram: TelegramSandbox, bot: Bot, paid: PaidChain):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    keyboard = InlineKeyboardMarkup([copying(amount=AMOUNT, address=paid.merchant)])
    await bot.send_message(ada, f"Send {AMOUNT} SOL", reply_markup=keyboard)
    await chat.button("Copy address").focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.part("wallet-strip")).to_contain_text(AMOUNT)
    await chat.page.keyboard.press("Tab")
    await expect(chat.part("wallet-strip-pay")).to_be_focused()
    await expect(chat.part("wallet-strip-pay")).to_have_accessible_name(f"Pay {AMOUNT} SOL with the test wallet")
    await chat.page.keyboard.press("Enter")
    await expect(chat.page.get_by_role("dialog", name="Test wallet")).to_be_visible()
    await expect(chat.part("transfer-confirm")).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await expect(chat.page.get_by_role("status").filter(has_text="Final")).to_be_visible()
    await chat.page.keyboard.press("Escape")
    await expect(chat.part("transfer-sheet")).to_be_hidden()
    await expect(chat.part("wallet-button")).to_be_focused()


async def test_a_deposit_at_the_processor_is_paid(
    chat: ChatPage, telegram: TelegramSandbox, bot: Bot, processor: NowPaymentsSandbox
):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    async with aiohttp.ClientSession() as session:
        order = {"price_amount": 30, "price_currency": "usd", "order_description": "Pro", "pay_currency": "xrp"}
        _, made = await Client(processor, session).post("/payment", **order)
    payment = processor.payment(made["payment_id"])
    keyboard = [
        copying(address=payment.pay_address),
        [InlineKeyboardButton("Page", url=processor.pay_page(payment.id))],
    ]
    await bot.send_message(ada, "Send XRP", reply_markup=InlineKeyboardMarkup(keyboard))
    await chat.tap("Copy address")
    await expect(chat.part("wallet-strip")).to_contain_text(f"Pay {payment.pay_amount.normalize():f} XRP")
    await chat.tap("Page")
    await expect(chat.part("transfer-to")).to_have_text(payment.pay_address)
    await expect(chat.part("transfer-memo")).to_have_text(str(payment.payin_extra_id))
    await chat.part("transfer-confirm").click()
    await expect(chat.part("transfer-state")).to_have_text("Confirming")
    processor.desk.finish(payment)
    await expect(chat.part("transfer-state")).to_have_text("Finished")
    assert payment.actually_paid == payment.pay_amount


async def test_without_a_wallet_nothing_of_it_is_shown(chat: ChatPage, telegram: TelegramSandbox, bot: Bot):
    ada = await begun(telegram, "Ada")
    await chat.open(telegram.url, ada)
    address = str(Pubkey.new_unique())
    link = InlineKeyboardButton("Here", url=f"{telegram.url}/?{quote('a=b')}")
    await bot.send_message(ada, "Hi", reply_markup=InlineKeyboardMarkup([copying(address=address), [link]]))
    await expect(chat.part("wallet-button")).to_be_hidden()
    await chat.tap("Copy address")
    await expect(chat.part("toast")).to_have_text("Copied to the clipboard")
    await expect(chat.part("wallet-strip")).to_be_hidden()
    async with chat.page.expect_popup() as popup:
        await chat.tap("Here")
    await (await popup.value).close()
    await expect(chat.part("transfer-sheet")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 390])
async def test_on_a_phone_the_bots_name_is_read_whole_beside_both_balances_and_a_toast_keeps_its_size(
    open_tab: OpenTab, telegram: TelegramSandbox, bot: Bot, paid: PaidChain, width: int
):
    ada = await begun(telegram, "Ada")
    telegram.user("Ada").wallet.top_up(1_000)
    tab = await open_tab(ViewportSize(width=width, height=844), touch=True)
    await tab.open(telegram.url, ada)
    await expect(tab.part("wallet-button")).to_be_visible()
    await expect(tab.part("stars")).to_have_text("⭐ 1,000")
    is_whole = "node => ((box) => box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight + 1)"
    assert await tab.part("bot-name").evaluate(f"{is_whole}(node.parentElement)")
    assert await tab.part("chat-note").evaluate(f"{is_whole}(node)")
    assert not await tab.is_wider_than_screen()
    keyboard = InlineKeyboardMarkup([copying(amount="12.000041", address=paid.merchant)])
    await bot.send_message(ada, "Send 12.000041 SOL.", reply_markup=keyboard)
    await tab.tap("Copy address")
    await expect(tab.part("wallet-strip")).to_be_visible()
    toast = await tab.part("toast").bounding_box()
    assert toast is not None
    assert toast["height"] < 60
