"""Somebody sends a transaction: “I have paid, this is it”."""

from __future__ import annotations

import pytest
from solders.signature import Signature

from domain.payments.signatures import signature_in
from sandbox.payments.solana.faults import Fault
from services.payments import keys
from tests.payments.buying.kit import Buyer, Shop, invoice_id, words

SIGNATURE = str(Signature(bytes(range(1, 65))))


@pytest.mark.parametrize(
    "text",
    [
        SIGNATURE,
        f"  {SIGNATURE}\n",
        f"https://solscan.io/tx/{SIGNATURE}",
        f"I paid! https://www.solscan.io/tx/{SIGNATURE}?cluster=devnet thanks",
        f"https://explorer.solana.com/tx/{SIGNATURE}/",
        f"solana.fm/tx/{SIGNATURE}#top",
    ],
)
def test_a_signature_is_recognised(text: str) -> None:
    assert signature_in(text) == SIGNATURE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "So11111111111111111111111111111111111111112",
        f"{SIGNATURE} and more",
        f"https://evil.example/tx/{SIGNATURE}",
        f"https://evilsolscan.io/tx/{SIGNATURE}",
        f"https://solscan.io/account/{SIGNATURE}",
        SIGNATURE + "111",
        "0" * 88,
    ],
)
def test_other_text_is_not(text: str) -> None:
    assert signature_in(text) is None


async def sends(ann: Buyer, shop: Shop, text: str) -> None:
    """Send it as somebody who has waited since the last time."""
    await shop.bot.connections.redis.delete(keys.PASTED.of(ann.user.id))
    await ann.user.send(text)


async def test_each_verdict(ann: Buyer, shop: Shop) -> None:
    assert shop.merchant
    await sends(ann, shop, "/paid")
    await ann.says("Send the transaction's signature")
    await sends(ann, shop, "/paid my dog")
    await ann.says("no signature of a transaction")
    await sends(ann, shop, "1" * 64)
    await ann.says("does not show this transaction yet")
    elsewhere = shop.wallet.send_sol(shop.chain.wallet().address, 10**8)
    foreign = shop.wallet.send_sol(shop.merchant.address, 123_456_789)
    shop.chain.finalize()
    await sends(ann, shop, str(elsewhere))
    await ann.says("brought us nothing")
    await sends(ann, shop, f"https://solscan.io/tx/{foreign}")
    await ann.says("an admin looks at it")
    number = invoice_id(await ann.buys("◎ SOL"))
    paid = shop.wallet.pay(await shop.url(number))
    shop.chain.finalize()
    await sends(ann, shop, f"/paid https://explorer.solana.com/tx/{paid}?cluster=devnet")
    await ann.says_both(f"arrived for invoice {number}, which is paid", "Paid:")
    await ann.has("pro")
    assert await ann.receipts() == 1


async def test_a_strangers_signature_shows_nothing_of_their_invoice(ann: Buyer, shop: Shop) -> None:
    number = invoice_id(await ann.buys("◎ SOL"))
    paid = shop.wallet.pay(await shop.url(number))
    shop.chain.finalize()
    ben = await shop.person("Ben")
    await sends(ben, shop, str(paid))
    assert number not in words(await ben.says("fits no open invoice of yours"))
    await ann.has("pro")
    assert await ben.receipts() == 0


async def test_one_at_a_time(ann: Buyer, shop: Shop) -> None:
    await ann.user.send(SIGNATURE)
    await ann.says("does not show this transaction yet")
    await ann.user.send(SIGNATURE)
    await ann.says("One at a time")
    await sends(ann, shop, SIGNATURE)
    await ann.says("does not show this transaction yet")


async def test_without_the_network_it_is_to_be_sent_again(ann: Buyer, shop: Shop) -> None:
    shop.chain.faults.always = Fault.ERROR_5XX
    await ann.user.send(SIGNATURE)
    await ann.says("I cannot look at transactions right now")
    invoice = await ann.buys("$ USDC")
    answer = await ann.user.tap("I have paid – check", invoice)
    assert "I cannot look right now" in answer["text"]


async def test_a_question_of_the_filter_editor_gets_its_answer(ann: Buyer, shop: Shop) -> None:
    await ann.user.send("/settings")
    menu = await ann.user.next_message()
    await ann.user.tap_data(menu, "addset")
    await ann.user.tap_data(await ann.user.next_message(), "newset")
    await ann.user.next_message()
    await ann.user.tap_data(menu, "field:1:holders")
    await ann.says("Send me")
    await ann.user.send(SIGNATURE)
    await ann.says("as a number")
    await ann.user.send("100")
    await ann.says("≥ 100")
