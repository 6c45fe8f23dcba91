"""What is wrong with what watches money is said, with its numbers, for as long as it is so."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from composition.features.nowpayments import alarms_of_nowpayments
from composition.features.solana import alarms_of_solana, show_solana
from domain.payments.invoices import Arrival
from sandbox.payments.nowpayments.faults import Fault as NowPaymentsFault
from sandbox.payments.solana.faults import Fault
from services.monitoring import payment_conditions as conditions
from services.monitoring.conditions import GREW_WITHIN_S, Condition, about, because, in_words
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.payments.rates import Rates
from services.payments.reconciliation import Reconciliation
from services.schedule.due_times import DueTimes
from tests.payments.conftest import address, clock, shop, solana, stores
from tests.payments.ledger_kit import START, Clock, Stores
from tests.payments.nowpayments.conftest import house, nowpayments
from tests.payments.nowpayments.kit import House
from tests.payments.solana_kit import Price, Shop
from texts import Texts

__all__ = ["address", "clock", "house", "nowpayments", "shop", "solana", "stores"]


def says(condition: Condition) -> str:
    reasons = condition()
    return "" if reasons is None else in_words(reasons, Texts.load())


async def test_a_watcher_that_is_behind(shop: Shop) -> None:
    behind = conditions.solana_behind(shop.watcher, shop.rpc, shop.clock)
    shop.clock.pass_(minutes=10)
    assert behind() is None, "nobody watches here"
    shop.watcher.watches_since = shop.clock.now
    assert behind() is None
    await shop.watcher.poll()
    shop.clock.pass_(minutes=2)
    assert behind() is None
    shop.solana.faults.always = Fault.ERROR_5XX
    with pytest.raises(Exception, match="RPC"):
        await shop.watcher.poll()
    shop.clock.pass_(seconds=5)
    assert "125 s ago" in says(behind)
    assert "HTTP 502" in says(behind)
    shop.solana.faults.always = None
    await shop.watcher.poll()
    assert behind() is None


async def test_a_count_that_grew(clock: Clock) -> None:
    count = 0
    grew = conditions.CountGrew("alarm.solana_unreadable", lambda: count, clock=clock.timestamp)
    assert grew() is None
    count = 3
    assert "3 transactions in the last 10 minutes" in says(grew)
    clock.pass_(seconds=GREW_WITHIN_S + 1)
    assert grew() is None


async def test_the_price_is_asked_for_by_itself(clock: Clock) -> None:
    one, other = Price("100"), Price("103")
    price = conditions.price_reading(Rates(one=one, other=other, clock=clock), clock)
    unknown = conditions.sol_price_unknown(price)
    assert unknown() is None
    await price.refresh()
    assert "100 and 103" in says(unknown)
    other.usd = "101"
    await price.refresh()
    assert unknown() is not None, "once a minute"
    clock.pass_(minutes=1)
    await price.refresh()
    assert unknown() is None


async def test_nowpayments_that_does_not_answer(house: House) -> None:
    [alarm] = alarms_of_nowpayments(house.watch)
    metrics = Metrics()
    conditions.show_nowpayments(metrics, house.watch)
    house.nowpayments.faults.always = NowPaymentsFault.BAD_GATEWAY
    await house.watch.step()
    assert alarm.condition() is None, "nobody waits for it"
    house.nowpayments.faults.always = None
    await house.invoice()
    house.nowpayments.faults.always = NowPaymentsFault.BAD_GATEWAY
    await house.poll()
    assert "1 open payment waits" in says(alarm.condition)
    assert metrics.registry.get_sample_value("nowpayments_watched") == 1
    house.nowpayments.faults.always = None
    async with asyncio.timeout(20):  # on a slow machine the host is shut out for a while
        while alarm.condition() is not None:
            house.clock.pass_(hours=1)
            await house.poll()
            await asyncio.sleep(0.05)


async def test_what_fits_nothing_waits_for_an_admin(stores: Stores) -> None:
    reconciliation = Reconciliation(redis=stores.redis, due_times=DueTimes(stores.redis), clock=stores.clock)
    unmatched = Reading(reconciliation.count_unmatched)
    condition = conditions.payments_unmatched(unmatched)
    await unmatched.refresh()
    assert condition() is None
    for key in "ab":
        await stores.ledger.arrived(Arrival(key=key, asset="SOL", amount=Decimal(1), at=START), None)
    await unmatched.refresh()
    assert condition() == about(("#1", "#2"), because("alarm.payments_unmatched", count="2"))


async def test_numbers_of_the_watcher(shop: Shop) -> None:
    metrics, rates = Metrics(), Rates(one=Price(), other=Price(), clock=shop.clock)
    price = conditions.price_reading(rates, shop.clock)
    show_solana(metrics, shop.watcher, shop.receipts, rates, shop.rpc)
    payer = shop.solana.wallet(sol=10)
    for lamports in (100_000_000, 9_999):
        payer.send_sol(shop.address, lamports)
    await shop.final()
    value = metrics.registry.get_sample_value
    assert value("solana_dust_total") == 1
    assert value("solana_polled_timestamp_seconds") == shop.clock.timestamp()
    [host] = shop.rpc.counts
    assert (value("solana_rpc_requests_total", {"host": host}) or 0) > 2
    assert value("solana_rpc_failures_total", {"host": host}) == 0
    assert [one.condition() for one in alarms_of_solana(shop.watcher, shop.receipts, shop.rpc, price)] == [None] * 5


async def test_what_waits_for_a_second_server(shop: Shop) -> None:
    unwitnessed = conditions.solana_unwitnessed(shop.watcher)
    assert unwitnessed() is None
    shop.watcher.waiting = 2
    assert unwitnessed() == because("alarm.solana_unwitnessed", count="2")
