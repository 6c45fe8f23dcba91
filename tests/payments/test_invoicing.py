"""Invoices: an amount of its own for each, and what a wallet makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from domain.payments.amounts import CENT, SOL, to_units
from domain.payments.invoices import PRICE_HOLDS
from domain.payments.plans import Offer
from domain.payments.solana_transfers import WRAPPED_SOL
from runtime.errors import FatalError, TransientError, UserFacingError
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from services.payments.invoicing import (
    ID_LENGTH,
    LETTERS,
    MAX_OPEN,
    MAX_PER_DAY,
    REUSED_WHILE,
    Coin,
    Invoicing,
    receiver_of,
)
from services.payments.rates import Rates, RateUnknownError
from tests.payments.ledger_kit import START, Clock, Stores, came

OFFER = Offer(plan="pro", months=1, days=30, price_usd=Decimal("29.00"))
USDC_MINT = str(programs.USDC)


class Price:
    """A source of the price of SOL that says what a test wants."""

    def __init__(self, usd: str | None) -> None:
        self.usd = usd

    async def sol_usd(self) -> Decimal:
        if self.usd is None:
            raise TransientError("away")
        return Decimal(self.usd)


@pytest.fixture
def price() -> Price:
    return Price("145.5")


@pytest.fixture
async def solana() -> AsyncIterator[SolanaSandbox]:
    async with SolanaSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def shop() -> str:
    return str(Keypair().pubkey())


@pytest.fixture
def invoicing(stores: Stores, price: Price, clock: Clock, shop: str) -> Invoicing:
    return invoicing_on(stores, price, clock, shop)


def invoicing_on(stores: Stores, price: Price, clock: Clock, shop: str, chance: Random | None = None) -> Invoicing:
    return Invoicing(
        ledger=stores.ledger,
        rates=Rates(one=price, other=price, clock=clock),
        receiver=receiver_of(shop, USDC_MINT),
        label="Token filters",
        clock=clock,
        chance=chance,
    )


async def test_it_says_what_is_bought_for_how_much_until_when(invoicing: Invoicing, stores: Stores, shop: str) -> None:
    made = (await invoicing.make(7, OFFER, "sol")).invoice
    assert (made.user_id, made.plan, made.days, made.price_usd) == (7, "pro", 30, Decimal("29.00"))
    assert (made.created_at, made.expires_at) == (START, START + PRICE_HOLDS)
    assert (made.asset, made.rate_usd, made.address) == ("SOL", Decimal("145.5"), shop)
    assert 0 <= made.amount * Decimal("145.5") - Decimal("29.00") < 2 * CENT
    assert to_units(made.amount, SOL) > 0
    assert len(made.id) == ID_LENGTH
    assert set(made.id) <= set(LETTERS)
    assert await stores.ledger.told_by("reference", made.reference) == made.id
    assert await stores.ledger.told_by_amount("SOL", made.amount) == made.id


async def test_a_usdc_is_a_dollar(invoicing: Invoicing, price: Price) -> None:
    price.usd = None
    made = (await invoicing.make(7, OFFER, "usdc")).invoice
    assert made.rate_usd == 1
    assert Decimal("29.00") <= made.amount < Decimal("29.01")
    with pytest.raises(RateUnknownError):
        await invoicing.make(7, OFFER, "sol")


@pytest.mark.parametrize("coin", ["sol", "usdc"])
async def test_a_wallet_pays_exactly_what_is_asked(
    invoicing: Invoicing, solana: SolanaSandbox, shop: str, coin: Coin
) -> None:
    request = await invoicing.make(7, OFFER, coin)
    payer = solana.wallet(usdc=50)
    had = payer.balance()
    payer.pay(request.url)
    receiver = solana.cluster.accounts.newest(Pubkey.from_string(shop))
    if coin == "sol":
        assert receiver is not None
        assert receiver.lamports == to_units(request.invoice.amount, SOL)
    else:
        assert had - payer.balance() == request.invoice.amount * 10**6
    png = request.qr_png()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 20_000


async def test_who_taps_twice_gets_the_same_one_while_it_has_time(invoicing: Invoicing, clock: Clock) -> None:
    first = await invoicing.make(7, OFFER, "sol")
    assert await invoicing.make(7, OFFER, "sol") == first
    clock.now += PRICE_HOLDS - REUSED_WHILE
    assert await invoicing.make(7, OFFER, "sol") == first
    clock.pass_(seconds=1)
    second = await invoicing.make(7, OFFER, "sol")
    assert second.invoice.id != first.invoice.id
    others = [
        await invoicing.make(7, OFFER, "usdc"),
        await invoicing.make(8, OFFER, "sol"),
        await invoicing.make(7, replace(OFFER, months=3, days=90), "sol"),
    ]
    assert len({one.invoice.id for one in [first, second, *others]}) == 5


async def test_a_person_has_a_few_unpaid_ones_at_most(invoicing: Invoicing, stores: Stores, clock: Clock) -> None:
    made = [(await invoicing.make(7, replace(OFFER, days=n + 1), "usdc")).invoice for n in range(MAX_OPEN)]
    with pytest.raises(UserFacingError) as caught:
        await invoicing.make(7, OFFER, "usdc")
    assert (caught.value.key, caught.value.arguments) == ("payment.too_many", {"count": 5, "ends": "14:20 UTC"})
    arrival = came(str(made[0].amount), asset="USDC")
    assert (await stores.ledger.arrived(arrival, made[0].id)).credited, "an old one can be paid"
    await invoicing.make(7, OFFER, "usdc")
    clock.now += PRICE_HOLDS
    assert (await invoicing.make(7, OFFER, "usdc")).invoice.created_at == clock.now


async def test_nobody_takes_the_amounts_of_a_price_from_others(
    invoicing: Invoicing, stores: Stores, clock: Clock
) -> None:
    """Each stays taken for as long as it may be paid late."""
    made = None
    for _ in range(MAX_PER_DAY):
        made = (await invoicing.make(7, OFFER, "usdc")).invoice
        await stores.ledger.arrived(came("0.01", f"dust for {made.id}", asset="USDC"), made.id)
        clock.now += PRICE_HOLDS
    with pytest.raises(UserFacingError) as caught:
        await invoicing.make(7, OFFER, "usdc")
    assert (caught.value.key, caught.value.arguments) == (
        "payment.too_many_today",
        {"count": MAX_PER_DAY, "ends": "30 Nov 14:00 UTC"},
    )
    assert made
    rest = came(str(made.amount), asset="USDC", at=made.created_at)
    assert (await stores.ledger.arrived(rest, made.id)).credited, "one of them can be paid"
    await invoicing.make(7, OFFER, "usdc")


async def test_everybody_gets_an_amount_of_their_own(stores: Stores, price: Price, clock: Clock, shop: str) -> None:
    async def make(user_id: int) -> Decimal:
        # The same chance for everybody: all of them begin with the same amount.
        one = invoicing_on(stores, price, clock, shop, Random(user_id // 20))
        return (await one.make(user_id, OFFER, "usdc")).invoice.amount

    amounts = await asyncio.gather(*(make(user_id) for user_id in range(60)))
    assert len(set(amounts)) == 60


async def test_where_all_amounts_are_taken_that_is_said(stores: Stores, price: Price, clock: Clock, shop: str) -> None:
    class Stubborn(Random):
        def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
            del start, stop, step
            return 3

    one = invoicing_on(stores, price, clock, shop, Stubborn())
    await one.make(7, OFFER, "usdc")
    with pytest.raises(UserFacingError, match="no_amount"):
        await one.make(8, OFFER, "usdc")


def test_our_accounts_are_those_that_wallets_find() -> None:
    owner = Keypair().pubkey()
    accounts = {str(get_associated_token_address(owner, Pubkey.from_string(m))) for m in (USDC_MINT, WRAPPED_SOL)}
    assert receiver_of(str(owner), USDC_MINT).token_accounts == accounts
    with pytest.raises(FatalError):
        receiver_of("nonsense", USDC_MINT)
