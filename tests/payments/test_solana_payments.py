"""What people and thieves send us on Solana, and what comes of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from domain.payments.amounts import SOL, USDC
from domain.payments.invoices import LATE_COUNTS, PRICE_HOLDS
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from services.payments.invoicing import Coin
from tests.payments.ledger_kit import Stores
from tests.payments.solana_kit import Shop, shop_on, units


def key(reference: str) -> Pubkey:
    return Pubkey.from_string(reference)


@pytest.fixture
def payer(solana: SolanaSandbox) -> Wallet:
    return solana.wallet(sol=100, usdc=1_000)


@pytest.mark.parametrize("coin", ["sol", "usdc"])
async def test_who_pays_sees_it_confirmed_and_then_credited(shop: Shop, payer: Wallet, coin: Coin) -> None:
    asked = await shop.invoice(coin)
    payer.pay(asked.url)
    await shop.watcher.poll()
    assert await shop.state(asked) == "open", "nobody has confirmed it yet"
    shop.solana.advance(2)
    await shop.watcher.poll()
    assert await shop.state(asked) == "confirming"
    await shop.final()
    await shop.watcher.poll()
    assert await shop.state(asked) == "paid"
    told = await shop.told(asked)
    assert [(one.kind, one.notice.state) for one in told] == [("payment", "confirming"), ("receipt", "paid")]
    assert told[1].notice.until == shop.clock.now + timedelta(days=30)
    assert await shop.unmatched() == []


async def test_the_amount_alone_tells_the_invoice(shop: Shop, payer: Wallet) -> None:
    sol, usdc, other = await shop.invoice("sol"), await shop.invoice("usdc"), await shop.invoice("usdc")
    payer.send_sol(shop.address, units(sol.invoice.amount, SOL), memo="from an exchange")
    payer.send_tokens(shop.address, units(usdc.invoice.amount, USDC))
    await shop.final()
    assert [await shop.credited(one) for one in (sol, usdc, other)] == [True, True, False]


async def test_wrapped_sol_is_sol(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    amount = units(asked.invoice.amount, SOL)
    payer.wrap(amount)
    payer.send_tokens(shop.address, amount, mint=programs.WRAPPED_SOL)
    await shop.final()
    assert await shop.state(asked) == "paid"


async def test_a_reference_in_a_lookup_table_is_found(shop: Shop, solana: SolanaSandbox, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    reference = key(asked.invoice.reference)
    table = solana.faucet.create_lookup_table([reference, shop.address])
    solana.advance()
    # Another amount: only the reference tells it.
    payer.send(payer.sol(shop.address, units(asked.invoice.amount, SOL) + 5, [reference]), tables=[table])
    await shop.final()
    assert await shop.state(asked) == "paid"


async def test_an_account_that_is_opened_by_the_payment_counts(
    shop: Shop, solana: SolanaSandbox, payer: Wallet
) -> None:
    asked = await shop.invoice("usdc")
    assert solana.cluster.accounts.newest(solana.open_token_account(payer.address)) is not None
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == "paid"


async def test_a_failed_transaction_pays_nothing(shop: Shop, payer: Wallet) -> None:
    sol, usdc = await shop.invoice("sol"), await shop.invoice("usdc")
    payer.fail(shop.address, references=[key(sol.invoice.reference)])
    payer.fail(shop.address, mint=programs.USDC, references=[key(usdc.invoice.reference)])
    await shop.final()
    assert [await shop.state(one) for one in (sol, usdc)] == ["open", "open"]
    assert await shop.unmatched() == []


async def test_a_foreign_mint_pays_nothing(shop: Shop, solana: SolanaSandbox, payer: Wallet) -> None:
    asked = await shop.invoice("usdc")
    fake = solana.faucet.create_mint(6)
    solana.faucet.give_tokens(payer.address, fake, 10**12)
    payer.send_tokens(
        shop.address, units(asked.invoice.amount, USDC), mint=fake, references=[key(asked.invoice.reference)]
    )
    await shop.final()
    assert await shop.watcher.check(asked.invoice.id)
    assert await shop.state(asked) == "open"


async def test_dust_that_names_the_reference_changes_nothing(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    payer.send_sol(shop.address, 10_000_000)  # an account with less than its rent takes nothing
    payer.flood(shop.address, 20, references=[key(asked.invoice.reference)])
    await shop.final()
    assert await shop.state(asked) == "open"
    assert await shop.told(asked) == []
    assert (shop.receipts.dust, await shop.unmatched()) == (20, [("SOL", "0.01")])
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == "paid"


async def test_a_memo_proves_nothing(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    stranger = Keypair().pubkey()
    memo = f"paid {asked.invoice.amount} SOL to {shop.address} for {asked.invoice.id}"
    payer.send_sol(
        stranger, units(asked.invoice.amount, SOL), references=[key(asked.invoice.reference), shop.address], memo=memo
    )
    await shop.final()
    await shop.watcher.check(asked.invoice.id)
    assert await shop.state(asked) == "open"


async def test_what_fits_nothing_is_kept_for_an_admin(shop: Shop, payer: Wallet) -> None:
    payer.send_sol(shop.address, 123_000_000)
    payer.send_tokens(shop.address, 7_000_000)
    await shop.final()
    await shop.watcher.poll()
    assert sorted(await shop.unmatched()) == [("SOL", "0.123"), ("USDC", "7")]


@pytest.mark.parametrize("named", [True, False], ids=["by the link", "typed by hand"])
async def test_who_paid_too_little_is_told_what_is_missing_and_pays_it(
    shop: Shop, payer: Wallet, *, named: bool
) -> None:
    asked = await shop.invoice("sol")
    reference = [key(asked.invoice.reference)]
    payer.send_sol(shop.address, 410_000_000, references=reference)
    await shop.final()
    assert await shop.state(asked) == "underpaid"
    missing = asked.invoice.amount - Decimal("0.41")
    assert (await shop.told(asked))[-1].notice.missing == missing
    payer.send_sol(shop.address, units(missing, SOL), references=reference if named else [])
    await shop.final()
    assert await shop.state(asked) == "topped_up"
    assert [one.kind for one in await shop.told(asked)] == ["payment", "receipt"]


async def test_who_paid_too_much_gets_what_they_paid_for_and_an_admin_looks(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("usdc")
    payer.send_tokens(shop.address, 90_000_000, references=[key(asked.invoice.reference)])
    await shop.final()
    assert await shop.state(asked) == "overpaid"
    [receipt] = await shop.told(asked)
    assert (receipt.kind, receipt.notice.needs_admin) == ("receipt", True)


async def test_the_wrong_coin_for_an_invoice_stands_beside_it(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("usdc")
    payer.send_sol(shop.address, 500_000_000, references=[key(asked.invoice.reference)])
    await shop.final()
    assert not await shop.credited(asked)
    assert [one.notice.needs_admin for one in await shop.told(asked)] == [True]


@pytest.mark.parametrize(
    ("passes", "price", "state"),
    [
        (timedelta(minutes=1), "100", "paid"),
        (timedelta(minutes=1), "97", "late"),
        (timedelta(minutes=1), None, "late"),
        (LATE_COUNTS + timedelta(seconds=1), "100", "late"),
    ],
)
async def test_late_is_taken_while_the_coin_is_worth_as_much(
    shop: Shop, payer: Wallet, passes: timedelta, price: str | None, state: str
) -> None:
    asked = await shop.invoice("sol")
    shop.clock.now += PRICE_HOLDS + passes
    shop.solana.advance()
    shop.price.usd = price
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == state


async def test_what_could_not_be_priced_is_credited_at_the_nightly_check(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    shop.clock.now += PRICE_HOLDS + timedelta(minutes=1)
    shop.solana.advance()
    shop.price.usd = None
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == "late"
    shop.price.usd = "100"
    assert await shop.watcher.check_all() == [asked.invoice.id]
    assert await shop.credited(asked)
    assert await shop.watcher.check_all() == []


async def test_one_transaction_that_names_two_invoices_pays_the_one_whose_amount_fits(
    shop: Shop, payer: Wallet
) -> None:
    older, fitting = await shop.invoice("sol"), await shop.invoice("sol", usd="60")
    references = [key(one.invoice.reference) for one in (older, fitting)]
    payer.send_sol(shop.address, units(fitting.invoice.amount, SOL), references=references)
    payer.send_sol(shop.address, 777_000_000, references=references)
    await shop.final()
    assert [await shop.state(one) for one in (older, fitting)] == ["overpaid", "paid"]
    for one in (older, fitting):
        await shop.watcher.check(one.invoice.id)
        assert len((await shop.file(one)).arrivals) == 1


async def test_an_amount_that_came_before_its_invoice_is_not_for_it(shop: Shop, payer: Wallet) -> None:
    made = (await shop.invoice("sol")).invoice
    amount = made.amount + Decimal("0.1")
    payer.send_sol(shop.address, units(amount, SOL))
    shop.clock.pass_(minutes=10)
    shop.solana.advance()
    later = replace(
        made,
        id="LATER",
        amount=amount,
        reference=str(Keypair().pubkey()),
        created_at=shop.clock.now,
        expires_at=shop.clock.now + PRICE_HOLDS,
    )
    assert await shop.stores.ledger.open(later, told_by_amount=True)
    await shop.final()
    assert [asset for asset, _ in await shop.unmatched()] == ["SOL"]


@pytest.mark.parametrize("silent", ["without_block_times", "bare_token_balances"])
@pytest.mark.parametrize("coin", ["sol", "usdc"])
async def test_nodes_that_tell_less_are_understood(shop: Shop, payer: Wallet, coin: Coin, silent: str) -> None:
    setattr(shop.solana.faults, silent, True)
    asked = await shop.invoice(coin)
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == "paid"


async def test_a_second_process_that_watches_credits_nothing_twice(
    shop: Shop, stores: Stores, solana: SolanaSandbox, payer: Wallet
) -> None:
    asked = await shop.invoice("sol")
    payer.pay(asked.url)
    async with shop_on(stores, solana, shop.address) as other:
        await shop.final()
        await other.watcher.poll()
        await other.watcher.check(asked.invoice.id)
    assert len(await stores.ledger.entitlements(asked.invoice.user_id)) == 1
    assert [one.kind for one in await shop.told(asked)] == ["receipt"]
