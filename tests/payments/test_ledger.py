"""The ledger: whatever arrives, however often and from wherever, is credited once and told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from msgspec.structs import replace

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import PRICE_HOLDS, Stage
from domain.stored.payments import SourceCursor
from managers.redis.client import RedisUnavailableError
from managers.storage.postgres import PostgresManager
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import START, Clock, Stores, came, invoice, stores_on


async def test_an_invoice_is_found_by_everything_that_tells_it(stores: Stores) -> None:
    ledger, one = stores.ledger, replace(invoice(), payment_id="p1")
    assert await ledger.open(one, told_by_amount=True)
    assert await ledger.open(one, told_by_amount=True), "the answer to the first was lost"
    file = await ledger.find(one.id)
    assert file is not None
    assert (file.invoice, file.arrivals, file.is_credited) == (one, (), False)
    assert await ledger.told_by("reference", "ref1") == one.id
    assert await ledger.told_by("payment", "p1") == one.id
    assert await ledger.told_by_amount("SOL", Decimal("0.500000000")) == one.id
    assert await ledger.told_by_amount("USDC", Decimal("0.5")) is None
    assert await ledger.told_by_any(["x", "ref1", "ref1"]) == [one.id]
    assert await ledger.open_invoices() == [one]
    assert [one.invoice for one in await ledger.of_person(7)] == [one]


async def test_no_two_invoices_are_told_by_the_same(stores: Stores) -> None:
    assert await stores.ledger.open(invoice(1), told_by_amount=True)
    assert not await stores.ledger.open(invoice(2), told_by_amount=True), "the amount is taken"
    assert not await stores.ledger.open(replace(invoice(2, amount="0.6"), reference="ref1"), told_by_amount=True)
    assert not await stores.ledger.open(replace(invoice(2, amount="0.7"), id="INV1"), told_by_amount=True)
    assert await stores.ledger.find("INV2") is None
    assert await stores.ledger.open(invoice(2, amount="0.500001"), told_by_amount=True)


@pytest.mark.parametrize("order", sorted(set(permutations(("seen", "confirming", "final", "final")))))
async def test_in_every_order_it_is_credited_once(stores: Stores, order: tuple[Stage, ...]) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    outcomes = [await stores.ledger.arrived(came("0.5", stage=stage), "INV1") for stage in order]
    credited = [outcome.credited for outcome in outcomes]
    assert credited == [stage == "final" and at == order.index("final") for at, stage in enumerate(order)]
    assert [one.key for one in await stores.ledger.entitlements(7)] == ["invoice:INV1"]
    assert await stores.ledger.entitled() == [7]
    receipts = [one for one in await stores.told() if one.kind == "receipt"]
    assert [one.notice.until for one in receipts] == [START + timedelta(days=30)]
    assert await stores.ledger.open_invoices() == []


async def test_a_hundred_identical_reports_at_once_from_two_processes_credit_once(
    redis_url: str, postgres_manager: PostgresManager, clock: Clock
) -> None:
    async with (
        stores_on(redis_url, postgres_manager, clock) as one,
        stores_on(redis_url, postgres_manager, clock) as other,
    ):
        await one.ledger.open(invoice(), told_by_amount=True)
        ledgers = [one.ledger, other.ledger] * 50
        outcomes = await asyncio.gather(*(ledger.arrived(came("0.5"), "INV1") for ledger in ledgers))
        assert sum(outcome.credited for outcome in outcomes) == 1
        assert len(await one.ledger.entitlements(7)) == 1
        assert [told.kind for told in await one.told()] == ["receipt"]


async def test_a_hundred_parts_at_once_add_up(redis_url: str, postgres_manager: PostgresManager, clock: Clock) -> None:
    async with (
        stores_on(redis_url, postgres_manager, clock) as one,
        stores_on(redis_url, postgres_manager, clock) as other,
    ):
        await one.ledger.open(invoice(), told_by_amount=True)
        ledgers = [one.ledger, other.ledger] * 50
        outcomes = await asyncio.gather(
            *(ledger.arrived(came("0.005", key=str(part)), "INV1") for part, ledger in enumerate(ledgers))
        )
        assert sum(outcome.credited for outcome in outcomes) == 1
        file = await one.ledger.find("INV1")
        assert file is not None
        assert sum(arrival.amount for arrival in file.arrivals) == Decimal("0.5")


async def test_what_names_two_invoices_counts_for_one(stores: Stores) -> None:
    await stores.ledger.open(invoice(1), told_by_amount=True)
    await stores.ledger.open(invoice(2, amount="0.6", user_id=8), told_by_amount=True)
    outcomes = await asyncio.gather(*(stores.ledger.arrived(came("0.6"), one) for one in ("INV1", "INV2")))
    assert sum(outcome.credited for outcome in outcomes) == 1
    assert len(await stores.ledger.entitlements(7)) + len(await stores.ledger.entitlements(8)) == 1
    assert await stores.ledger.counts_for("a") in {"INV1", "INV2"}


async def test_what_fits_nothing_waits_for_an_admin_who_settles_it(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.3"), None, note="rent")
    await stores.ledger.arrived(came("0.3"), "no such invoice")
    [unmatched] = await stores.ledger.unmatched()
    assert (unmatched.arrival.amount, unmatched.invoice_id) == (Decimal("0.3"), None)
    assert await stores.ledger.counts_for("a") is None
    outcome = await stores.ledger.arrived(came("0.3"), "INV1", settled_by=1)
    assert outcome.credited
    assert await stores.ledger.unmatched() == []
    assert not (await stores.ledger.arrived(came("0.3"), None)).is_new, "it counts for the invoice from now on"
    assert await stores.ledger.unmatched() == []


async def test_an_admin_settles_what_came_late(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    stores.clock.now = START + PRICE_HOLDS + timedelta(minutes=5)
    late = came("0.5", at=stores.clock.now)
    outcome = await stores.ledger.arrived(late, "INV1")
    assert outcome.assessment is not None
    assert (outcome.assessment.state, outcome.credited) == ("late", False)
    assert not (await stores.ledger.arrived(late, "INV1")).is_new
    assert (await stores.ledger.arrived(late, "INV1", settled_by=1)).credited
    assert not (await stores.ledger.arrived(late, "INV1", settled_by=1)).credited
    assert [told.notice.state for told in await stores.told()] == ["late", "paid"]


async def test_late_is_credited_when_the_coin_is_worth_as_much(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    stores.clock.now = START + PRICE_HOLDS + timedelta(minutes=5)
    late = came("0.5", at=stores.clock.now)
    assert not (await stores.ledger.arrived(late, "INV1", rate_usd=None)).credited
    assert (await stores.ledger.arrived(late, "INV1", rate_usd=Decimal(100))).credited, "the price is known by now"


async def test_every_change_is_told_with_what_is_missing(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.41", stage="confirming"), "INV1")
    await stores.ledger.arrived(came("0.41"), "INV1")
    await stores.ledger.arrived(came("0.41"), "INV1")
    await stores.ledger.arrived(came("0.09", "b"), "INV1")
    await stores.ledger.arrived(came("0.2", "c"), "INV1")
    await stores.ledger.arrived(came("5", "d", asset="USDC"), "INV1")
    told = [(one.kind, one.notice.state, str(one.notice.missing)) for one in await stores.told()]
    assert told == [
        ("payment", "confirming", "0.5"),
        ("payment", "underpaid", "0.09"),
        ("receipt", "topped_up", "0"),
        ("payment", "overpaid", "0"),
    ]


async def test_postgresql_has_all_of_it_once(stores: Stores, postgres_manager: PostgresManager) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", stage="confirming"), "INV1")
    await stores.ledger.arrived(came("0.5"), "INV1")
    await stores.ledger.arrived(came("0.1", "x"), None, note="who\x00?")
    await stores.ledger.give(7, Entitlement(key="trial", plan="trial", days=3, at=START))
    for slot in (5, 9, 7):
        await stores.ledger.move_cursor(SourceCursor(source="solana:W", position=f"s{slot}", slot=slot, at=START))
    await stores.journal.drain_all()
    assert stores.journal.rejected == 0
    fetch = postgres_manager.fetch
    assert [row["id"] for row in await fetch("SELECT id FROM invoices")] == ["INV1"]
    arrivals = await fetch("SELECT key, invoice_id, stage, amount FROM arrivals ORDER BY key")
    assert [tuple(row) for row in arrivals] == [
        ("a", "INV1", "final", Decimal("0.5")),
        ("x", None, "final", Decimal("0.1")),
    ]
    given = await fetch("SELECT user_id, key, days FROM entitlements ORDER BY key")
    assert [tuple(row) for row in given] == [(7, "invoice:INV1", 30), (7, "trial", 3)]
    assert [row["slot"] for row in await fetch("SELECT slot FROM payment_cursors")] == [9]


async def test_what_is_given_without_an_invoice_is_given_once(stores: Stores) -> None:
    trial = Entitlement(key="trial", plan="trial", days=3, at=START)
    assert [await stores.ledger.give(7, trial) for _ in range(2)] == [True, False]
    assert await stores.ledger.entitlements(7) == [trial]
    assert await stores.ledger.entitled() == [7]
    assert not await stores.ledger.shown(7, 0), "more was given than the document shows"
    assert await stores.ledger.entitled() == [7]
    assert await stores.ledger.shown(7, 1)
    assert await stores.ledger.entitled() == []


async def test_without_redis_nothing_is_credited_and_a_lost_answer_changes_nothing(
    redis_url: str, postgres_manager: PostgresManager, clock: Clock
) -> None:
    async with FaultProxy(redis_url) as proxy, stores_on(proxy.redis_url, postgres_manager, clock) as stores:
        await stores.ledger.open(invoice(), told_by_amount=True)
        await stores.ledger.arrived(came("0.1", "other"), None)  # Redis knows the script by now
        proxy.lose_reply_to(b"EVALSHA")
        with pytest.raises(RedisUnavailableError):
            await stores.ledger.arrived(came("0.5"), "INV1")
        outcome = await stores.ledger.arrived(came("0.5"), "INV1")
        assert (outcome.credited, outcome.is_new) == (False, False), "it was, by the call whose answer was lost"
        assert len(await stores.ledger.entitlements(7)) == 1
        await proxy.refuse()
        with pytest.raises(RedisUnavailableError):
            await stores.ledger.arrived(came("0.5", "b"), "INV1")
        await proxy.repair()
        assert [one.kind for one in await stores.told()] == ["receipt"]
