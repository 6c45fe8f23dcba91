"""Paying through NOWPayments: what the ledger and the person know at each step, found by polling alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from managers.http.answers import RefusedError
from managers.payments.nowpayments import AmountTooSmallError
from managers.redis.errors import RedisUnavailableError
from managers.storage.postgres import PostgresManager
from runtime.cancellation import end
from runtime.errors import TransientError
from sandbox.payments.nowpayments.coins import COINS
from sandbox.payments.nowpayments.faults import Fault
from sandbox.payments.nowpayments.records import Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from services.payments import keys as payment_keys
from services.payments.nowpayments_watch import wait_of
from tests.payments.ledger_kit import Stores, stores_on
from tests.payments.nowpayments.kit import ANN, House, house_on, order


@pytest.fixture
async def house(nowpayments: NowPaymentsSandbox, stores: Stores) -> AsyncIterator[House]:
    """Without notifications."""
    async with house_on(nowpayments, stores, has_ipn=False) as house:
        yield house


async def test_an_invoice_is_what_the_processor_asks_for(house: House) -> None:
    invoice = await house.invoice(coin="xrp")
    theirs = house.payment(invoice)
    assert (invoice.id, invoice.user_id, invoice.plan, invoice.days) == ("order-1", ANN, "pro", 30)
    assert (invoice.method, invoice.asset, invoice.amount) == ("nowpayments", "XRP", theirs.pay_amount)
    assert (invoice.address, invoice.memo) == (theirs.pay_address, theirs.payin_extra_id)
    assert invoice.expires_at - invoice.created_at == timedelta(days=7)
    assert theirs.order.ipn_callback_url is None
    assert await house.state(invoice) == "open"


async def test_coins_are_asked_for_once_in_a_while(house: House) -> None:
    house.nowpayments.desk.coins = ["sol"]
    for _ in range(3):
        assert [coin.code for coin in await house.orders.coins()] == ["sol"]
    assert house.nowpayments.requests["GET /v1/merchant/coins"] == 1
    house.nowpayments.desk.coins = ["btc"]
    house.clock.pass_(minutes=11)
    assert [coin.code for coin in await house.orders.coins()] == ["btc"]


async def test_two_taps_are_one_invoice(house: House) -> None:
    assert await house.invoice() == await house.invoice()
    assert len(house.nowpayments.desk.payments) == 1


async def test_an_amount_that_is_too_small_is_said_and_another_coin_may_be_tried(house: House) -> None:
    house.nowpayments.desk.coins = ["usdterc20", "sol"]
    small = order()
    small = type(small)(
        id=small.id, user_id=ANN, plan="pro", days=1, price_usd=Decimal("1.00"), description=small.description
    )
    with pytest.raises(AmountTooSmallError):
        await house.orders.invoice(small, "usdterc20")
    assert (await house.orders.invoice(small, "sol")).asset == "SOL"


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.HALF_BODY])
async def test_a_payment_whose_answer_was_lost_is_taken_up(house: House, fault: Fault) -> None:
    house.nowpayments.faults.fail_next(fault)
    with pytest.raises(TransientError):
        await house.invoice()
    invoice = await house.invoice()
    assert [str(one) for one in house.nowpayments.desk.payments] == [invoice.payment_id]


async def test_without_a_list_it_is_asked_for_again_and_one_alone_is_shown(
    nowpayments: NowPaymentsSandbox, stores: Stores
) -> None:
    async with house_on(nowpayments, stores, can_list=False) as house:
        nowpayments.faults.fail_next(Fault.DROP_AFTER)
        with pytest.raises(TransientError):
            await house.invoice()
        invoice = await house.invoice()
        assert len(nowpayments.desk.payments) == 2
        assert await house.invoice() == invoice
        assert [file.invoice for file in await house.ledger.of_person(ANN)] == [invoice]


async def test_a_list_that_is_refused_keeps_nobody_from_paying(house: House) -> None:
    house.nowpayments.faults.fail_next(Fault.DROP_AFTER)
    with pytest.raises(TransientError):
        await house.invoice()
    house.nowpayments.faults.fail_next(Fault.FORBIDDEN)
    assert (await house.invoice()).asset == "USDTTRC20"


async def test_after_a_refusal_nothing_is_looked_for(house: House) -> None:
    house.nowpayments.faults.fail_next(Fault.FORBIDDEN)
    with pytest.raises(RefusedError):
        await house.invoice()
    await house.invoice()
    assert house.nowpayments.requests["POST /v1/auth"] == 0


async def test_each_stage_is_told_and_the_days_are_given_at_the_end(house: House) -> None:
    invoice = await house.invoice()
    payment = house.nowpayments.desk.deposit(house.payment(invoice))
    assert payment is not None
    states = [await house.state(invoice)]
    for _ in range(4):
        await house.poll()
        states.append(await house.state(invoice))
        house.nowpayments.desk.advance(payment)
    assert states == ["open", "seen", "confirming", "confirming", "paid"]
    assert await house.told() == ["seen", "confirming", "paid"]
    assert await house.days() == 30
    assert house.watch.count == 1
    await house.poll()
    assert house.watch.count == 0


async def test_too_little_is_said_and_a_further_deposit_tops_it_up(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id, Decimal(20))
    await house.poll()
    assert await house.state(invoice) == "underpaid"
    assert (await house.assessment(invoice)).missing == invoice.amount - 20
    assert await house.days() == 0
    further = house.nowpayments.pay(invoice.payment_id, Decimal("9.9"))
    assert further is not None
    assert further.parent_id == int(invoice.payment_id)
    await house.poll()
    assert await house.state(invoice) == "topped_up"
    assert await house.days() == 30


async def test_a_further_deposit_is_worth_what_came_although_it_is_finished(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id, Decimal(20))
    dust = house.nowpayments.pay(invoice.payment_id, Decimal("0.01"))
    assert dust is not None
    assert dust.status is Status.FINISHED
    await house.poll()
    assert await house.state(invoice) == "underpaid"
    assert await house.days() == 0


async def test_a_further_deposit_is_asked_about_until_it_is_final(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id, Decimal(20))
    await house.poll()
    further = house.nowpayments.pay(invoice.payment_id, Decimal(10))
    assert further is not None
    house.nowpayments.desk.set_status(further, Status.CONFIRMING)
    await house.poll()
    assert await house.days() == 0
    house.nowpayments.desk.set_status(further, Status.FINISHED)
    await house.poll()
    assert await house.days() == 30


async def test_a_further_deposit_after_it_is_paid_is_for_an_admin(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id)
    await house.poll()
    house.nowpayments.pay(invoice.payment_id)
    await house.service.look(invoice.payment_id)
    assert await house.state(invoice) == "overpaid"
    assert (await house.assessment(invoice)).needs_admin
    assert await house.days() == 30


async def test_another_coin_buys_nothing_and_waits_for_an_admin(house: House) -> None:
    invoice = await house.invoice()
    wrong = house.nowpayments.desk.deposit(house.payment(invoice), Decimal(100), coin="trx")
    assert wrong is not None
    assert wrong.status is Status.FINISHED
    await house.poll()
    assert await house.state(invoice) == "open"
    assert await house.days() == 0
    [record] = await house.ledger.unmatched()
    assert (record.arrival.key, record.arrival.asset) == (f"nowpayments:{wrong.id}", "TRX")
    assert record.arrival.amount == 100
    assert invoice.id in record.note
    outcome = await house.ledger.arrived(record.arrival, invoice.id, settled_by=1)
    assert outcome.credited
    assert await house.ledger.unmatched() == []


async def test_finished_is_not_paid_while_less_came_than_was_asked_for(house: House) -> None:
    invoice = await house.invoice()
    payment = house.payment(invoice)
    payment.actually_paid = Decimal(3)
    house.nowpayments.desk.set_status(payment, Status.FINISHED)
    await house.poll()
    assert await house.state(invoice) == "underpaid"
    assert await house.days() == 0


async def test_finished_and_nothing_counted_yet_is_asked_about_again(house: House) -> None:
    invoice = await house.invoice()
    payment = house.payment(invoice)
    house.nowpayments.desk.set_status(payment, Status.FINISHED)
    await house.poll()
    assert await house.state(invoice) == "open"
    payment.actually_paid = payment.pay_amount
    await house.poll()
    assert await house.state(invoice) == "paid"


async def test_the_processor_asks_for_more_than_we_said(house: House) -> None:
    invoice = await house.invoice()
    payment = house.payment(invoice)
    payment.pay_amount += 5
    house.nowpayments.pay(invoice.payment_id, invoice.amount)
    assert payment.status is Status.PARTIALLY_PAID
    await house.poll()
    assert await house.state(invoice) == "confirming"
    house.nowpayments.desk.set_status(payment, Status.FINISHED)
    await house.poll()
    assert await house.state(invoice) == "confirming"
    assert await house.days() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("price_amount", Decimal("0.10")), ("price_currency", "eur"), ("order_id", "of-another")],
)
async def test_a_payment_that_is_not_for_the_price_that_was_asked_buys_nothing(
    house: House, name: str, value: object
) -> None:
    invoice = await house.invoice()
    setattr(house.payment(invoice).order, name, value)
    house.nowpayments.pay(invoice.payment_id)
    await house.poll()
    assert await house.state(invoice) == "open"
    assert await house.days() == 0
    assert [record.arrival.key for record in await house.ledger.unmatched()] == [f"nowpayments:{invoice.payment_id}"]


async def test_a_payment_in_another_coin_than_asked_buys_nothing(house: House) -> None:
    invoice = await house.invoice()
    payment = house.payment(invoice)
    payment.pay_currency = "trx"
    house.nowpayments.pay(invoice.payment_id)
    await house.poll()
    assert await house.days() == 0
    assert len(await house.ledger.unmatched()) == 1


async def test_what_was_paid_back_is_so_said(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id, Decimal(5))
    await house.poll()
    house.nowpayments.desk.set_status(house.payment(invoice), Status.REFUNDED)
    await house.poll()
    assert await house.state(invoice) == "refunded"
    assert await house.days() == 0


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED])
async def test_money_in_a_payment_that_failed_is_seen_and_not_credited(house: House, status: Status) -> None:
    invoice = await house.invoice()
    payment = house.nowpayments.desk.deposit(house.payment(invoice))
    assert payment is not None
    house.nowpayments.desk.set_status(payment, status)
    await house.poll()
    assert await house.state(invoice) == "seen"
    assert await house.days() == 0


async def test_a_payment_that_nobody_pays_expires(house: House) -> None:
    invoice = await house.invoice()
    house.clock.pass_(days=7, seconds=1)
    await house.poll()
    assert house.payment(invoice).status is Status.EXPIRED
    assert await house.state(invoice) == "expired"
    house.clock.pass_(days=8)
    await house.poll()
    assert house.watch.count == 0


@pytest.mark.parametrize(("now_usd", "state", "days"), [(165, "paid", 30), (162, "paid", 30), (150, "late", 0)])
async def test_expired_then_paid_counts_while_the_coin_is_worth_as_much(
    house: House, monkeypatch: pytest.MonkeyPatch, now_usd: int, state: str, days: int
) -> None:
    invoice = await house.invoice(coin="sol")
    house.clock.pass_(days=7, minutes=5)
    await house.poll()
    monkeypatch.setitem(COINS, "sol", replace(COINS["sol"], usd=Decimal(now_usd)))
    house.nowpayments.pay(invoice.payment_id)
    await house.poll()
    assert await house.days() == days
    assert await house.state(invoice) == state
    assert (await house.assessment(invoice)).needs_admin == (state == "late")


async def test_paid_in_time_and_finished_late_is_in_time(house: House) -> None:
    invoice = await house.invoice()
    house.clock.pass_(days=6, hours=23)
    payment = house.nowpayments.desk.deposit(house.payment(invoice))
    assert payment is not None
    await house.poll()
    house.clock.pass_(hours=3)
    house.nowpayments.desk.finish(payment)
    await house.poll()
    assert await house.state(invoice) == "paid"
    assert house.nowpayments.requests["GET /v1/estimate"] == 0


async def test_an_older_answer_takes_nothing_back(house: House) -> None:
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id)
    await house.service.look(invoice.payment_id)
    house.nowpayments.faults.stale_reads = 1
    await house.service.look(invoice.payment_id)
    assert await house.state(invoice) == "paid"
    assert await house.days() == 30


async def test_while_the_processor_is_unavailable_nothing_is_lost(house: House) -> None:
    first, second = await house.invoice("order-1"), await house.invoice("order-2")
    house.nowpayments.pay(first.payment_id)
    house.nowpayments.faults.always = Fault.CHALLENGE
    await house.poll()
    assert house.watch.failures > 0
    assert await house.days() == 0
    house.nowpayments.faults.always = None
    house.nowpayments.pay(second.payment_id)
    await house.poll()
    assert await house.days() == 60


async def test_a_restart_in_between_changes_nothing(
    house: House, nowpayments: NowPaymentsSandbox, stores: Stores
) -> None:
    invoice = await house.invoice()
    nowpayments.desk.deposit(house.payment(invoice))
    await house.poll()
    nowpayments.desk.finish(house.payment(invoice))
    async with house_on(nowpayments, stores) as restarted:
        assert await restarted.invoice() == invoice
        await restarted.poll()
        assert await restarted.state(invoice) == "paid"
    await house.poll()
    assert await house.days() == 30


async def test_a_payment_on_the_hosted_page_pays_by_what_it_is_worth(house: House) -> None:
    invoice = await house.orders.page(order())
    assert (invoice.asset, invoice.amount) == ("USD", Decimal("29.90"))
    assert invoice.address.startswith(house.nowpayments.page_url)
    assert await house.orders.page(order()) == invoice
    on_page = house.nowpayments.desk.invoice(int(invoice.payment_id.removeprefix("page:")))
    left_alone = house.nowpayments.desk.create_payment(on_page.order, "sol", on_page)
    payment = house.nowpayments.desk.create_payment(on_page.order, "btc", on_page)
    await house.poll()
    assert await house.state(invoice) == "open"
    house.nowpayments.pay(payment.id)
    await house.poll()
    assert await house.state(invoice) == "paid"
    assert left_alone.status is Status.WAITING
    assert await house.days() == 30


async def test_part_of_it_on_the_hosted_page_is_part_of_the_price(house: House) -> None:
    invoice = await house.orders.page(order())
    on_page = house.nowpayments.desk.invoice(int(invoice.payment_id.removeprefix("page:")))
    payment = house.nowpayments.desk.create_payment(on_page.order, "btc", on_page)
    house.nowpayments.pay(payment.id, payment.pay_amount / 2)
    await house.poll()
    assert await house.state(invoice) == "underpaid"
    assert (await house.assessment(invoice)).received == Decimal("14.95")
    house.nowpayments.pay(payment.id, payment.pay_amount)
    await house.poll()
    assert await house.state(invoice) == "underpaid"
    [record] = await house.ledger.unmatched()
    assert invoice.id in record.note


async def test_there_are_pages_only_where_their_payments_become_known(
    nowpayments: NowPaymentsSandbox, stores: Stores
) -> None:
    async with house_on(nowpayments, stores, has_ipn=False, can_list=False) as house:
        assert not house.orders.has_pages
        with pytest.raises(RuntimeError):
            await house.orders.page(order())
    for has_ipn in (False, True):
        async with house_on(nowpayments, stores, has_ipn=has_ipn, can_list=not has_ipn) as house:
            assert house.orders.has_pages


async def test_the_comparison_finds_what_nobody_told(house: House) -> None:
    since = house.clock()
    invoice, waiting = await house.invoice("order-1"), await house.invoice("order-2")
    house.nowpayments.pay(invoice.payment_id)
    [difference] = await house.service.differences(since)
    assert (difference.payment_id, difference.invoice_id) == (invoice.payment_id, invoice.id)
    assert (difference.listed, difference.recorded, difference.mended) == (invoice.amount, 0, True)
    assert await house.state(invoice) == "paid"
    assert await house.state(waiting) == "open"
    assert await house.service.differences(since) == []


async def test_the_comparison_names_again_what_it_cannot_mend(house: House) -> None:
    since = house.clock()
    invoice, refunded = await house.invoice("order-1"), await house.invoice("order-2")
    payment = house.payment(invoice)
    payment.actually_paid = Decimal(1)
    house.nowpayments.desk.set_status(payment, Status.FINISHED)
    house.nowpayments.pay(refunded.payment_id)
    await house.poll()
    house.nowpayments.desk.set_status(house.payment(refunded), Status.REFUNDED)
    found = {one.payment_id: one.mended for one in await house.service.differences(since)}
    assert found == {invoice.payment_id: False, refunded.payment_id: True}
    assert [one.payment_id for one in await house.service.differences(since)] == [invoice.payment_id]


async def test_the_comparison_asks_about_what_is_recorded_and_not_listed(house: House, stores: Stores) -> None:
    old, forgotten = await house.invoice("order-1"), await house.invoice("order-2")
    house.clock.pass_(hours=30)
    since = house.clock()
    for one in (old, forgotten):
        house.nowpayments.pay(one.payment_id)
    await house.poll()
    await stores.journal.drain_all()
    assert await house.service.differences(since) == []
    house.nowpayments.desk.set_status(house.payment(old), Status.REFUNDED)
    del house.nowpayments.desk.payments[int(forgotten.payment_id)]
    found = {one.payment_id: (one.status, one.mended) for one in await house.service.differences(since)}
    assert found == {old.payment_id: ("refunded", True), forgotten.payment_id: ("unknown", False)}


async def test_what_was_paid_for_no_invoice_of_ours_is_recorded_once(house: House) -> None:
    foreign = house.nowpayments.desk.create_payment(
        house.payment(await house.invoice()).order, "sol"
    )  # the same order, of which the processor made one more
    house.nowpayments.pay(foreign.id)
    since = house.clock() - timedelta(hours=1)
    assert [one.mended for one in await house.service.differences(since)] == [True]
    assert await house.service.differences(since) == []
    [record] = await house.ledger.unmatched()
    assert record.arrival.key == f"nowpayments:{foreign.id}"
    assert "order-1" in record.note
    assert await house.days() == 0


async def test_without_a_login_nothing_is_compared(nowpayments: NowPaymentsSandbox, stores: Stores) -> None:
    async with house_on(nowpayments, stores, can_list=False) as house:
        house.nowpayments.pay((await house.invoice()).payment_id)
        assert await house.service.differences(house.clock() - timedelta(days=1)) == []


async def test_young_payments_are_asked_about_often_and_old_ones_seldom(house: House) -> None:
    waits = [wait_of(timedelta(minutes=minutes), None) for minutes in (0, 10, 100, 10_000)]
    assert waits == [timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=5), timedelta(minutes=30)]
    invoice = await house.invoice()
    house.nowpayments.desk.deposit(house.payment(invoice))
    payment = await house.service.look(invoice.payment_id)
    assert wait_of(timedelta(days=3), payment) == timedelta(minutes=2)


async def test_the_most_overdue_is_asked_about_first(house: House) -> None:
    first = await house.invoice("order-1")
    await house.watch.step()
    house.clock.pass_(seconds=6)
    second = await house.invoice("order-2")
    await house.watch.step()
    asked = house.nowpayments.requests
    assert (asked[f"GET /v1/payment/{first.payment_id}"], asked[f"GET /v1/payment/{second.payment_id}"]) == (1, 1)
    assert await house.watch.step() == pytest.approx(4)


async def test_the_job_finds_what_was_paid_and_reports_progress(house: House) -> None:
    invoice, moved = await house.invoice(), asyncio.Event()
    house.nowpayments.pay(invoice.payment_id)
    job = asyncio.create_task(house.watch.run(moved.set))
    while await house.state(invoice) != "paid":
        await moved.wait()
        moved.clear()
    await end([job])


async def test_without_redis_the_job_ends_and_is_started_again(
    nowpayments: NowPaymentsSandbox, stores: Stores, postgres_manager: PostgresManager
) -> None:
    async with (
        stores_on("redis://127.0.0.1:9", postgres_manager, stores.clock) as dead,
        house_on(nowpayments, dead) as house,
    ):
        with pytest.raises(RedisUnavailableError):
            await house.watch.run(lambda: None)
        with pytest.raises(RedisUnavailableError):
            await house.invoice()
    assert nowpayments.desk.payments == {}


async def test_an_invoice_that_cannot_be_read_costs_itself_and_is_watched_when_it_can_be(house: House) -> None:
    invoices = [await house.invoice(f"order-{number}", user_id=ANN + number) for number in (1, 2, 3)]
    name, redis = payment_keys.INVOICE.of(invoices[1].id), house.stores.redis
    whole = await redis.get(name)
    assert whole is not None
    await redis.set(name, b"{")
    await house.poll()
    assert house.watch.count == 2
    assert await redis.get(name) == b"{"
    await redis.set(name, whole)
    await house.poll()
    assert house.watch.count == 3
