"""What Telegram tells of money, read: updates that ask for it or bring it, and its list of transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

from domain.payments.amounts import STARS
from domain.payments.stars import PreCheckout, StarPayment


class _User(Struct):
    id: int
    language_code: str = ""


class _Query(Struct):
    id: str
    sender: _User = msgspec.field(name="from")
    currency: str
    total_amount: int
    invoice_payload: str


class _Paid(Struct):
    currency: str
    total_amount: int
    invoice_payload: str
    telegram_payment_charge_id: str
    is_recurring: bool = False


class _Message(Struct):
    date: int
    sender: _User = msgspec.field(name="from")
    successful_payment: _Paid | None = None
    refunded_payment: _Paid | None = None


class _Partner(Struct):
    type: str
    transaction_type: str = ""
    user: _User | None = None
    invoice_payload: str = ""


class _Transaction(Struct):
    id: str
    amount: int
    date: int
    source: _Partner | None = None
    receiver: _Partner | None = None


def read_money(content: Mapping[str, Any]) -> PreCheckout | StarPayment | None:
    """Read an update that is about money; `None`: it is not. Raises `ValueError` for one that cannot be read."""
    if "pre_checkout_query" in content:
        query = msgspec.convert(content["pre_checkout_query"], _Query)
        return PreCheckout(
            query_id=query.id,
            user_id=query.sender.id,
            language=query.sender.language_code,
            currency=query.currency,
            amount=query.total_amount,
            payload=query.invoice_payload,
        )
    message: object = content.get("message")
    if not isinstance(message, dict) or not message.keys() & {"successful_payment", "refunded_payment"}:
        return None
    told = msgspec.convert(cast("dict[str, object]", message), _Message)
    paid = told.refunded_payment or told.successful_payment
    if paid is None:
        raise ValueError("a payment is an object")
    return StarPayment(
        charge_id=paid.telegram_payment_charge_id,
        user_id=told.sender.id,
        language=told.sender.language_code,
        currency=paid.currency,
        amount=paid.total_amount,
        payload=paid.invoice_payload,
        at=datetime.fromtimestamp(told.date, UTC),
        is_refunded=told.refunded_payment is not None,
        is_recurring=paid.is_recurring,
    )


def read_transaction(told: object) -> StarPayment | None:
    """Read one that is about an invoice. One that cannot be read costs itself: it will be missed as a payment."""
    try:
        one = msgspec.convert(told, _Transaction)
    except msgspec.ValidationError:
        return None
    partner = one.source or one.receiver
    if partner is None or partner.user is None or partner.transaction_type != "invoice_payment":
        return None
    return StarPayment(
        charge_id=one.id,
        user_id=partner.user.id,
        language=partner.user.language_code,
        currency=STARS.code,
        amount=one.amount,
        payload=partner.invoice_payload,
        at=datetime.fromtimestamp(one.date, UTC),
        is_refunded=one.receiver is not None,
    )
