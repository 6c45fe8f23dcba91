"""Somebody pastes a signature: it counts for them only where it cannot be anybody else's."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from domain.payments.amounts import SOL, USDC
from domain.payments.invoices import PRICE_HOLDS
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from services.payments.solana_claims import Verdict
from tests.payments.solana_kit import Shop, units

ANN, EVE = 7, 666


@pytest.fixture
def payer(solana: SolanaSandbox) -> Wallet:
    return solana.wallet(sol=100, usdc=1_000)


async def said(shop: Shop, user_id: int, signature: object) -> Verdict:
    return (await shop.claims.claim(user_id, str(signature))).verdict


async def test_what_names_no_transaction_of_ours_is_told_apart(shop: Shop, payer: Wallet) -> None:
    await shop.invoice(user_id=ANN)
    assert await said(shop, ANN, "my payment") == "malformed"
    assert await said(shop, ANN, Keypair().sign_message(b"x")) == "unknown"
    elsewhere = payer.send_sol(Keypair().pubkey(), 500_000_000)
    failed = payer.fail(shop.address)
    shop.solana.finalize()
    assert await said(shop, ANN, f" {elsewhere}\n") == "nothing"
    assert await said(shop, ANN, failed) == "nothing"


async def test_an_exchange_that_kept_a_fee_is_settled_by_the_signature(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice(user_id=ANN)
    signature = payer.send_sol(shop.address, units(asked.invoice.amount, SOL) - 60_000)
    await shop.final()
    assert not await shop.credited(asked)
    claim = await shop.claims.claim(ANN, str(signature))
    assert claim.verdict == "recorded"
    assert claim.file is not None
    assert claim.file.is_credited
    assert await shop.unmatched() == []
    await shop.watcher.poll()
    assert await said(shop, ANN, signature) == "recorded"
    assert len(await shop.stores.ledger.entitlements(ANN)) == 1


async def test_it_is_seen_before_it_is_final(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice(user_id=ANN)
    signature = payer.send_sol(shop.address, units(asked.invoice.amount, SOL) - 60_000)
    shop.solana.advance(2)
    assert await said(shop, ANN, signature) == "recorded"
    assert await shop.state(asked) == "confirming"
    await shop.final()
    assert await shop.credited(asked)


@pytest.mark.parametrize("exactly", [True, False])
async def test_a_strangers_payment_stays_theirs(shop: Shop, payer: Wallet, exactly: bool) -> None:  # noqa: FBT001 - a parameter
    await shop.invoice(user_id=EVE)
    asked = await shop.invoice(user_id=ANN)
    amount = units(asked.invoice.amount, SOL)
    signature = payer.send_sol(shop.address, amount) if exactly else payer.pay(asked.url)
    shop.solana.finalize()
    assert await said(shop, EVE, signature) == "admin"
    assert await said(shop, EVE, signature) == "admin"
    await shop.watcher.poll()
    assert await shop.stores.ledger.entitlements(EVE) == []
    assert await shop.credited(asked)
    assert await said(shop, EVE, signature) == "admin"
    assert await said(shop, ANN, signature) == "recorded"


async def test_what_fits_two_people_is_for_an_admin(shop: Shop, payer: Wallet) -> None:
    asked = [await shop.invoice("usdc", user_id=user) for user in (ANN, EVE)]
    between = sum((one.invoice.amount for one in asked), Decimal(0)) / 2
    signature = payer.send_tokens(shop.address, units(between, USDC) + 1)
    await shop.final()
    assert await said(shop, EVE, signature) == "admin"
    assert await said(shop, ANN, signature) == "admin"
    [record] = await shop.stores.ledger.unmatched()
    assert record.note == f"pasted by {ANN}"


async def test_amount_and_time_have_to_fit(shop: Shop, payer: Wallet) -> None:
    early = payer.send_sol(shop.address, 500_000_000)
    shop.clock.pass_(minutes=1)
    shop.solana.advance()
    asked = await shop.invoice(user_id=ANN)
    other = payer.send_sol(shop.address, units(asked.invoice.amount, SOL) - 200_000)
    wrong_coin = payer.send_tokens(shop.address, 500_000)
    shop.clock.now += PRICE_HOLDS + timedelta(seconds=1)
    shop.solana.advance()
    late = payer.send_sol(shop.address, units(asked.invoice.amount, SOL) - 1)
    shop.solana.finalize()
    assert [await said(shop, ANN, one) for one in (early, other, wrong_coin, late)] == ["admin"] * 4
    assert not await shop.credited(asked)
    assert len(await shop.unmatched()) == 4


async def test_our_reference_decides_over_what_somebody_says(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice(user_id=ANN)
    mine = await shop.invoice(user_id=EVE)
    reference = Pubkey.from_string(asked.invoice.reference)
    signature = payer.send_sol(shop.address, units(mine.invoice.amount, SOL), references=[reference])
    shop.solana.finalize()
    assert await said(shop, EVE, signature) == "admin"
    assert [await shop.credited(one) for one in (asked, mine)] == [True, False]
