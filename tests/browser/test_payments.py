"""A newcomer buys plans in the browser in each of the four ways, also while the bot is killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import ViewportSize

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.payments import PaidChain, open_chain
from sandbox.world.wallets import wallets_of
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenTab
from tests.browser.shopping import Shopper
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment

pytestmark = pytest.mark.browser

PHONE = ViewportSize(width=390, height=844)
TRIAL, MONTH = 7, 30
CONFIRMED_AFTER = 2
"""Slots."""
SEEN, CONFIRMING, PAID = "👀 We see", "⏳ We see", "✅ Paid"
PRO = ("Buy Pro", "1 mo")
TETHER = (*PRO, "Other coins", "USDT (TRC20)")
RIPPLE = (*PRO, "Other coins", "XRP")


async def newcomer(tab: ChatPage, url: str, name: str) -> Shopper:
    await tab.open(url)
    await tab.new_user(name)
    await tab.send("/start")
    await tab.wait_for_message(f"Hi {name}!")
    return Shopper(tab)


@pytest.fixture
def calls_per_minute() -> int:
    return 1


@pytest.mark.thorough
async def test_a_newcomer_buys_in_each_of_the_four_ways(open_tab: OpenTab, program: BotProcess, chat_page_url: str):
    grace = await newcomer(await open_tab(PHONE, touch=True), chat_page_url, "Grace")
    await grace.pay_link(await grace.choose(*PRO, "SOL"))
    await grace.back()
    await grace.pay_copied(await grace.choose(*TETHER))
    await grace.back()
    await grace.choose(*PRO, "2,990 Stars")
    await grace.pay_stars()
    await grace.pay_copied(await grace.choose(*PRO, "USDC"))
    await grace.is_final()
    await grace.sees(PAID, count=4)
    await grace.sees(SEEN, count=1)
    await grace.sees(CONFIRMING, count=3)
    await grace.has_days(TRIAL + 4 * MONTH)
    assert not await grace.tab.is_wider_than_screen()
    program.interrupt()
    assert await program.exit_code() == 0, program.output


@dataclass(kw_only=True, slots=True)
class Shop:
    """What goes on when the bot does not: Telegram, the chain, the processor, prices."""

    telegram: TelegramSandbox
    paid: PaidChain
    processor: NowPaymentsSandbox
    environment: Mapping[str, str]

    def settle(self) -> None:
        """Let everything that was paid become final."""
        self.paid.chain.finalize()
        for payment in list(self.processor.desk.payments.values()):
            self.processor.desk.finish(payment)


@pytest.fixture
async def shop(telegram: TelegramSandbox, redis_url: str, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """Nothing is confirmed in it by itself."""
    async with AsyncExitStack() as stack:
        paid = await stack.enter_async_context(open_chain(tmp_path, slot_s=None))
        dexscreener = await stack.enter_async_context(DexScreenerSandbox())
        processor = await stack.enter_async_context(NowPaymentsSandbox())
        prices = await stack.enter_async_context(PriceSandbox())
        telegram.wallets += wallets_of(paid, processor)
        yield Shop(
            telegram=telegram,
            paid=paid,
            processor=processor,
            environment=process_environment(
                telegram=telegram,
                redis_url=redis_url,
                postgres_dsn=postgres_dsn,
                data_dir=tmp_path / "data",
                PAY_WITH_STARS="true",
                PAY_WITH_CRYPTO="true",
                SOLANA_WALLET=paid.merchant,
                SOLANA_RPC_URLS=paid.chain.url,
                SOLANA_USDC_MINT=paid.usdc_mint,
                DEXSCREENER_URL=dexscreener.url,
                PRICE_API_URL=prices.url,
                NOWPAYMENTS_API_KEY=processor.api_key,
                NOWPAYMENTS_API_URL=processor.url,
            ),
        )


@pytest.mark.thorough
async def test_the_bot_is_killed_between_invoice_payment_and_credit(open_tab: OpenTab, shop: Shop):
    tab = await open_tab(PHONE, touch=True)
    async with BotProcess(shop.environment) as bot:
        await bot.says("Ready after")
        ada = await newcomer(tab, shop.telegram.url, "Ada")
        sol, ripple = await ada.choose(*PRO, "SOL"), await ada.choose(*RIPPLE)
        for path in ((*PRO, "USDC"), TETHER):
            await ada.pay_copied(await ada.choose(*path))
            await ada.back()
        shop.paid.chain.advance(CONFIRMED_AFTER)
        await ada.choose(*PRO, "2,990 Stars")
        await ada.pay_stars("after_restart")
        await ada.sees(CONFIRMING, count=1)
        await ada.sees(SEEN, count=1)
        await bot.kill()
    for invoice in (sol, ripple):
        await ada.pay_copied(invoice)
        await ada.back()
    shop.settle()
    await ada.sees(PAID, count=0)
    async with BotProcess(shop.environment) as bot:
        await ada.sees(PAID, count=5)
        await ada.has_days(TRIAL + 5 * MONTH)
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output
    await ada.sees(PAID, count=5)
