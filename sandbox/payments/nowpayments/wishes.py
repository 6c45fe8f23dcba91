"""Bodies and queries of requests, checked as strictly as the original checks them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from sandbox.payments.nowpayments.errors import bad_request, invalid_params
from sandbox.payments.nowpayments.records import Order
from sandbox.payments.nowpayments.signing import JsonObject, is_object

_ORDER_NAMES = frozenset(
    {
        "price_amount",
        "price_currency",
        "order_id",
        "order_description",
        "ipn_callback_url",
        "is_fixed_rate",
        "is_fee_paid_by_user",
        "payout_address",
        "payout_currency",
        "payout_extra_id",
        "pay_currency",
    }
)
PAYMENT_NAMES = _ORDER_NAMES | {"pay_amount", "purchase_id", "case"}
INVOICE_NAMES = _ORDER_NAMES | {"success_url", "cancel_url", "partially_paid_url"}
INVOICE_PAYMENT_NAMES = frozenset(
    {"iid", "pay_currency", "purchase_id", "order_description", "customer_email", "payout_address", "payout_extra_id"}
    | {"payout_currency", "case"}
)
_LINKS = ("ipn_callback_url", "success_url", "cancel_url", "partially_paid_url")
_DESCRIPTION_MAX = 500


def read_body(raw: bytes, known: Collection[str]) -> JsonObject:
    try:
        body = json.loads(raw, parse_float=Decimal)
    except ValueError as error:
        raise bad_request("Unexpected token in JSON") from error
    if not is_object(body):
        raise bad_request("The body is no object")
    for name in body:
        if name not in known:
            raise invalid_params(f'"{name}" is not allowed')
    return body


def order(body: JsonObject) -> Order:
    links = {name: _link(body, name) for name in _LINKS if name in body}
    return Order(
        price_amount=amount(body, "price_amount"),
        price_currency=required_text(body, "price_currency").lower(),
        order_id=_text_or_number(body, "order_id"),
        order_description=_description(body),
        is_fixed_rate=_flag(body, "is_fixed_rate"),
        is_fee_paid_by_user=_flag(body, "is_fee_paid_by_user"),
        **links,
    )


def amount(body: Mapping[str, Any], name: str) -> Decimal:
    value = body.get(name)
    if value is None:
        raise invalid_params(f"{name} is required")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise invalid_params(f"{name} must be a number")
    try:
        read = Decimal(value)
    except InvalidOperation as error:
        raise invalid_params(f"{name} must be a number") from error
    if not read.is_finite() or read <= 0:
        raise invalid_params(f"{name} must be greater than 0")
    return read


def required_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise invalid_params(f"{name} is required")
    if not isinstance(value, str) or not value:
        raise invalid_params(f"{name} must be a string")
    return value


def whole(value: str, name: str, *, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        raise invalid_params(f"{name} must be a number from {least} to {most}")
    return int(value)


def identity(value: Any, name: str) -> int:
    """Read an id, which comes as a number or as text."""
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal():
        raise invalid_params(f"{name} must be a number")
    return int(text)


def _link(body: JsonObject, name: str) -> str | None:
    value = body[name]
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.netloc:
        raise invalid_params(f"{name} must be a valid uri")
    return value


def _text_or_number(body: JsonObject, name: str) -> str | None:
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise invalid_params(f"{name} must be a string")
    return str(value)


def _description(body: JsonObject) -> str | None:
    value = _text_or_number(body, "order_description")
    if value is not None and len(value) > _DESCRIPTION_MAX:
        raise invalid_params(f"order_description must be at most {_DESCRIPTION_MAX} characters long")
    return value


def _flag(body: JsonObject, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise invalid_params(f"{name} must be a boolean")
    return value
