"""Every night each network is held against the ledger: what was lost is credited once, what remains is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.payments.invoices import Arrival
from managers.storage.postgres import PostgresManager
from sandbox.payments.nowpayments.faults import Fault as NowPaymentsFault
from sandbox.payments.nowpayments.records import Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.faults import Fault
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from services.payments.invoicing import PaymentRequest, receiver_of
from services.payments.reconciliation import (
    TOLD_AFTER,
    TRY_AGAIN,
    NowPaymentsSource,
    Reconciliation,
    Source,
)
from services.payments.solana_reconciliation import SolanaSource
from services.payments.stars import ON_THE_WAY
from services.schedule.due_times import DueTimes
from services.schedule.schedule import Schedule
from tests.payments.ledger_kit import Clock, Stores, stores_on
from tests.payments.nowpayments.conftest import house, nowpayments
from tests.payments.nowpayments.kit import ANN, House
from tests.payments.solana_kit import Shop, new_address, shop_on

__all__ = ["house", "nowpayments"]

DAY = timedelta(days=1)
AT = datetime(2026, 11, 30, 3, 50, tzinfo=UTC)
"""The first night after `START`."""


@pytest.fixture
def payer(solana: SolanaSandbox) -> Wallet:
    return solana.wallet(sol=1_000, usdc=1_000)


def source_of(shop: Shop, *, page: int = 1_000) -> SolanaSource:
    return SolanaSource(
        rpc=shop.rpc,
        watcher=shop.watcher,
        receipts=shop.receipts,
        ledger=shop.stores.ledger,
        postgres=shop.stores.postgres,
        receiver=receiver_of(str(shop.address), str(programs.USDC)),
        clock=shop.clock,
        page=page,
    )


class Night:
    """One process that compares a source."""

    def __init__(self, source: Source, stores: Stores, *, slice_s: float = 60.0) -> None:
        due_times = DueTimes(stores.redis)
        self.stores = stores
        self.reconciliation = Reconciliation(
            redis=stores.redis, due_times=due_times, clock=stores.clock, slice_s=slice_s
        )
        self.schedule = Schedule([self.reconciliation.job(source)], due_times=due_times, clock=stores.clock)

    async def comes(self) -> int:
        """Let it become night; returns how much was written down."""
        await self.schedule.poll()
        await self.stores.journal.drain_all()
        clock = self.stores.clock
        clock.now = AT + ((clock.now - AT) // DAY + 1) * DAY
        return await self.schedule.poll()

    async def left(self) -> list[tuple[str, str]]:
        return [(one.what, one.key) for one in await self.reconciliation.left()]


def hiding(*signatures: Signature) -> Callable[[str, Any], Any]:
    """A node whose lists lack some transactions."""
    hidden = {str(one) for one in signatures}

    def rewrite(method: str, result: Any) -> Any:
        if method != "getSignaturesForAddress":
            return result
        return [one for one in result if one["signature"] not in hidden]

    return rewrite


async def lost(shop: Shop, *signatures: Signature) -> None:
    """All becomes final and old while the watcher sees everything but these, so that its cursor passes them."""
    shop.solana.faults.rewrite = hiding(*signatures)
    await shop.final()
    await shop.old()
    shop.solana.faults.rewrite = None
    shop.clock.now += ON_THE_WAY


async def test_what_the_watcher_lost_is_credited_and_what_fits_nothing_is_kept(shop: Shop, payer: Wallet) -> None:
    sol, usdc, other = await shop.invoice("sol"), await shop.invoice("usdc"), await shop.invoice("sol")
    unpaid = await shop.invoice("sol")
    missed = [payer.pay(sol.url), payer.pay(usdc.url), payer.send_sol(shop.address, 77_000_000)]
    missed.append(payer.send_sol(shop.address, 9_999))
    payer.pay(other.url)
    await lost(shop, *missed)
    assert [await shop.credited(one) for one in (sol, usdc, other)] == [False, False, True]
    night = Night(source_of(shop, page=2), shop.stores)
    assert await night.comes() == 3
    assert [await shop.credited(one) for one in (sol, usdc, other, unpaid)] == [True, True, True, False]
    assert await shop.unmatched() == [("SOL", "0.077")]
    assert await night.left() == []
    assert await night.comes() == 0


async def test_a_flood_of_names_and_doubled_lists_credits_once(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    signature = payer.pay(asked.url)
    await lost(shop, signature)
    shop.solana.faults.duplicates_listing = shop.solana.faults.shuffles_listing = True
    night = Night(source_of(shop), shop.stores)
    assert await night.comes() == 1
    again = Night(source_of(shop), shop.stores)
    assert await again.comes() == 0
    assert [one.days for one in await shop.stores.ledger.entitlements(asked.invoice.user_id)] == [30]
    assert [one.kind for one in await shop.told(asked)] == ["receipt"]


async def test_what_the_chain_does_not_have_or_has_otherwise_is_told(shop: Shop, payer: Wallet) -> None:
    signature = payer.send_sol(shop.address, 100_000_000)
    invented = f"solana:{Signature.new_unique()}:SOL"
    await lost(shop, signature)
    for key, amount in ((f"solana:{signature}:SOL", "0.11"), (invented, "0.2")):
        arrival = Arrival(key=key, asset="SOL", amount=Decimal(amount), at=shop.clock.now - timedelta(minutes=20))
        await shop.stores.ledger.arrived(arrival, None)
    night = Night(source_of(shop), shop.stores)
    assert await night.comes() == 0
    assert sorted(await night.left()) == [("amount", f"solana:{signature}:SOL"), ("recorded_not_there", invented)]


async def test_what_no_server_can_read_is_told_until_it_can(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    signature = payer.pay(asked.url)
    await lost(shop, signature)

    def unreadable(method: str, result: Any) -> Any:
        return {"slot": "?", "signature": str(signature)} if method == "getTransaction" else result

    shop.solana.faults.rewrite = unreadable
    night = Night(source_of(shop), shop.stores)
    assert await night.comes() == 0
    assert await night.left() == [("unreadable", f"solana:{signature}")]
    shop.solana.faults.rewrite = None
    assert await night.comes() == 1
    assert await night.left() == []
    assert await shop.credited(asked)


async def test_a_source_that_is_away_is_tried_again_and_after_an_hour_that_is_told(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("sol")
    signature = payer.pay(asked.url)
    await lost(shop, signature)
    shop.solana.faults.always = Fault.ERROR_5XX
    night = Night(source_of(shop), shop.stores)
    assert await night.comes() == 0
    assert await night.left() == []
    for _ in range(int(TOLD_AFTER / TRY_AGAIN)):
        shop.clock.now += TRY_AGAIN
        assert await night.schedule.poll() == 0
    [left] = await night.reconciliation.left()
    assert (left.source, left.what) == ("solana", "unavailable")
    assert "RPC servers" in left.detail
    shop.solana.faults.always = None
    shop.clock.now += TRY_AGAIN
    assert await night.schedule.poll() == 1
    assert await shop.credited(asked)
    assert await night.left() == []
    shop.clock.now += TRY_AGAIN
    assert await night.schedule.poll() == 0


async def test_slices_go_on_where_they_were_and_another_process_begins_anew(shop: Shop, payer: Wallet) -> None:
    asked = [await shop.invoice("usdc") for _ in range(4)]
    await lost(shop, *(payer.pay(one.url) for one in asked))
    first = Night(source_of(shop), shop.stores, slice_s=0.0)
    count = await first.comes()
    for _ in range(2):
        shop.clock.pass_(seconds=5)
        count += await first.schedule.poll()
    assert 0 < count < 4
    second = Night(source_of(shop), shop.stores, slice_s=0.0)
    for _ in range(40):
        shop.clock.pass_(seconds=5)
        count += await second.schedule.poll()
    assert count == 4
    assert [len(await shop.stores.ledger.entitlements(one.invoice.user_id)) for one in asked] == [1] * 4
    assert [one.at > AT for one in await second.reconciliation.comparisons()] == [True]
    assert await second.left() == []


@asynccontextmanager
async def empty_shop(redis_url: str, postgres: PostgresManager) -> AsyncGenerator[tuple[Shop, Wallet]]:
    clock = Clock()
    async with (
        stores_on(redis_url, postgres, clock) as stores,
        SolanaSandbox(clock=clock.timestamp) as solana,
        shop_on(stores, solana, new_address()) as shop,
    ):
        await stores.redis.transaction([("FLUSHALL",)])
        await postgres.execute("TRUNCATE arrivals, invoices, entitlements, payment_cursors")
        yield shop, solana.wallet(sol=1_000, usdc=10_000)


async def _credits(shop: Shop, asked: Sequence[PaymentRequest]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for one in asked:
        days = sum(given.days for given in await shop.stores.ledger.entitlements(one.invoice.user_id))
        found.append((await shop.state(one), days, len(await shop.told(one))))
    return found


WAYS = st.sampled_from(["exact", "short", "over", "twice", "nothing", "amount alone"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payments=st.lists(st.tuples(WAYS, st.booleans(), st.booleans()), min_size=1, max_size=4), is_killed=st.booleans()
)
async def test_any_losses_in_any_order_end_in_the_same_credits(
    redis_url: str,
    postgres_manager: PostgresManager,
    payments: list[tuple[str, bool, bool]],
    is_killed: bool,  # noqa: FBT001 - a parameter
) -> None:
    outcomes: list[list[tuple[str, int]]] = []
    for loses in (False, True):
        async with empty_shop(redis_url, postgres_manager) as (shop, payer):
            asked = [await shop.invoice("usdc" if is_usdc else "sol") for _, _, is_usdc in payments]
            missed: list[Signature] = []
            for one, (way, is_lost, _) in zip(asked, payments, strict=True):
                sent = _send(shop, payer, one, way)
                missed += sent if is_lost and loses else []
            await lost(shop, *missed)
            if loses:
                night = Night(source_of(shop), shop.stores, slice_s=0.0 if is_killed else 60.0)
                await night.comes()
                if is_killed:
                    night = Night(source_of(shop), shop.stores)
                    shop.clock.pass_(seconds=5)
                    await night.schedule.poll()
                assert await night.left() == []
            else:
                shop.clock.now = AT
            outcomes.append([(state, days) for state, days, _ in await _credits(shop, asked)])
    assert outcomes[0] == outcomes[1]


def _send(shop: Shop, payer: Wallet, one: PaymentRequest, way: str) -> list[Signature]:
    unit = 1_000_000 if one.invoice.asset == "USDC" else 1_000_000_000
    amount = int(one.invoice.amount * unit)
    reference = [Pubkey.from_string(one.invoice.reference)]
    send = payer.send_tokens if one.invoice.asset == "USDC" else payer.send_sol
    match way:
        case "nothing":
            return []
        case "exact":
            return [payer.pay(one.url)]
        case "amount alone":
            return [send(shop.address, amount)]
        case "short":
            return [send(shop.address, amount // 2, references=reference)]
        case "over":
            return [send(shop.address, amount * 2, references=reference)]
        case _:
            return [payer.pay(one.url), send(shop.address, amount + 7, references=reference)]


# NOWPayments


async def test_nowpayments_is_held_against_the_ledger(house: House, stores: Stores) -> None:
    house.nowpayments.faults.loses_ipns = True
    paid, refunded, altered, gone = [await house.invoice(f"order-{number}") for number in range(4)]
    for one in (refunded, altered, gone):
        house.nowpayments.pay(one.payment_id)
    await house.poll()
    assert await house.days() == 90
    house.nowpayments.pay(paid.payment_id)
    house.nowpayments.desk.set_status(house.payment(refunded), Status.REFUNDED)
    house.payment(altered).actually_paid -= Decimal("0.5")
    del house.nowpayments.desk.payments[int(gone.payment_id)]
    night = Night(NowPaymentsSource(house.service), stores)
    assert await night.comes() == 2
    assert await house.days(ANN) == 90, "one is new, and the refunded one is taken back"
    assert sorted(await night.left()) == [
        ("amount", f"nowpayments:{altered.payment_id}"),
        ("recorded_not_there", f"nowpayments:{gone.payment_id}"),
    ]
    assert await night.comes() == 0


async def test_nowpayments_that_is_away_keeps_what_was_found_before(
    house: House, stores: Stores, nowpayments: NowPaymentsSandbox
) -> None:
    nowpayments.faults.loses_ipns = True
    gone = await house.invoice()
    house.nowpayments.pay(gone.payment_id)
    await house.poll()
    del house.nowpayments.desk.payments[int(gone.payment_id)]
    night = Night(NowPaymentsSource(house.service), stores)
    await night.comes()
    nowpayments.faults.always = NowPaymentsFault.BAD_GATEWAY
    await night.comes()
    house.clock.now += TOLD_AFTER
    await night.schedule.poll()
    assert [what for what, _ in await night.left()] == ["unavailable", "recorded_not_there"]
