"""Asking NOWPayments: what it spells in many ways is read in one, and only its own word counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from managers.http.answers import ForeignAnswerError, RefusedError, TooManyError
from managers.http.json_repair import decoded
from managers.payments.nowpayments import AmountTooSmallError, NowPaymentsManager, Payment, told
from runtime.errors import TransientError
from sandbox.payments.nowpayments.faults import Fault
from sandbox.payments.nowpayments.records import Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.payments.ledger_kit import Clock

PRICE = Decimal("29.90")
CREATE = "POST /v1/payment"


async def made(manager: NowPaymentsManager, coin: str = "usdttrc20", order_id: str = "order-1") -> Payment:
    return await manager.create(price_usd=PRICE, coin=coin, order_id=order_id, description="Pro", ipn_url=None)


async def test_coins_are_those_of_the_account_in_its_order_with_their_names(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox
) -> None:
    nowpayments.desk.coins = ["xrp", "btc"]
    found = await manager.coins()
    assert [(coin.code, coin.name, coin.network) for coin in found] == [
        ("xrp", "Ripple", "xrp"),
        ("btc", "Bitcoin", "btc"),
    ]


async def test_least_amount_and_estimate_are_exact(manager: NowPaymentsManager) -> None:
    assert await manager.min_amount("sol") == Decimal("0.00303031")
    assert await manager.estimate(Decimal("16.50"), "sol") == Decimal("0.1")


async def test_a_payment_is_asked_for_exactly_and_read_exactly(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox
) -> None:
    payment = await made(manager, "btc")
    theirs = nowpayments.payment(payment.id)
    assert theirs.order.price_amount == PRICE
    assert (payment.pay_amount, payment.pay_currency) == (theirs.pay_amount, "btc")
    assert (payment.pay_address, payment.order_id) == (theirs.pay_address, "order-1")
    assert payment.expires_at is not None
    assert payment.expires_at.timestamp() == pytest.approx(theirs.valid_until, abs=0.001)


async def test_a_coin_with_tags_has_one(manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox) -> None:
    payment = await made(manager, "xrp")
    assert str(payment.payin_extra_id) == nowpayments.payment(payment.id).payin_extra_id


@pytest.mark.parametrize("as_text", [False, True])
async def test_ids_and_numbers_may_come_as_text(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, *, as_text: bool
) -> None:
    payment = await made(manager, "btc")
    nowpayments.pay(payment.id, Decimal("0.0000001"))
    nowpayments.faults.numbers_as_text = as_text
    found = await manager.payment(payment.id)
    assert found is not None
    assert (found.id, found.parent_id, found.page_id) == (payment.id, None, None)
    assert (found.paid, found.price_amount) == (Decimal("1e-7"), PRICE)
    assert found.payment_status == "partially_paid"


async def test_a_further_deposit_names_its_parent_and_the_parent_names_it(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox
) -> None:
    payment = await made(manager)
    nowpayments.pay(payment.id, Decimal(10))
    further = nowpayments.pay(payment.id, Decimal(5))
    assert further is not None
    parent, child = await manager.payment(payment.id), await manager.payment(str(further.id))
    assert parent is not None
    assert child is not None
    assert parent.further_ids == [child.id]
    assert (child.parent_id, child.payment_status) == (payment.id, "finished")


async def test_what_is_not_known_is_none(manager: NowPaymentsManager) -> None:
    assert await manager.payment("1") is None


async def test_too_small_an_amount_is_said_as_such(manager: NowPaymentsManager) -> None:
    with pytest.raises(AmountTooSmallError):
        await manager.create(price_usd=Decimal(1), coin="usdterc20", order_id="1", description="", ipn_url=None)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.UNAUTHORIZED, RefusedError),
        (Fault.FORBIDDEN, RefusedError),
        (Fault.RATE_LIMIT, TooManyError),
        (Fault.ERROR_5XX, TransientError),
        (Fault.BAD_GATEWAY, TransientError),
        (Fault.CHALLENGE, ForeignAnswerError),
        (Fault.HTML_200, ForeignAnswerError),
        (Fault.HALF_BODY, ForeignAnswerError),
        (Fault.DROP, TransientError),
        (Fault.DROP_AFTER, TransientError),
    ],
)
async def test_a_payment_is_asked_for_once_whatever_is_answered(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, fault: Fault, error: type[TransientError]
) -> None:
    nowpayments.faults.fail_next(fault)
    with pytest.raises(error):
        await made(manager)
    assert nowpayments.requests[CREATE] == 1
    was_made = fault in {Fault.HALF_BODY, Fault.DROP_AFTER}
    assert len(nowpayments.desk.payments) == was_made


@pytest.mark.parametrize("fault", [Fault.ERROR_5XX, Fault.BAD_GATEWAY, Fault.CHALLENGE, Fault.HTML_200, Fault.DROP])
async def test_how_a_payment_stands_is_asked_again(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, fault: Fault
) -> None:
    payment = await made(manager)
    nowpayments.faults.fail_next(fault)
    found = await manager.payment(payment.id)
    assert found is not None
    assert nowpayments.requests[f"GET /v1/payment/{payment.id}"] == 2


async def test_payments_are_listed_from_a_moment_on_and_by_page(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, clock: Clock
) -> None:
    await made(manager, order_id="early")
    clock.pass_(hours=1)
    since = clock()
    page = await manager.create_page(price_usd=PRICE, order_id="page", description="", ipn_url=None, back_url=None)
    await made(manager, order_id="late")
    clock.pass_(seconds=1)
    invoice = nowpayments.desk.invoice(int(page.id))
    on_page = nowpayments.desk.create_payment(invoice.order, "sol", invoice)
    assert [one.order_id async for one in manager.payments(since=since) if one] == ["late", "page"]
    everything = [one.order_id async for one in manager.payments(since=since - timedelta(hours=2)) if one]
    assert everything == ["early", "late", "page"]
    found = [one async for one in manager.payments(since=since, page_id=str(page.id)) if one]
    assert [(one.id, one.page_id) for one in found] == [(str(on_page.id), str(page.id))]


async def test_a_list_of_many_pages_is_read_to_its_end(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("managers.payments.nowpayments.MAX_PAGE", 2)
    since = clock()
    for number in range(5):
        await made(manager, order_id=str(number))
    assert len([one async for one in manager.payments(since=since)]) == 5
    assert nowpayments.requests["GET /v1/payment/"] == 3


@pytest.mark.parametrize("status", list(Status))
async def test_every_status_is_read(
    manager: NowPaymentsManager, nowpayments: NowPaymentsSandbox, status: Status
) -> None:
    payment = await made(manager)
    nowpayments.desk.set_status(nowpayments.payment(payment.id), status)
    found = await manager.payment(payment.id)
    assert found is not None
    assert found.payment_status == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payment_id":1}',
        b'{"payment_id":"../auth","payment_status":"finished"}',
        b'{"payment_id":-1,"payment_status":"finished"}',
        b'{"payment_id":"","payment_status":"finished"}',
        b'{"payment_id":null,"payment_status":"finished"}',
        b'{"payment_id":1.5,"payment_status":"finished"}',
    ],
)
def test_a_notification_that_names_no_payment_is_none(body: bytes) -> None:
    assert told(body) is None


def test_a_notification_may_spell_its_id_as_text() -> None:
    for spelled in (b"5077125051", b'"5077125051"'):
        said = told(b'{"payment_id":' + spelled + b',"payment_status":"finished","updated_at":1774390831880}')
        assert said is not None
        assert said.id == "5077125051"
        assert said.changed_at is not None
        assert said.changed_at.year == 2026


@pytest.mark.parametrize("amount", ['"NaN"', '"-1"', "-1", '"Infinity"', "1e999", '"1e400"', "true", "[]"])
def test_what_is_no_amount_makes_an_answer_unreadable(amount: str) -> None:
    text = '{"payment_id":1,"payment_status":"finished","pay_currency":"btc","price_currency":"usd","price_amount":'
    with pytest.raises(ValueError, match=r"."):
        decoded(msgspec.json.Decoder(Payment), f"{text}{amount}}}".encode())
