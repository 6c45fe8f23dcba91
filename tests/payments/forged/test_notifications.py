"""Notifications that NOWPayments has not sent, at the HTTP edge of the whole bot."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from domain.payments.invoices import Invoice
from services.payments.ledger import Ledger
from tests.payments.forged.kit import Scene, scene_on
from tests.payments.forged.processor import HEADER, SECRET, signed, signed_without_nested, written

BUY = "buycoin:pro:1:btc"


async def finished(scene: Scene, user_id: int) -> tuple[Invoice, dict[str, Any]]:
    """Somebody has paid, and nothing was asked or told since; return what the processor would tell."""
    invoice = await scene.buys(user_id, BUY)
    payment = scene.processor.payments[invoice.payment_id]
    await scene.until(lambda: asyncio.sleep(0, f"/v1/payment/{invoice.payment_id}" in scene.processor.asked))
    payment |= {"payment_status": "finished", "actually_paid": payment["pay_amount"]}
    return invoice, scene.processor.notification(invoice.payment_id)


def unproved(told: dict[str, Any]) -> dict[str, tuple[bytes, dict[str, str]]]:
    """By what is wrong with it, what is sent."""
    body, proof = written(told), signed(told)
    nested = told | {"fee": told["fee"] | {"serviceFee": 5}}
    added = told | {"fee": told["fee"] | {"x": 1}}
    more = told | {"actually_paid": 10_000}
    other = told | {"payment_id": told["payment_id"] + 1}
    plain = hmac.new(SECRET.encode(), body, hashlib.sha512).hexdigest()
    return {
        "unsigned": (body, {}),
        "an empty signature": (body, {HEADER: ""}),
        "another secret": (body, {HEADER: signed(told, "another-secret")}),
        "no secret": (body, {HEADER: signed(told, "")}),
        "another algorithm": (body, {HEADER: signed(told, algorithm=hashlib.sha256)}),
        "unsorted": (body, {HEADER: plain}),
        "nested fields left out": (body, {HEADER: signed_without_nested(told)}),
        "half of it": (body, {HEADER: proof[:64]}),
        "an altered nested field": (written(nested), {HEADER: proof}),
        "an added nested field": (written(added), {HEADER: proof}),
        "an altered amount": (written(more), {HEADER: proof}),
        "another payment": (written(other), {HEADER: proof}),
        "another header": (body, {"x-nowpayments-signature": proof}),
        "a list": (b"[" + body + b"]", {HEADER: proof}),
        "nothing": (b"", {HEADER: proof}),
        "no JSON": (b"\xff{", {HEADER: proof}),
        "too much": (body + b" " * 40_000, {HEADER: proof}),
    }


async def test_who_proves_nothing_gets_nothing_and_one_answer(scene: Scene) -> None:
    invoice, told = await finished(scene, 1)
    asked = len(scene.processor.asked)
    answers = {name: await scene.notifies(*sent) for name, sent in unproved(told).items()}
    assert len(set(answers.values())) == 1, answers
    assert answers["unsigned"].status == 401
    assert answers["unsigned"].body == b""
    assert (await scene.days(1), await scene.state(invoice)) == (0, "open")
    assert len([one for one in scene.processor.asked[asked:] if invoice.payment_id in one]) <= 1  # the poll's own
    assert (await scene.notifies(written(told), {HEADER: signed(told)})).status == 200
    assert await scene.days(1) == 30


async def test_a_hundred_at_once_and_replayed_credit_once(scene: Scene) -> None:
    invoice, told = await finished(scene, 1)
    body, headers = written(told), {HEADER: signed(told)}
    answers = await asyncio.gather(*(scene.notifies(body, headers) for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert await scene.days(1) == 30
    scene.processor.payments[invoice.payment_id]["payment_status"] = "refunded"
    back = scene.processor.notification(invoice.payment_id)
    assert (await scene.notifies(written(back), {HEADER: signed(back)})).status == 200
    assert await scene.days(1) == 0
    assert (await scene.notifies(body, headers)).status == 200
    assert (await scene.days(1), await scene.state(invoice)) == (0, "refunded")


async def test_a_signed_lie_is_not_believed(scene: Scene) -> None:
    """Whoever has the secret still has to make the processor say the same."""
    invoice = await scene.buys(1, BUY)
    lies = [
        scene.processor.notification(invoice.payment_id, payment_status="finished", actually_paid=39),
        scene.processor.notification(invoice.payment_id, payment_status="finished", payment_id=1),
    ]
    for lie in lies:
        assert (await scene.notifies(written(lie), {HEADER: signed(lie)})).status == 503
    assert (await scene.days(1), await scene.state(invoice)) == (0, "open")


@pytest.mark.thorough
async def test_only_what_was_asked_for_pays(scene: Scene) -> None:
    """The processor says `finished` of a part, of another coin, of another price and of what was sent again."""
    cases: list[dict[str, Any]] = [
        {"actually_paid": 1},
        {"pay_currency": "usdttrc20"},
        {"price_amount": 1},
        {"price_currency": "rub"},
        {"order_id": "OTHER"},
        {"actually_paid": 0},
        {"payment_status": "partially_paid", "actually_paid": 38},
        {"payment_status": "confirmed"},
    ]
    for user_id, case in enumerate(cases, 1):
        invoice, _ = await finished(scene, user_id)
        scene.processor.payments[invoice.payment_id] |= case
        said = scene.processor.notification(invoice.payment_id)
        await scene.notifies(written(said), {HEADER: signed(said)})
    assert [await scene.days(user_id) for user_id, _ in enumerate(cases, 1)] == [0] * len(cases)
    first, _ = await finished(scene, 100)
    again = dict(scene.processor.payments[first.payment_id])
    again |= {"payment_id": "99", "parent_payment_id": first.payment_id, "actually_paid": 0.01}
    scene.processor.payments[first.payment_id] |= {"payment_status": "waiting", "actually_paid": 0}
    scene.processor.payments["99"] = again
    said = scene.processor.notification("99")
    assert (await scene.notifies(written(said), {HEADER: signed(said)})).status == 200
    assert await scene.days(100) == 0
    assert {one.invoice_id for one in await scene.bot.of(Ledger).unmatched()} == {None}


async def test_without_a_secret_nobody_is_believed_and_the_answer_is_the_same(
    redis_url: str, postgres_dsn: str
) -> None:
    async with scene_on(redis_url, postgres_dsn, ipn_secret="") as scene:
        invoice, told = await finished(scene, 1)
        body = written(told)
        answers = [await scene.notifies(body, {HEADER: signed(told, secret)}) for secret in ("", SECRET)]
        answers.append(await scene.notifies(body, {}))
        assert {(answer.status, answer.body) for answer in answers} == {(401, b"")}
        assert len(set(answers)) == 1
        assert (await scene.days(1), await scene.state(invoice)) == (0, "open")
