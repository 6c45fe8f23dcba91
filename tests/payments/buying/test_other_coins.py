"""Somebody buys a plan through NOWPayments: in a coin that is chosen in the chat, and on its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.payments.nowpayments.coins import COINS
from sandbox.payments.nowpayments.faults import Fault
from tests.payments.buying.kit import Buyer, Shop, button, buttons, copied, invoice_id, open_shop, words


@pytest.fixture
async def only_processor(redis_url: str, postgres_dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(redis_url, postgres_dsn, solana=False, stars=False) as shop:
        yield shop


async def test_coins_are_listed_by_name_and_network(ann: Buyer) -> None:
    shown = await ann.coins()
    rows = buttons(shown)
    assert rows[:3] == [
        ["SOL (Solana)", "USDC (Solana)"],
        ["USDT (Solana)", "USDT (TRC20)"],
        ["USDT (ERC20)", "USDT (BEP20)"],
    ]
    assert ["BTC (Bitcoin)", "ETH (Ethereum)"] in rows
    assert rows[-2:] == [["Pay page"], ["‹ Other way"]]


async def test_from_the_coin_to_the_receipt(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("USDT (TRC20)", await ann.coins())
    invoice = await ann.says("Send only on the network")
    number = invoice_id(invoice)
    assert "Send 39 USDT (TRC20)" in words(invoice)
    assert "Send only on the network TRC20" in words(invoice)
    assert buttons(invoice) == [["Copy amount", "Copy address"], ["I have paid – check"], ["‹ Other way"]]
    [stored] = await ann.invoices()
    payment = shop.processor.payment(stored.payment_id)
    assert copied(invoice, "Copy address") == payment.pay_address
    await ann.user.tap("I have paid – check", invoice)
    await ann.says("nothing has come yet")
    shop.processor.faults.loses_ipns = True
    shop.processor.desk.deposit(payment, Decimal(30))
    shop.processor.desk.finish(payment)
    await wait_for_a_look(ann, number)
    shown = await ann.says("send 9 USDTTRC20 more")
    assert copied(shown, "Copy amount") == "9"
    shop.processor.faults.loses_ipns = False
    shop.processor.desk.deposit(payment, Decimal(9))
    assert "for Pro, 30 days" in words(await ann.says("Paid:"))
    await ann.has("pro")
    assert await ann.receipts() == 1
    shown = ann.user.chat.messages[invoice["message_id"]]
    assert "which is paid" in words(shown)
    assert buttons(shown) == []


async def wait_for_a_look(ann: Buyer, number: str) -> None:
    """Tap until the processor may be asked again."""
    message = next(one for one in ann.user.messages if f"invoice {number}" in words(one))
    while "have just looked" in ((await ann.user.tap("I have paid – check", message))["text"] or ""):
        pass


async def test_a_memo_is_shown_and_copied(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("XRP (XRP Ledger)", await ann.coins())
    invoice = await ann.says("Memo / tag")
    [stored] = await ann.invoices()
    assert f"Memo / tag: {stored.memo}" in words(invoice)
    assert copied(invoice, "Copy memo") == stored.memo


async def test_the_same_tap_gives_the_same_order_and_a_later_purchase_another(ann: Buyer, shop: Shop) -> None:
    coins = await ann.coins()
    for _ in range(2):
        await ann.user.tap_data(coins, "buycoin:pro:1:usdttrc20")
    assert len(shop.processor.desk.payments) == 1
    [first] = await ann.invoices()
    shop.processor.pay(first.payment_id)
    await ann.says("Paid:")
    await ann.user.tap("USDT (TRC20)", await ann.coins())
    assert invoice_id(await ann.says("Send only on the network")) != first.id
    await ann.user.tap("BTC (Bitcoin)", await ann.coins())
    await ann.says("Send only on the network Bitcoin")
    assert len({one.id for one in await ann.invoices()}) == 3
    assert len(shop.processor.desk.payments) == 3


async def test_two_people_never_share_an_order(ann: Buyer, shop: Shop) -> None:
    ben = await shop.person("Ben")
    for buyer in (ann, ben):
        await buyer.user.tap("USDT (TRC20)", await buyer.coins())
        await buyer.says("Send only on the network")
    assert {one.id for one in await ann.invoices()}.isdisjoint({one.id for one in await ben.invoices()})


async def test_what_is_too_little_says_the_least(ann: Buyer, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COINS, "btc", replace(COINS["btc"], minimum_usd=Decimal(1_000)))
    shown = await ann.coins()
    answer = await ann.user.tap("BTC (Bitcoin)", shown)
    assert answer["show_alert"]
    assert "The least that can be paid in BTC (Bitcoin) is 0.0102" in answer["text"]
    assert await ann.invoices() == []
    await ann.user.tap("USDT (TRC20)", shown)
    await ann.says("Send only on the network TRC20")


async def test_on_the_page_of_the_processor(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("Pay page", await ann.coins())
    invoice = await ann.says("on the page of NOWPayments")
    assert "Pay $39 on the page" in words(invoice)
    assert buttons(invoice) == [["Open the pay page"], ["I have paid – check"], ["‹ Other way"]]
    [stored] = await ann.invoices()
    assert button(invoice, "Open the pay page")["url"] == stored.address
    [page] = shop.processor.desk.invoices.values()
    payment = shop.processor.desk.create_payment(page.order, "usdttrc20", page)
    shop.processor.pay(payment.id)
    await ann.says("Paid:")
    await ann.has("pro")


async def test_without_the_processor_nothing_is_promised(ann: Buyer, shop: Shop) -> None:
    shown = await ann.coins()
    shop.processor.faults.always = Fault.CHALLENGE
    answer = await ann.user.tap("USDT (TRC20)", shown)
    assert "The payment processor does not answer right now" in answer["text"]
    assert await ann.invoices() == []
    shop.processor.faults.always = None


async def test_a_check_without_the_processor_says_so(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("USDT (TRC20)", await ann.coins())
    invoice = await ann.says("Send only on the network")
    shop.processor.faults.always = Fault.CHALLENGE
    answer = await ann.user.tap("I have paid – check", invoice)
    assert "I cannot look right now" in answer["text"]
    shop.processor.faults.always = None


async def test_a_single_way_is_not_asked_for(only_processor: Shop) -> None:
    ann = await only_processor.person()
    plans = await ann.plans()
    assert "1 mo (30 days): $39" in words(plans)
    assert "⭐" not in words(plans)
    await ann.user.tap("Buy Pro", plans)
    await ann.user.tap("1 mo · $39", await ann.says("Pro: for how long?"))
    await ann.says("which coin?")
    await ann.user.send("/paid 5")
    await ann.says("I don't know this command")
    await ann.user.send("5" * 88)
    await ann.says("I wasn't waiting for an answer")
    await ann.user.send("/help")
    assert "/paid " not in words(await ann.says("What I can do"))


async def test_many_taps_are_few_questions(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("USDT (TRC20)", await ann.coins())
    invoice = await ann.says("Send only on the network")
    [stored] = await ann.invoices()
    asked = f"GET /v1/payment/{stored.payment_id}"
    before = shop.processor.requests[asked]
    answers = [await ann.user.tap("I have paid – check", invoice) for _ in range(20)]
    refused = sum("have just looked" in (answer["text"] or "") for answer in answers)
    assert refused >= 15
    assert shop.processor.requests[asked] - before <= 20 - refused + 1  # and the watch, once


async def test_a_coin_that_nobody_offers_is_not_asked_for(ann: Buyer, shop: Shop) -> None:
    shown = await ann.coins()
    asked = shop.processor.requests["POST /v1/payment"]
    for data in ("buycoin:pro:1:nocoin", "buycoin:pro:2:btc", "coins:free:1:0"):
        assert (await ann.user.tap_data(shown, data))["text"], data
    assert shop.processor.requests["POST /v1/payment"] == asked


async def test_an_invoice_that_the_processor_has_forgotten_is_not_to_be_paid(ann: Buyer, shop: Shop) -> None:
    await ann.user.tap("BTC (Bitcoin)", await ann.coins())
    invoice = await ann.says("Send only on the network")
    shop.processor.desk.payments.clear()
    await ann.user.tap("I have paid – check", invoice)
    shown = await ann.says("does not know invoice")
    assert buttons(shown) == [["I have paid – check"], ["‹ Other way"]]
    await ann.user.tap("BTC (Bitcoin)", await ann.coins())
    again = await ann.says("Send only on the network")
    assert invoice_id(again) != invoice_id(invoice)
