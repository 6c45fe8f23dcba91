"""Whatever Telegram tells, in any order, again, through outages and restarts: each charge gives its days once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from domain.payments.stars import StarPayment, arrival_key, fits
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from managers.telegram.client import TelegramManager
from managers.telegram.payments import TelegramPayments
from managers.telegram.rate_limiter import TelegramRateLimiter
from runtime.errors import TransientError
from services.payments import keys
from services.payments.stars import StarsService
from services.recovery.payments import PaymentsRefill
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import Clock, Stores, stores_on
from tests.payments.stars.kit import invoice_for

INVOICES: Final = [invoice_for(7, "INV1"), invoice_for(8, "INV2")]
Event = Literal["", "restart", "lose answer", "outage", "drain"]


class Charge(Struct, frozen=True):
    """What Telegram knows of one, for good."""

    user_id: int
    payload: str
    currency: str
    amount: int

    def told(self, charge_id: str, *, is_refunded: bool) -> StarPayment:
        return StarPayment(
            charge_id=charge_id,
            user_id=self.user_id,
            currency=self.currency,
            amount=self.amount,
            payload=self.payload,
            at=datetime.fromtimestamp(1_900_000_000 + is_refunded, UTC),
            is_refunded=is_refunded,
        )

    @property
    def counts(self) -> bool:
        payment = self.told("any", is_refunded=False)
        return any(fits(payment, one) for one in INVOICES)


fitting = st.sampled_from([Charge(one.user_id, one.id, "XTR", int(one.amount)) for one in INVOICES])
any_charge = st.builds(
    Charge,
    user_id=st.sampled_from([7, 8, 9]),
    payload=st.sampled_from(["INV1", "INV2", "INV3", "", "a:b"]),
    currency=st.sampled_from(["XTR", "XTR", "USD"]),
    amount=st.sampled_from([250, 1, 25_000]),
)
charges = st.fixed_dictionaries(dict.fromkeys("abcd", fitting | any_charge))
events = st.sampled_from(["", "", "", "restart", "lose answer", "outage", "drain"])
steps = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), events), max_size=14)


def service_on(stores: Stores, postgres: PostgresManager) -> StarsService:
    """It is told by this test alone."""
    nobody = TelegramManager(token="1:A", api_base="http://127.0.0.1:9", limiter=TelegramRateLimiter())
    return StarsService(ledger=stores.ledger, telegram=TelegramPayments(nobody), postgres=postgres, clock=stores.clock)


async def tell_with(event: str, stores: Stores, stars: StarsService, payment: StarPayment, proxy: FaultProxy) -> None:
    match event:
        case "lose answer":
            proxy.lose_reply_to(b"EVALSHA")
        case "outage":
            await proxy.refuse()
        case "drain":
            await stores.journal.drain_all()
        case _:
            pass
    with suppress(RedisUnavailableError):
        await stars.arrived(payment)
    await proxy.repair()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(charges=charges, steps=steps)
async def test_days_are_those_of_the_charges_that_stand(
    redis_url: str,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    charges: dict[str, Charge],
    steps: list[tuple[str, bool, Event]],
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE invoices, arrivals, entitlements, outgoing")
    clock, left = Clock(), list(steps)
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        for one in INVOICES:
            assert await stores.ledger.open(one, told_by_amount=False)
    async with FaultProxy(redis_url) as proxy:
        while left:
            async with stores_on(proxy.redis_url, postgres_manager, clock) as stores:
                stars, event = service_on(stores, postgres_manager), ""
                while left and event != "restart":
                    name, is_refunded, event = left.pop(0)
                    payment = charges[name].told(name, is_refunded=is_refunded)
                    await tell_with(event, stores, stars, payment, proxy)
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        stars = service_on(stores, postgres_manager)
        for name, is_refunded, _ in steps:  # Telegram brings it until it is acknowledged
            await stars.arrived(charges[name].told(name, is_refunded=is_refunded))
        await stores.journal.drain_all()
        await check(stores, postgres_manager, charges, [(name, is_refunded) for name, is_refunded, _ in steps])


async def check(
    stores: Stores, postgres: PostgresManager, charges: Mapping[str, Charge], told: Sequence[tuple[str, bool]]
) -> None:
    names = {name for name, _ in told}
    refunded = {name for name, is_refunded in told if is_refunded}
    given_ = {user: await stores.ledger.entitlements(user) for user in (7, 8, 9)}
    for user, entitlements in given_.items():
        standing = [name for name in names - refunded if charges[name].counts and charges[name].user_id == user]
        assert sum(one.days for one in entitlements) == 30 * len(standing)
        assert len({one.key for one in entitlements}) == len(entitlements)
    given_keys = Counter(one.key for entitlements in given_.values() for one in entitlements)
    stored = await postgres.fetch("SELECT key FROM entitlements")
    assert Counter(row["key"] for row in stored) == given_keys
    messages = Counter((one.kind, one.notice.state) for one in await stores.told())
    assert messages["receipt", "paid"] == sum(key.startswith("stars:") for key in given_keys)

    unmatched = {record.arrival.key for record in await stores.ledger.unmatched()}
    assert unmatched == {arrival_key(name) for name in names - refunded if not charges[name].counts}
    for name in names:
        record = await stores.ledger.record_of(arrival_key(name))
        assert record is not None
        assert record.arrival.refunded == (name in refunded)
    rows = await postgres.fetch("SELECT key, refunded FROM arrivals")
    assert {(row["key"], row["refunded"]) for row in rows} == {(arrival_key(name), name in refunded) for name in names}


async def test_a_hundred_identical_updates_at_once_from_two_processes_count_once(
    redis_url: str, postgres_manager: PostgresManager
) -> None:
    clock = Clock()
    async with (
        stores_on(redis_url, postgres_manager, clock) as one,
        stores_on(redis_url, postgres_manager, clock) as other,
    ):
        await one.ledger.open(INVOICES[0], told_by_amount=False)
        services = [service_on(one, postgres_manager), service_on(other, postgres_manager)]
        payment = Charge(7, "INV1", "XTR", 250).told("c", is_refunded=False)
        await asyncio.gather(*(services[number % 2].arrived(payment) for number in range(100)))
        assert [(given.key, given.days) for given in await one.ledger.entitlements(7)] == [("stars:c", 30)]
        assert [told.kind for told in await one.told()] == ["receipt"]


async def test_a_hundred_charges_of_one_invoice_at_once_count_each(
    redis_url: str, postgres_manager: PostgresManager
) -> None:
    async with stores_on(redis_url, postgres_manager, Clock()) as stores:
        await stores.ledger.open(INVOICES[0], told_by_amount=False)
        stars, charge = service_on(stores, postgres_manager), Charge(7, "INV1", "XTR", 250)
        payments = [charge.told(str(number), is_refunded=number % 2 == 1) for number in range(100)]
        await asyncio.gather(*(stars.arrived(payment) for payment in payments))
        assert sum(one.days for one in await stores.ledger.entitlements(7)) == 50 * 30


async def test_what_is_refunded_while_it_arrives_leaves_nothing(
    redis_url: str, postgres_manager: PostgresManager
) -> None:
    async with stores_on(redis_url, postgres_manager, Clock()) as stores:
        await stores.ledger.open(INVOICES[0], told_by_amount=False)
        stars, charge = service_on(stores, postgres_manager), Charge(7, "INV1", "XTR", 250)
        told = [charge.told("c", is_refunded=is_refunded) for is_refunded in (False, True)] * 25
        await asyncio.gather(*(stars.arrived(payment) for payment in told))
        assert sum(one.days for one in await stores.ledger.entitlements(7)) == 0


async def test_a_renewal_after_years_finds_its_invoice(redis_url: str, postgres_manager: PostgresManager) -> None:
    async with stores_on(redis_url, postgres_manager, Clock()) as stores:
        await stores.ledger.open(INVOICES[0], told_by_amount=False)
        stars, charge = service_on(stores, postgres_manager), Charge(7, "INV1", "XTR", 250)
        for number in range(3):
            await stores.redis.transaction([("EXPIRE", keys.INVOICE.of("INV1"), 1_000)])
            await stars.arrived(charge.told(str(number), is_refunded=False))
            (lives_s,) = await stores.redis.transaction([("TTL", keys.INVOICE.of("INV1"))])
            assert isinstance(lives_s, int)
            assert lives_s > 300 * 86_400, "each payment keeps it"


async def test_a_subscription_of_years_comes_back_to_an_emptied_redis(
    redis_url: str, postgres_manager: PostgresManager
) -> None:
    clock = Clock(datetime.now(UTC))
    old = replace(INVOICES[0], created_at=clock.now - timedelta(days=500), expires_at=clock.now - timedelta(days=499))
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        await stores.ledger.open(old, told_by_amount=False)
        stars, charge = service_on(stores, postgres_manager), Charge(7, "INV1", "XTR", 250)
        await stars.arrived(charge.told("first", is_refunded=False))
        await stores.journal.drain_all()
        await stores.redis.transaction([("FLUSHALL",)])
        renewal = charge.told("second", is_refunded=False)
        with pytest.raises(TransientError):
            await stars.arrived(renewal)
        refill = PaymentsRefill(redis=stores.redis, postgres=postgres_manager, clock=clock)
        await refill.put_back(lambda: None)
        await stars.arrived(renewal)
        await stars.arrived(charge.told("first", is_refunded=True))
        given_ = await stores.ledger.entitlements(7)
        assert sorted(one.key for one in given_) == ["refund:stars:first", "stars:first", "stars:second"]
