"""What becomes of payments, and how the merchant hears of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from sandbox.payments.nowpayments.ipn import Forgery
from sandbox.payments.nowpayments.records import Payment, Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.sandbox.payments.nowpayments_kit import Client, Merchant, Received, believes

SECRET = "sandbox-ipn-secret"
STAGES = ["waiting", "confirming", "confirmed", "sending", "finished"]


@pytest.fixture
async def payment(nowpayments: NowPaymentsSandbox, merchant_api: Client, merchant: Merchant) -> Payment:
    order: dict[str, Any] = {"price_amount": 33, "price_currency": "usd", "order_id": "order-7"}
    _, made = await merchant_api.post("/payment", **order, pay_currency="sol", ipn_callback_url=merchant.url)
    await nowpayments.ipns.settled()
    return nowpayments.payment(made["payment_id"])


async def heard(nowpayments: NowPaymentsSandbox, merchant: Merchant) -> list[str]:
    await nowpayments.ipns.settled()
    return merchant.statuses


async def test_each_stage_is_told_and_signed(nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment):
    nowpayments.desk.deposit(payment)
    while nowpayments.desk.advance(payment):
        await nowpayments.ipns.settled()
    assert await heard(nowpayments, merchant) == STAGES
    assert all(believes(each, SECRET) for each in merchant.received)
    last = merchant.received[-1].said
    assert (last["payment_id"], last["order_id"], last["actually_paid"]) == (payment.id, "order-7", 0.2)
    assert isinstance(last["updated_at"], int)
    assert last["updated_at"] > 10**12
    assert last["actually_paid_at_fiat"] == 0
    assert payment.found()["actually_paid_at_fiat"] == 33
    assert b"1e-7" in merchant.received[-1].body
    assert b'"depositFee":0.0000123' in merchant.received[-1].body


async def test_a_part_is_partially_paid_until_support_completes_it(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment
):
    nowpayments.pay(payment.id, Decimal("0.15"))
    assert (await heard(nowpayments, merchant))[-1] == "partially_paid"
    nowpayments.desk.set_status(payment, Status.FINISHED)
    assert (await heard(nowpayments, merchant))[-1] == "finished"
    assert merchant.received[-1].said["actually_paid"] < merchant.received[-1].said["pay_amount"]


async def test_a_second_deposit_is_another_payment_and_finished_whatever_it_is(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, merchant_api: Client, payment: Payment
):
    nowpayments.pay(payment.id, Decimal("0.15"))
    await nowpayments.ipns.settled()
    again = nowpayments.desk.deposit(payment, Decimal("0.0001"))
    assert again is not None
    await nowpayments.ipns.settled()
    last = merchant.received[-1].said
    assert (last["payment_status"], last["parent_payment_id"], last["order_id"]) == ("finished", payment.id, None)
    assert last["payment_id"] == again.id != payment.id
    assert last["purchase_id"] == str(again.id)
    assert payment.status is Status.PARTIALLY_PAID
    assert (await merchant_api.get(f"/payment/{payment.id}"))[1]["payment_extra_ids"] == [again.id]


async def test_an_array_in_a_body_is_signed_as_an_object(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment
):
    nowpayments.pay(payment.id)
    nowpayments.desk.deposit(payment)
    nowpayments.ipns.tell(payment)
    await nowpayments.ipns.settled()
    assert len(merchant.received[-1].said["payment_extra_ids"]) == 1
    assert believes(merchant.received[-1], SECRET)


async def test_another_coin_is_finished_too_and_leaves_the_payment_open(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment
):
    wrong = nowpayments.desk.deposit(payment, Decimal(5), coin="usdcsol")
    assert wrong is not None
    assert (await heard(nowpayments, merchant))[-1] == "finished"
    last = merchant.received[-1].said
    assert (last["pay_currency"], last["parent_payment_id"], last["price_amount"]) == ("usdcsol", payment.id, 5)
    assert payment.status is Status.WAITING


async def test_a_deposit_without_its_memo_is_not_detected(nowpayments: NowPaymentsSandbox, merchant_api: Client):
    _, made = await merchant_api.post("/payment", price_amount=20, price_currency="usd", pay_currency="xrp")
    tagged = nowpayments.payment(made["payment_id"])
    assert nowpayments.desk.deposit(tagged, extra_id="1") is None
    assert tagged.status is Status.WAITING
    assert nowpayments.desk.deposit(tagged, extra_id=made["payin_extra_id"]) is tagged


@pytest.mark.parametrize("end", [Status.EXPIRED, Status.FAILED])
async def test_money_can_follow_an_end(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment, end: Status
):
    nowpayments.desk.set_status(payment, end)
    nowpayments.pay(payment.id)
    assert sorted(await heard(nowpayments, merchant)) == sorted([*STAGES, end])
    nowpayments.desk.set_status(payment, Status.REFUNDED)
    assert (await heard(nowpayments, merchant))[-1] == "refunded"


async def test_a_merchant_that_fails_is_told_again(merchant: Merchant, session: Any):
    async with NowPaymentsSandbox(ipn_retry_s=0.001, ipn_retries=3) as nowpayments:
        client = Client(nowpayments, session)
        merchant.answers = [500, 302, 404]
        body: dict[str, Any] = {"price_amount": 33, "price_currency": "usd", "ipn_callback_url": merchant.url}
        await client.post("/payment", **body, pay_currency="sol")
        assert await heard(nowpayments, merchant) == ["waiting"] * 4
        assert [each.answered for each in nowpayments.ipns.deliveries] == [500, 302, 404, 200]
        merchant.answers = [500] * 9
        await client.post("/payment", **body, pay_currency="sol")
        assert len(await heard(nowpayments, merchant)) == 8
        for url in ("http://127.0.0.1:1/ipn", "https://merchant.example.com/ipn"):
            await client.post("/payment", **body | {"ipn_callback_url": url}, pay_currency="sol")
            await nowpayments.ipns.settled()
            assert [each.answered for each in nowpayments.ipns.deliveries[-4:]] == [None] * 4


async def test_ipns_come_late_twice_and_in_any_order(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment
):
    merchant.received.clear()
    nowpayments.faults.holds_ipns, nowpayments.faults.copies_of_ipns = True, 2
    nowpayments.pay(payment.id)
    assert await heard(nowpayments, merchant) == []
    held = nowpayments.ipns.held
    assert [each.status for each in held] == [stage for stage in STAGES[1:] for _ in range(2)]
    for ipn in reversed(held):
        await nowpayments.ipns.post(ipn)
    assert merchant.statuses == [stage for stage in STAGES[:0:-1] for _ in range(2)]
    assert all(believes(each, SECRET) for each in merchant.received)
    nowpayments.ipns.release()
    assert sorted(await heard(nowpayments, merchant)) == sorted(merchant.statuses)
    assert len(merchant.received) == 16


async def test_ipns_can_be_lost_or_resent(nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment):
    nowpayments.faults.loses_ipns = True
    nowpayments.pay(payment.id)
    assert await heard(nowpayments, merchant) == ["waiting"]
    nowpayments.faults.loses_ipns = False
    nowpayments.ipns.tell(payment)
    assert await heard(nowpayments, merchant) == ["waiting", "finished"]


@pytest.mark.parametrize("spelling", ["sorted_bodies", "bodies_with_zeros", "paid_is_told_later"])
async def test_bodies_in_other_spellings_are_signed_as_well(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment, spelling: str
):
    setattr(nowpayments.faults, spelling, True)
    nowpayments.pay(payment.id)
    await nowpayments.ipns.settled()
    last = merchant.received[-1]
    assert believes(last, SECRET)
    assert (list(last.said) == sorted(last.said)) is (spelling == "sorted_bodies")
    assert (b'"price_amount":33.0' in last.body) is (spelling == "bodies_with_zeros")
    assert (last.said["actually_paid"] == 0) is (spelling == "paid_is_told_later")


@pytest.mark.parametrize("forgery", Forgery)
async def test_no_forgery_is_believed(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment, forgery: Forgery
):
    finished = {"payment_status": "finished", "actually_paid": 0.2}
    forged = nowpayments.ipns.forge(payment, forgery, url=merchant.url, changes=finished)
    assert await nowpayments.ipns.post(forged) == 200
    [*_, last] = merchant.received
    assert last.said["payment_status"] == "finished"
    assert not believes(last, SECRET)


async def test_a_genuine_body_replayed_for_another_secret_is_not_believed(
    nowpayments: NowPaymentsSandbox, merchant: Merchant, payment: Payment
):
    genuine = merchant.received[0]
    assert believes(genuine, SECRET)
    assert not believes(genuine, "another")
    shifted = json.dumps(genuine.said | {"payment_status": "finished"}).encode()
    assert not believes(Received(shifted, genuine.signature, None), SECRET)


async def test_without_a_secret_or_an_address_nothing_is_sent(merchant: Merchant, session: Any):
    async with NowPaymentsSandbox(ipn_secret=None) as nowpayments:
        body: dict[str, Any] = {"price_amount": 33, "price_currency": "usd", "pay_currency": "sol"}
        await Client(nowpayments, session).post("/payment", **body, ipn_callback_url=merchant.url)
        assert await heard(nowpayments, merchant) == []
    async with NowPaymentsSandbox() as nowpayments:
        await Client(nowpayments, session).post("/payment", **body)
        assert await heard(nowpayments, merchant) == []


async def test_stages_pass_by_themselves_when_wanted(merchant: Merchant, session: Any):
    async with NowPaymentsSandbox(stage_s=0.005) as nowpayments:
        client = Client(nowpayments, session)
        body: dict[str, Any] = {"price_amount": 33, "price_currency": "usd", "pay_currency": "sol"}
        _, made = await client.post("/payment", **body)
        nowpayments.desk.deposit(nowpayments.payment(made["payment_id"]))
        while (await client.get(f"/payment/{made['payment_id']}"))[1]["payment_status"] != "finished":
            pass
