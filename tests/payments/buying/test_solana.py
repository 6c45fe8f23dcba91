"""Somebody buys a plan in SOL and in USDC in the chat of the whole bot."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.payments.amounts import show
from sandbox.payments.solana import programs
from sandbox.telegram.updates import JsonObject
from services.payments import rates
from services.payments.group import PaymentServices, SettlingServices
from tests.payments.buying.kit import ADMIN, Buyer, Shop, amount_in, button, buttons, copied, invoice_id, page, words

TO_PAY = [
    ["Copy amount", "Copy address"],
    ["Open wallet"],
    ["I have paid – check"],
    ["‹ Other way"],
]


async def test_only_ways_that_there_are_are_offered(ann: Buyer) -> None:
    ways = await ann.ways()
    assert words(ways) == "Pro, 30 days, $39: how do you want to pay?"
    assert buttons(ways) == [["⭐ 2,990 Stars"], ["◎ SOL", "$ USDC"], ["Other coins"], ["‹ Back"]]


@pytest.mark.parametrize(("way", "asset"), [("◎ SOL", "SOL"), ("$ USDC", "USDC")])
async def test_from_the_plan_to_the_receipt(ann: Buyer, shop: Shop, way: str, asset: str) -> None:
    invoice = await ann.buys(way)
    assert f"{asset} on Solana" in words(invoice)
    assert invoice["photo"][-1]["file_size"] > 100
    assert buttons(invoice) == TO_PAY
    assert shop.merchant
    assert copied(invoice, "Copy address") == str(shop.merchant.address)
    number = invoice_id(invoice)
    url = await shop.url(number)
    assert Decimal(copied(invoice, "Copy amount")) == amount_in(url)
    assert url.replace("&", "&amp;") in await page(button(invoice, "Open wallet")["url"])
    shop.wallet.pay(url)
    shop.chain.advance(2)
    await ann.user.tap("I have paid – check", invoice)
    assert "confirming it" in words(await ann.says(f"invoice {number}"))
    shop.chain.finalize()
    assert "for Pro, 30 days" in words(await ann.says("Paid:"))
    await ann.has("pro")
    await ann.user.send("/invoices")
    listed = await ann.says("Your invoices")
    assert f"{asset} · paid" in words(listed)
    assert buttons(listed) == [[f"🧾 {number}"], ["↻ Refresh"]]
    await ann.user.tap(f"🧾 {number}", listed)
    receipt = words(await ann.says(f"🧾 Invoice {number}: Pro, 30 days, $39"))
    [arrival] = (await shop.bot.of(PaymentServices).invoices.own(ann.user.id, number)).arrivals
    assert f"(UTC): {show(arrival.amount)} {asset}\n{arrival.key.split(':')[1]}" in receipt
    assert "which is paid" in receipt


async def test_two_taps_show_one_invoice(ann: Buyer) -> None:
    ways = await ann.ways()
    await asyncio.gather(ann.user.tap("◎ SOL", ways), ann.user.tap_data(ways, "buysolana:pro:1:sol"))
    await ann.says("Send exactly")
    assert len(await ann.invoices()) == 1
    assert sum("Send exactly" in words(message) for message in ann.user.messages) == 1
    again = await ann.buys("◎ SOL")
    assert [invoice_id(again)] == [one.id for one in await ann.invoices()]


async def test_another_way_and_back(ann: Buyer) -> None:
    invoice = await ann.buys("◎ SOL")
    await ann.user.tap("‹ Other way", invoice)
    ways = await ann.says("how do you want to pay?")
    assert "photo" not in ways
    assert invoice["message_id"] not in ann.user.chat.messages
    await ann.user.tap("$ USDC", ways)
    assert "USDC on Solana" in words(await ann.says("Send exactly this amount"))


async def test_paid_in_part_and_topped_up(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    number, asked = invoice_id(invoice), Decimal(copied(invoice, "Copy amount"))
    url = await shop.url(number)
    shop.wallet.pay(url.replace(f"amount={asked}", "amount=10"))
    shop.chain.finalize()
    told = await ann.says("We see 10 of")
    assert copied(told, "Copy amount") == str(asked - 10)
    await ann.user.tap("I have paid – check", invoice)
    shown = await ann.says("reads the picture, fills everything in")
    assert shown["message_id"] == invoice["message_id"]
    assert shown["photo"] != invoice["photo"]
    assert f"send {asked - 10} USDC more" in words(shown)
    assert "UTC" in words(shown)
    assert copied(shown, "Copy amount") == str(asked - 10)
    assert buttons(shown) == TO_PAY
    rest = await shop.url(number)
    assert amount_in(rest) == asked - 10
    shop.wallet.pay(rest)
    shop.chain.finalize()
    await ann.says("Paid:")
    await ann.has("pro")
    await ann.user.tap("I have paid – check", shown)
    done = await ann.says("which is paid")
    assert "photo" not in done
    assert buttons(done) == []
    assert await ann.receipts() == 1


async def test_a_check_looks_and_says_that_nothing_came(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("◎ SOL")
    answers = [await ann.user.tap("I have paid – check", invoice) for _ in range(20)]
    assert "nothing of this amount has come yet" in words(await ann.says("Looked at"))
    told = [answer["text"] for answer in answers]
    assert sum("I have just looked" in (text or "") for text in told) >= 15
    assert not any(answer["show_alert"] for answer in answers)


async def test_a_stranger_gets_nothing(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("◎ SOL")
    ben = await shop.person("Ben")
    menu = await ben.plans()
    seen = len(ben.user.messages)
    for data in (f"checkinvoice:{invoice_id(invoice)}", f"invoice:{invoice_id(invoice)}", "invoice:nothing"):
        answer = await ben.user.tap_data(menu, data)
        assert answer["text"] == "This button is out of date. /settings opens a fresh menu."
    assert len(ben.user.messages) == seen


async def test_an_invoice_is_found_again_in_the_list(ann: Buyer) -> None:
    number = invoice_id(await ann.buys("$ USDC"))
    await ann.user.send("/invoices")
    listed = await ann.says("Your invoices")
    assert buttons(listed) == [[f"🧾 {number}"], ["↻ Refresh"]]
    await ann.user.tap(f"🧾 {number}", listed)
    assert buttons(await ann.says("Send exactly this amount")) == TO_PAY


async def test_without_a_sure_price_sol_is_not_sold_and_usdc_is(
    ann: Buyer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "HOLDS_FOR", timedelta(0))
    shop.prices.status = 500
    ways = await ann.ways()
    answer = await ann.user.tap("◎ SOL", ways)
    assert "The price of SOL is not certain right now" in answer["text"]
    await ann.user.tap("$ USDC", ways)
    await ann.says("Send exactly this amount")


async def test_forged_buttons_buy_nothing(ann: Buyer) -> None:
    menu = await ann.plans()
    for data in ("buysolana:pro:2:sol", "buysolana:free:1:sol", "buysolana:pro:1:btc", "ways:pro:2", "ways:trial:1"):
        assert (await ann.user.tap_data(menu, data))["text"], data
    assert await ann.invoices() == []


async def test_more_than_was_asked_is_said_to_be_more(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    asked = copied(invoice, "Copy amount")
    shop.wallet.pay((await shop.url(invoice_id(invoice))).replace(f"amount={asked}", "amount=100"))
    shop.chain.finalize()
    await ann.says("Paid:")
    await ann.user.tap("I have paid – check", invoice)
    shown = words(await ann.says("more than was asked"))
    assert "An admin looks at it" in shown
    await ann.user.send("/invoices")
    assert "more than was asked: an admin looks at it" in words(await ann.says("Your invoices"))
    [arrival] = (await shop.bot.of(PaymentServices).invoices.own(ann.user.id, invoice_id(invoice))).arrivals
    await shop.bot.of(SettlingServices).settling.settle(arrival.key, invoice_id(invoice), ADMIN)
    await ann.says("An admin has settled it: the invoice is paid, and nothing more was given")
    await ann.user.send("/invoices")
    listed = await ann.says("Your invoices")
    assert "paid; an admin has settled what else came" in words(listed)
    await ann.user.tap(f"🧾 {invoice_id(invoice)}", listed)
    assert "100 USDC" in words(await ann.says("🧾 Invoice"))
    assert shop.merchant
    assert shop.merchant.balance(programs.USDC) == 100 * 10**6


def latest(ann: Buyer, message: JsonObject) -> JsonObject:
    """A message as it is now."""
    return ann.user.chat.messages[message["message_id"]]


async def test_every_message_of_a_paid_invoice_offers_nothing_more(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    await ann.user.send("/invoices")
    await ann.user.tap(f"🧾 {invoice_id(invoice)}", await ann.says("Your invoices"))
    again = await ann.says("Send exactly this amount")
    assert again["message_id"] != invoice["message_id"]
    shop.wallet.pay(await shop.url(invoice_id(invoice)))
    shop.chain.advance(2)
    await ann.says("I write again")
    assert buttons(latest(ann, invoice)) == [["I have paid – check"]]
    shop.chain.finalize()
    await ann.says("Paid:")
    for message in (invoice, again):
        shown = latest(ann, message)
        assert buttons(shown) == []
        assert "which is paid" in words(shown)
        assert "photo" in shown


async def test_an_invoice_paid_in_part_asks_for_the_rest(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    asked, url = copied(invoice, "Copy amount"), await shop.url(invoice_id(invoice))
    shop.wallet.pay(url.replace(f"amount={asked}", "amount=10"))
    shop.chain.finalize()
    await ann.says("We see 10 of")
    shown = latest(ann, invoice)
    assert copied(shown, "Copy amount") == str(Decimal(asked) - 10)
    assert shown["photo"] != invoice["photo"]
    assert buttons(shown) == TO_PAY


async def test_what_shows_something_else_meanwhile_is_left_alone(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    await ann.user.tap("‹ Other way", invoice)
    ways = await ann.says("how do you want to pay?")
    await ann.user.tap("Other coins", ways)
    await ann.says("which coin?")
    shop.wallet.pay(await shop.url(invoice_id(invoice)))
    shop.chain.finalize()
    await ann.says("Paid:")
    assert "which coin?" in words(latest(ann, ways))


async def test_a_message_that_is_gone_keeps_no_receipt_back(ann: Buyer, shop: Shop) -> None:
    invoice = await ann.buys("$ USDC")
    ann.user.chat.messages.pop(invoice["message_id"])
    shop.wallet.pay(await shop.url(invoice_id(invoice)))
    shop.chain.finalize()
    await ann.says("Paid:")
