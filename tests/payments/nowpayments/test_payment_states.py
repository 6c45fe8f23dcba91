"""Any order of deposits, stages, notifications, outages and restarts: who has paid is credited once, nobody else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.payments.invoices import Invoice
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from sandbox.payments.nowpayments.faults import Fault
from sandbox.payments.nowpayments.ipn import Forgery, Ipn
from sandbox.payments.nowpayments.records import Payment, Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.payments.ledger_kit import Clock, stores_on
from tests.payments.nowpayments.kit import House, house_on

ORDERS = ("order-1", "order-2")
FAULTS = [Fault.ERROR_5XX, Fault.DROP, Fault.CHALLENGE, Fault.HTML_200, Fault.FORBIDDEN]

invoices = st.sampled_from(ORDERS)
parts = st.sampled_from(["0.01", "0.4", "0.6", "0.9999", "1", "1", "1.5"])
payments = st.one_of(
    st.tuples(st.just("pay"), invoices, parts),
    st.tuples(st.just("pay"), invoices, parts),
    st.tuples(st.just("pay"), invoices, parts),
    st.tuples(st.just("deposit"), invoices, parts),
    st.tuples(st.just("wrong coin"), invoices, parts),
    st.tuples(st.just("advance"), invoices),
    st.tuples(st.just("finish"), invoices),
    st.tuples(st.just("status"), invoices, st.sampled_from([Status.FAILED, Status.EXPIRED, Status.CONFIRMING])),
)
told = st.one_of(
    st.tuples(st.just("forge"), invoices, st.sampled_from(list(Forgery))),
    st.tuples(st.just("repeat"), st.integers(0, 999)),
    st.tuples(st.just("release"), st.integers(0, 999)),
    st.tuples(st.just("hold"), st.booleans()),
    st.tuples(st.just("lose"), st.booleans()),
)
around = st.one_of(
    st.tuples(st.just("fault"), st.sampled_from([None, *FAULTS])),
    st.tuples(st.just("stale"), st.integers(1, 3)),
    st.tuples(st.just("poll")),
    st.tuples(st.just("compare")),
    st.tuples(st.just("restart")),
)
steps = st.lists(st.one_of(payments, payments, told, around), min_size=4, max_size=20)


Step = tuple[object, ...]


class Story:
    """One course of things; `play` returns whether the bot is to be restarted."""

    def __init__(self, nowpayments: NowPaymentsSandbox, clock: Clock) -> None:
        self.nowpayments = nowpayments
        self.clock = clock
        self.invoices: dict[str, Invoice] = {}

    async def play(self, house: House, step: Step) -> bool:
        self.clock.pass_(seconds=61)
        name, arguments = str(step[0]), list(step[1:])
        match arguments:
            case [str(order), *rest] if name in {"pay", "deposit", "wrong coin", "advance", "finish", "status"}:
                self._happen(name, self._payment(order), rest)
            case [bool() | int() as value] if name in {"hold", "lose", "stale", "release"}:
                self._disturb(name, value)
            case _:
                await self._meet(house, step)
        await self.nowpayments.ipns.settled()
        return name == "restart"

    def _happen(self, name: str, payment: Payment, rest: list[object]) -> None:
        desk = self.nowpayments.desk
        match name, rest:
            case "pay" | "deposit", [str(part)]:
                became = desk.deposit(payment, round(payment.pay_amount * Decimal(part), 6))
                if name == "pay" and became is not None:
                    desk.finish(became)
            case "wrong coin", [str(part)]:
                desk.deposit(payment, round(payment.pay_amount * Decimal(part) * 100, 6), coin="trx")
            case "status", [Status() as status]:
                desk.set_status(payment, status)
            case "advance", _:
                desk.advance(payment)
            case _:
                desk.finish(payment)

    def _disturb(self, name: str, value: int) -> None:
        faults = self.nowpayments.faults
        match name:
            case "hold":
                faults.holds_ipns = bool(value)
            case "lose":
                faults.loses_ipns = bool(value)
            case "stale":
                faults.stale_reads = value
            case _:
                self.nowpayments.ipns.release(_shuffled(value))

    async def _meet(self, house: House, step: Step) -> None:
        ipns = self.nowpayments.ipns
        match step:
            case ("forge", str(order), Forgery() as forgery):
                changes = {"payment_status": "finished", "actually_paid": 1_000}
                forged = ipns.forge(self._payment(order), forgery, url=house.ipn_url, changes=changes)
                assert await ipns.post(forged) == 401
            case ("repeat", int(number)) if ipns.deliveries:
                await ipns.post(replace(ipns.deliveries[number % len(ipns.deliveries)].ipn, url=house.ipn_url))
            case ("fault", Fault() | None as fault):
                self.nowpayments.faults.always = fault
            case ("poll",):
                await house.poll()
            case ("compare",) if self.nowpayments.faults.always is None:
                await house.service.differences(self.invoices[ORDERS[0]].created_at)
            case _:
                pass

    def has_paid(self, order: str) -> bool:
        """Add up what the processor itself has counted to the end, in the coin that was asked for."""
        payment, least = self._payment(order), self.invoices[order].amount - Decimal("0.01")
        counted = [payment, *(self.nowpayments.payment(child) for child in payment.children)]
        paid = [one for one in counted if one.pay_currency == payment.pay_currency and _is_counted(one)]
        if payment.status is Status.PARTIALLY_PAID and payment.actually_paid > least:
            paid.remove(payment)  # nearly enough, of which the processor says that it is not
        return sum((one.actually_paid for one in paid), Decimal(0)) > least

    def _payment(self, order: str) -> Payment:
        return self.nowpayments.payment(self.invoices[order].payment_id)


def _is_counted(payment: Payment) -> bool:
    return payment.status in {Status.FINISHED, Status.PARTIALLY_PAID}


def _shuffled(seed: int) -> Callable[[list[Ipn]], list[Ipn]]:
    def order(held: list[Ipn]) -> list[Ipn]:
        return random.Random(seed).sample(held, len(held))

    return order


@settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=steps)
async def test_whoever_has_paid_is_credited_once_and_nobody_else(
    redis_url: str, redis_manager: RedisManager, postgres_manager: PostgresManager, steps: list[Step]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE invoices, arrivals, entitlements, outgoing")
    clock, left = Clock(), list(steps)
    async with NowPaymentsSandbox(clock=clock.timestamp, ipn_retries=0, ipn_retry_s=0.0, seed=1) as nowpayments:
        story = Story(nowpayments, clock)
        ever_paid: set[str] = set()
        while left or not story.invoices:
            async with stores_on(redis_url, postgres_manager, clock) as stores, house_on(nowpayments, stores) as house:
                story.invoices = {
                    order: await house.invoice(order, user_id=number) for number, order in enumerate(ORDERS)
                }
                is_over = False
                while left and not is_over:
                    is_over = await story.play(house, left.pop(0))
                    ever_paid |= {order for order in ORDERS if story.has_paid(order)}
        nowpayments.faults.always, nowpayments.faults.stale_reads = None, 0
        async with stores_on(redis_url, postgres_manager, clock) as stores, house_on(nowpayments, stores) as house:
            await house.poll()
            await house.poll()
            await check(house, story, ever_paid)


async def check(house: House, story: Story, ever_paid: set[str]) -> None:
    since, credited = story.invoices[ORDERS[0]].created_at, set[str]()
    await house.service.differences(since)  # further deposits to what was paid already, of which nobody told
    for number, order in enumerate(ORDERS):
        given_ = await house.ledger.entitlements(number)
        assert len(given_) <= 1, "each once"
        if given_:
            credited.add(order)
    assert {order for order in ORDERS if story.has_paid(order)} <= credited <= ever_paid
    told_ = await house.stores.told()
    receipts = Counter(one.notice.invoice_id for one in told_ if one.kind == "receipt")
    assert receipts == Counter(credited)
    assert not any(one.mended for one in await house.service.differences(since))
    assert len(await house.stores.told()) == len(told_), "what was told once is not told again"
