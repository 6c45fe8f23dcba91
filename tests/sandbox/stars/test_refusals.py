"""Invoices and Stars: every refusal, word for word where Telegram's words are known."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, call, started

INVOICE: dict[str, Any] = {
    "title": "Pro",
    "description": "A month",
    "payload": "inv_1",
    "currency": "XTR",
    "prices": [{"label": "Pro", "amount": 250}],
}
STARS_INVALID = "STARS_INVOICE_INVALID"
AMOUNT_INVALID = "CURRENCY_TOTAL_AMOUNT_INVALID"


def price(amount: object) -> dict[str, Any]:
    return {"prices": [{"label": "Pro", "amount": amount}]}


BAD_INVOICES: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, 'parameter "title" is required'),
    ({"description": ""}, 'parameter "description" is required'),
    ({"payload": ""}, 'parameter "payload" is required'),
    ({"currency": ""}, 'parameter "currency" is required'),
    ({"prices": ""}, 'parameter "prices" is required'),
    ({"prices": "[{"}, "can't parse prices JSON object"),
    ({"prices": {"label": "x", "amount": 1}}, "expected an Array of labeled prices"),
    ({"prices": []}, "there must be at least one price"),
    ({"prices": [7]}, "can't parse labeled price: LabeledPrice must be an Object"),
    ({"prices": [{"amount": 1}]}, "can't parse labeled price: Can't find field \"label\""),
    ({"prices": [{"label": "x"}]}, "can't parse labeled price: Can't find field \"amount\""),
    ({"prices": [{"label": 1, "amount": 1}]}, 'can\'t parse labeled price: Field "label" must be of type String'),
    ({"prices": [{"label": "", "amount": 1}]}, "can't parse labeled price: LabeledPrice label must be non-empty"),
    (price("many"), 'can\'t parse labeled price: Field "amount" must be of type Number'),
    (price(0), "total price must be positive"),
    (price(-5), "total price must be positive"),
    (price(10**13), "too big amount of the currency specified"),
    (price(25_001), AMOUNT_INVALID),
    ({"prices": [{"label": "a", "amount": 1}, {"label": "b", "amount": 2}]}, STARS_INVALID),
    ({"title": "x" * 33}, STARS_INVALID),
    ({"description": "x" * 256}, STARS_INVALID),
    ({"provider_token": "1:TEST:x"}, STARS_INVALID),
    ({"need_email": True}, STARS_INVALID),
    ({"max_tip_amount": 5}, STARS_INVALID),
    ({"suggested_tip_amounts": [5]}, STARS_INVALID),
    ({"payload": "é" * 65}, "INVOICE_PAYLOAD_INVALID"),
    ({"currency": "EUR"}, "PAYMENT_PROVIDER_INVALID"),
    ({"subscription_period": 86_400}, STARS_INVALID),
]


@pytest.mark.parametrize(("change", "description"), BAD_INVOICES, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("method", ["sendInvoice", "createInvoiceLink"])
async def test_bad_invoices(method: str, change: dict[str, Any], description: str) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        answer = await call(telegram, method, **{"chat_id": ann.id, **INVOICE, **change})
        assert (answer["status"], answer["description"]) == (400, f"Bad Request: {description}")
        assert len(ann.messages) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": "x" * 32, "description": "y" * 255, "payload": "é" * 64},
        price(1),
        price(25_000),
        {"provider_token": "", "suggested_tip_amounts": []},
        {"photo_url": "https://example.com/a.png"},
    ],
    ids=lambda change: str(change)[:40],
)
async def test_what_just_fits_is_taken(change: dict[str, Any]) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        for method in ("sendInvoice", "createInvoiceLink"):
            answer = await call(telegram, method, **{"chat_id": ann.id, **INVOICE, **change})
            assert answer["ok"], answer


async def test_subscriptions_are_sold_by_link_and_for_less() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        monthly = {**INVOICE, "subscription_period": 2_592_000}
        refused = await call(telegram, "sendInvoice", chat_id=ann.id, **monthly)
        assert refused["description"] == f"Bad Request: {STARS_INVALID}"
        assert (await call(telegram, "createInvoiceLink", **{**monthly, **price(10_000)}))["ok"]
        refused = await call(telegram, "createInvoiceLink", **{**monthly, **price(10_001)})
        assert refused["description"] == f"Bad Request: {AMOUNT_INVALID}"


@pytest.mark.parametrize(
    ("chat_id", "status", "description"),
    [
        ("", 400, "Bad Request: chat_id is empty"),
        ("5", 400, "Bad Request: chat not found"),
        ("BLOCKED", 403, "Forbidden: bot was blocked by the user"),
    ],
)
async def test_an_invoice_goes_only_where_a_message_may(chat_id: str, status: int, description: str) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        ann.block()
        where = str(ann.id) if chat_id == "BLOCKED" else chat_id
        answer = await call(telegram, "sendInvoice", chat_id=where, **INVOICE)
        assert (answer["status"], answer["description"]) == (status, description)


OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"


@pytest.mark.parametrize(
    ("method", "params", "description"),
    [
        ("answerPreCheckoutQuery", {"pre_checkout_query_id": "1"}, 'parameter "error_message" is required'),
        ("answerPreCheckoutQuery", {"pre_checkout_query_id": "1", "ok": True}, OLD_QUERY),
        ("answerPreCheckoutQuery", {"ok": False, "error_message": "x"}, OLD_QUERY),
        ("refundStarPayment", {"telegram_payment_charge_id": "stx"}, "invalid user_id specified"),
        ("refundStarPayment", {"user_id": "ANN"}, 'parameter "telegram_payment_charge_id" is required'),
        ("refundStarPayment", {"user_id": 5, "telegram_payment_charge_id": "stx"}, "user not found"),
        ("refundStarPayment", {"user_id": "ANN", "telegram_payment_charge_id": "stx"}, "CHARGE_NOT_FOUND"),
        ("editUserStarSubscription", {"is_canceled": True}, "invalid user_id specified"),
        ("editUserStarSubscription", {"user_id": 5}, "user not found"),
        ("editUserStarSubscription", {"user_id": "ANN"}, "CHARGE_ID_EMPTY"),
        ("editUserStarSubscription", {"user_id": "ANN", "telegram_payment_charge_id": "stx"}, "CHARGE_NOT_FOUND"),
    ],
)
async def test_bad_requests(method: str, params: dict[str, Any], description: str) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        params = {name: ann.id if value == "ANN" else value for name, value in params.items()}
        answer = await call(telegram, method, **params)
        assert (answer["status"], answer["description"]) == (400, f"Bad Request: {description}")
