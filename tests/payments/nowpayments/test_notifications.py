"""Notifications of NOWPayments at the bot's HTTP edge: proved, confirmed by the API, taken once, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import aiohttp
import pytest

from domain.payments.invoices import Invoice
from domain.payments.ipn import MAX_BODY_BYTES
from managers.storage.postgres import PostgresManager
from sandbox.payments.nowpayments.faults import Fault
from sandbox.payments.nowpayments.ipn import HEADER, Forgery, Ipn
from sandbox.payments.nowpayments.records import Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.nowpayments.signing import signature, stringify
from tests.payments.ledger_kit import Stores, stores_on
from tests.payments.nowpayments.kit import SECRET, House, house_on, order

HEADERS_OF_A_REFUSAL = {
    "Content-Length",
    "Cache-Control",
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
}


@pytest.fixture
async def invoice(house: House) -> Invoice:
    """One that nobody has told anything of, since its payment was made."""
    invoice = await house.invoice()
    await house.nowpayments.ipns.settled()
    return invoice


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def ipn_of(house: House, invoice: Invoice) -> Ipn:
    """Return the notification of how the payment stands, rightly signed."""
    return house.nowpayments.ipns.write(house.payment(invoice), house.ipn_url)


def backwards(held: list[Ipn]) -> list[Ipn]:
    return held[::-1]


def asked(house: House, invoice: Invoice) -> int:
    return house.nowpayments.requests[f"GET /v1/payment/{invoice.payment_id}"]


async def test_each_stage_is_known_as_soon_as_it_is_told(house: House, invoice: Invoice) -> None:
    payment = house.nowpayments.desk.deposit(house.payment(invoice))
    assert payment is not None
    states = [await house.state(invoice)]
    while True:
        await house.nowpayments.ipns.settled()
        states.append(await house.state(invoice))
        if not house.nowpayments.desk.advance(payment):
            break
    assert states == ["open", "seen", "confirming", "confirming", "paid"]
    assert await house.told() == ["seen", "confirming", "paid"]
    assert await house.days() == 30
    assert {delivery.answered for delivery in house.nowpayments.ipns.deliveries} == {200}


@pytest.mark.parametrize("order", [list[Ipn], backwards])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("spelling", ["", "sorted_bodies", "bodies_with_zeros", "paid_is_told_later"])
async def test_late_twice_in_any_order_and_spelling_it_is_credited_once(
    house: House, order: Callable[[list[Ipn]], list[Ipn]], copies: int, spelling: str
) -> None:
    faults = house.nowpayments.faults
    faults.holds_ipns, faults.copies_of_ipns = True, copies
    if spelling:
        setattr(faults, spelling, True)
    invoice = await house.invoice()
    house.nowpayments.pay(invoice.payment_id)
    house.clock.pass_(hours=5)
    house.nowpayments.ipns.release(order)
    await house.nowpayments.ipns.settled()
    assert await house.state(invoice) == "paid"
    assert await house.days() == 30
    assert await house.told() == ["paid"]


async def test_a_hundred_at_once_are_one_look_and_one_credit(house: House, invoice: Invoice) -> None:
    house.nowpayments.faults.loses_ipns = True
    house.nowpayments.pay(invoice.payment_id)
    house.nowpayments.faults.latency_s = 0.05
    ipn, before = ipn_of(house, invoice), asked(house, invoice)
    answers = await asyncio.gather(*(house.nowpayments.ipns.post(ipn) for _ in range(100)))
    assert set(answers) == {200}
    assert asked(house, invoice) == before + 1
    assert await house.days() == 30
    assert await house.told() == ["paid"]


async def test_a_hundred_at_two_processes_are_credited_once(
    house: House, invoice: Invoice, nowpayments: NowPaymentsSandbox, stores: Stores
) -> None:
    nowpayments.faults.loses_ipns = True
    nowpayments.pay(invoice.payment_id)
    async with house_on(nowpayments, stores) as second:
        ipns = [ipn_of(one, invoice) for one in (house, second)]
        answers = await asyncio.gather(*(nowpayments.ipns.post(ipns[number % 2]) for number in range(100)))
    assert set(answers) == {200}
    assert await house.days() == 30
    assert await house.told() == ["paid"]


async def test_what_was_handled_is_answered_without_asking(house: House, invoice: Invoice) -> None:
    house.nowpayments.pay(invoice.payment_id)
    await house.nowpayments.ipns.settled()
    before = asked(house, invoice)
    house.nowpayments.faults.always = Fault.ERROR_5XX
    assert [await house.nowpayments.ipns.post(ipn_of(house, invoice)) for _ in range(3)] == [200, 200, 200]
    assert asked(house, invoice) == before


@pytest.mark.parametrize("fault", [Fault.ERROR_5XX, Fault.CHALLENGE, Fault.HTML_200, Fault.DROP, Fault.UNAUTHORIZED])
async def test_while_the_api_does_not_answer_it_comes_again(house: House, invoice: Invoice, fault: Fault) -> None:
    house.nowpayments.faults.loses_ipns = True
    house.nowpayments.pay(invoice.payment_id)
    house.nowpayments.faults.always = fault
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 503
    assert await house.days() == 0
    house.nowpayments.faults.always = None
    house.clock.pass_(minutes=1)
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 200
    assert await house.days() == 30


async def test_a_hundred_that_the_api_does_not_confirm_are_one_look(house: House, invoice: Invoice) -> None:
    house.nowpayments.faults.loses_ipns = True
    house.nowpayments.pay(invoice.payment_id)
    house.nowpayments.faults.latency_s, house.nowpayments.faults.stale_reads = 0.05, 1
    ipn, before = ipn_of(house, invoice), asked(house, invoice)
    answers = await asyncio.gather(*(house.nowpayments.ipns.post(ipn) for _ in range(100)))
    assert set(answers) == {503}
    assert asked(house, invoice) == before + 1
    assert await house.nowpayments.ipns.post(ipn) == 200
    assert await house.days() == 30


async def test_while_redis_does_not_answer_it_comes_again(
    nowpayments: NowPaymentsSandbox, stores: Stores, postgres_manager: PostgresManager, invoice: Invoice, house: House
) -> None:
    nowpayments.faults.loses_ipns = True
    nowpayments.pay(invoice.payment_id)
    async with (
        stores_on("redis://127.0.0.1:9", postgres_manager, stores.clock) as dead,
        house_on(nowpayments, dead) as without_redis,
    ):
        assert await nowpayments.ipns.post(ipn_of(without_redis, invoice)) == 503
    assert await house.days() == 0
    assert await nowpayments.ipns.post(ipn_of(house, invoice)) == 200
    assert await house.days() == 30


async def test_an_api_that_is_behind_makes_it_come_again(house: House, invoice: Invoice) -> None:
    house.nowpayments.faults.loses_ipns = True
    house.nowpayments.pay(invoice.payment_id)
    house.nowpayments.faults.stale_reads = 1
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 503
    assert await house.days() == 0
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 200
    assert await house.days() == 30


async def test_finished_with_nothing_paid_yet_comes_again(house: House, invoice: Invoice) -> None:
    house.nowpayments.faults.loses_ipns = True
    payment = house.payment(invoice)
    house.nowpayments.desk.set_status(payment, Status.FINISHED)
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 503
    payment.actually_paid = payment.pay_amount
    assert await house.nowpayments.ipns.post(ipn_of(house, invoice)) == 200
    assert await house.days() == 30


async def test_a_part_and_then_the_rest(house: House, invoice: Invoice) -> None:
    house.nowpayments.pay(invoice.payment_id, Decimal(10))
    await house.nowpayments.ipns.settled()
    assert await house.state(invoice) == "underpaid"
    house.nowpayments.pay(invoice.payment_id, invoice.amount - 10)
    await house.nowpayments.ipns.settled()
    assert await house.state(invoice) == "topped_up"
    assert await house.days() == 30


async def test_on_the_hosted_page_they_are_enough(nowpayments: NowPaymentsSandbox, stores: Stores) -> None:
    async with house_on(nowpayments, stores, can_list=False) as house:
        invoice = await house.orders.page(order())
        on_page = nowpayments.desk.invoice(int(invoice.payment_id.removeprefix("page:")))
        nowpayments.pay(nowpayments.desk.create_payment(on_page.order, "btc", on_page).id)
        await nowpayments.ipns.settled()
        assert await house.state(invoice) == "paid"
        assert await house.days() == 30


@pytest.mark.parametrize("forgery", list(Forgery))
async def test_forgeries_get_nothing_and_learn_nothing(
    house: House, invoice: Invoice, http: aiohttp.ClientSession, forgery: Forgery
) -> None:
    house.nowpayments.faults.loses_ipns = True
    house.nowpayments.pay(invoice.payment_id)  # it is paid, but who says so has not proved who they are
    before = asked(house, invoice)
    ipn = house.nowpayments.ipns.forge(house.payment(invoice), forgery, url=house.ipn_url)
    assert await refused(http, ipn.url, ipn.body, ipn.headers)
    assert asked(house, invoice) == before
    assert await house.days() == 0


async def test_what_is_no_notification_gets_the_same_answer(
    house: House, invoice: Invoice, http: aiohttp.ClientSession
) -> None:
    before = asked(house, invoice)
    nested = b'{"payment_id":1,"payment_status":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    large = b'{"payment_id":1,"payment_status":"finished","x":"' + b"x" * MAX_BODY_BYTES + b'"}'
    for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", nested, large, large * 4):
        for proof in ("", "0" * 128, "ÿ", signature({}, SECRET)):
            assert await refused(http, house.ipn_url, body, {HEADER: proof})
    for said in ({}, {"payment_id": 1}, {"payment_id": "../auth", "payment_status": "finished"}):
        body = stringify(said).encode()
        assert await refused(http, house.ipn_url, body, {HEADER: signature(said, SECRET)})
    assert asked(house, invoice) == before


async def test_rightly_signed_and_not_true_is_not_believed(
    house: House, invoice: Invoice, http: aiohttp.ClientSession
) -> None:
    """Whoever has got hold of the secret still has to make the API say so."""
    body = house.payment(invoice).notification() | {"payment_status": "finished", "actually_paid": 100.0}
    headers = {HEADER: signature(body, SECRET)}
    async with http.post(house.ipn_url, data=stringify(body).encode(), headers=headers) as answer:
        assert answer.status == 503
    assert await house.days() == 0
    assert await house.state(invoice) == "open"


async def test_an_old_one_sent_again_changes_nothing(house: House, invoice: Invoice) -> None:
    early = ipn_of(house, invoice)
    house.nowpayments.pay(invoice.payment_id)
    finished = ipn_of(house, invoice)
    await house.nowpayments.ipns.settled()
    house.nowpayments.desk.set_status(house.payment(invoice), Status.REFUNDED)
    await house.nowpayments.ipns.settled()
    for ipn in (early, finished, finished):
        assert await house.nowpayments.ipns.post(ipn) == 200
    assert await house.state(invoice) == "refunded"
    assert await house.days() == 0


@pytest.mark.parametrize("proof", ["right", "of an empty secret", "none"])
async def test_without_a_secret_everybody_is_refused(
    nowpayments: NowPaymentsSandbox, stores: Stores, http: aiohttp.ClientSession, proof: str
) -> None:
    async with house_on(nowpayments, stores, secret="") as house:
        invoice = await house.invoice()
        nowpayments.faults.loses_ipns = True
        nowpayments.pay(invoice.payment_id)
        body = house.payment(invoice).notification()
        headers = {"right": {HEADER: signature(body, SECRET)}, "of an empty secret": {HEADER: signature(body, "")}}
        assert await refused(http, house.ipn_url, stringify(body).encode(), headers.get(proof, {}))
        assert await house.days() == 0


async def test_a_payment_of_somebody_else_credits_nobody(house: House, invoice: Invoice) -> None:
    """The same account may sell other things, and name our order."""
    foreign = house.nowpayments.desk.create_payment(house.payment(invoice).order, "trx")
    house.nowpayments.pay(foreign.id)
    await house.nowpayments.ipns.settled()
    assert await house.days() == 0
    assert [record.arrival.key for record in await house.ledger.unmatched()] == [f"nowpayments:{foreign.id}"]


async def test_only_a_post_is_answered(house: House, http: aiohttp.ClientSession) -> None:
    async with http.get(house.ipn_url) as answer:
        assert answer.status == 405


async def refused(http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> bool:
    """Whether the answer is the one that every refusal gets, to its last header."""
    async with http.post(url, data=body, headers=headers) as answer:
        headers_told = set(answer.headers) - {"Date"}
        return (answer.status, await answer.read(), headers_told) == (401, b"", HEADERS_OF_A_REFUSAL)
