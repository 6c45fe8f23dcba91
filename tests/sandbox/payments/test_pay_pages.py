"""The pay pages in a browser: a person pays, and does what people do wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana.server import SolanaSandbox
from tests.browser.conftest import PHONE, chromium, chromium_path, chromium_url
from tests.sandbox.payments.nowpayments_kit import Client
from tests.sandbox.payments.solana_kit import USDC, Rpc, reference

__all__ = ["chromium", "chromium_path", "chromium_url"]

pytestmark = pytest.mark.browser
ORDER: dict[str, Any] = {
    "price_amount": 33,
    "price_currency": "usd",
    "order_description": "Pro, <b>3 months</b>",
    "success_url": "https://t.me/bot",
}


@pytest.fixture
async def phone(chromium: Browser) -> AsyncIterator[Page]:
    """A tab on a phone; afterwards it may have had no script error."""
    context = await chromium.new_context(viewport=PHONE, has_touch=True)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    assert errors == []


async def test_a_person_chooses_a_coin_and_pays(nowpayments: NowPaymentsSandbox, merchant_api: Client, phone: Page):
    _, invoice = await merchant_api.post("/invoice", **ORDER)
    await phone.goto(invoice["invoice_url"])
    await expect(phone.get_by_text("Pro, <b>3 months</b>")).to_be_visible()
    await phone.get_by_test_id("coin").select_option("xrp")
    await phone.get_by_test_id("choose").tap()
    await expect(phone.get_by_test_id("status")).to_have_text("waiting")
    [payment] = nowpayments.desk.payments.values()
    await expect(phone.get_by_test_id("address")).to_have_text(payment.pay_address)
    await expect(phone.get_by_test_id("amount")).to_have_text(f"{payment.pay_amount.normalize():f} XRP")
    await phone.get_by_test_id("act-forgotten").tap()
    await expect(phone.get_by_test_id("status")).to_have_text("waiting")
    await phone.get_by_test_id("act-full").tap()
    await expect(phone.get_by_test_id("status")).to_have_text("confirming")
    nowpayments.desk.finish(payment)
    await expect(phone.get_by_test_id("status")).to_have_text("finished")
    back = phone.get_by_role("link", name="Back to the shop")
    await expect(back).to_have_attribute("href", "https://t.me/bot")
    assert await phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_payment_of_the_api_has_a_page_too(nowpayments: NowPaymentsSandbox, merchant_api: Client, phone: Page):
    made = {name: value for name, value in ORDER.items() if name != "success_url"} | {"pay_currency": "sol"}
    _, payment = await merchant_api.post("/payment", **made)
    await phone.goto(nowpayments.pay_page(payment["payment_id"]))
    await phone.get_by_test_id("act-part").tap()
    await expect(phone.get_by_test_id("status")).to_have_text("confirming")
    nowpayments.desk.finish(nowpayments.payment(payment["payment_id"]))
    await expect(phone.get_by_test_id("status")).to_have_text("partially paid")
    await phone.get_by_test_id("act-other").tap()
    await phone.get_by_test_id("act-complete").tap()
    await expect(phone.get_by_test_id("status")).to_have_text("finished")
    await phone.reload()
    await expect(phone.get_by_test_id("status")).to_have_text("finished")
    assert len(nowpayments.desk.payments) == 2


async def test_what_is_unknown_is_said(nowpayments: NowPaymentsSandbox, phone: Page):
    await phone.goto(nowpayments.pay_page(77))
    await expect(phone.get_by_role("alert")).to_have_text("Payment not found")


async def test_a_wallet_pays_a_request(solana: SolanaSandbox, rpc: Rpc, phone: Page):
    merchant, ours = solana.wallet(), reference()
    wallet = await solana.open_wallet_page()
    request = f"solana:{merchant.address}?amount=12.5&spl-token={USDC}&reference={ours}&memo=order%201&label=Pro"
    await phone.goto(wallet.link(request))
    await expect(phone.get_by_test_id("amount")).to_have_text("12.5 USDC")
    await expect(phone.get_by_test_id("recipient")).to_have_text(str(merchant.address))
    await phone.get_by_test_id("act-pay").tap()
    row = phone.get_by_test_id("sent").get_by_role("listitem").first
    await expect(row).to_contain_text("Pay: processed")
    solana.advance(2)
    await expect(row).to_contain_text("confirmed")
    solana.finalize()
    await expect(row).to_contain_text("finalized")
    assert merchant.balance() == 12_500_000
    [paid] = await rpc.signatures(ours)
    await expect(row).to_contain_text(paid)
    for act in ("part", "more", "unnamed", "other"):
        await phone.get_by_test_id(f"act-{act}").tap()
    await phone.get_by_test_id("act-fail").tap()
    await expect(row).to_contain_text("failed, processed")
    assert merchant.balance() == 12_500_000 + 10_000_000 + 25_000_000 + 12_500_000
    assert await phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_wallet_pays_sol_and_refuses_nonsense(solana: SolanaSandbox, phone: Page):
    merchant = solana.wallet()
    wallet = await solana.open_wallet_page(sol=3)
    await phone.goto(wallet.link(f"solana:{merchant.address}?amount=0.25"))
    await phone.get_by_test_id("act-pay").tap()
    await phone.get_by_test_id("act-other").tap()
    await expect(phone.get_by_test_id("sent").get_by_role("listitem")).to_have_count(2)
    assert merchant.lamports == 10_250_000_000
    await phone.goto(wallet.link("https://example.com"))
    await expect(phone.get_by_role("alert")).to_contain_text("begins with solana:")
