"""Payments and invoices, and the forms in which the API, the list and an IPN write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sandbox.payments.nowpayments.coins import COINS, FIAT_USD
from sandbox.payments.nowpayments.signing import JsonObject, number


class Status(StrEnum):
    WAITING = "waiting"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    SENDING = "sending"
    PARTIALLY_PAID = "partially_paid"
    FINISHED = "finished"
    FAILED = "failed"
    REFUNDED = "refunded"
    EXPIRED = "expired"


@dataclass(kw_only=True, slots=True)
class Order:
    """What the merchant asked for, as they wrote it."""

    price_amount: Decimal
    price_currency: str
    order_id: str | None = None
    order_description: str | None = None
    ipn_callback_url: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    partially_paid_url: str | None = None
    is_fixed_rate: bool = False
    is_fee_paid_by_user: bool = False


@dataclass(kw_only=True, slots=True)
class Invoice:
    id: int
    order: Order
    pay_currency: str | None
    created_at: float
    url: str

    def body(self) -> JsonObject:
        order = self.order
        return {
            "id": str(self.id),
            "token_id": str(self.id + 1),
            "order_id": order.order_id,
            "order_description": order.order_description,
            "price_amount": number(float(order.price_amount)),
            "price_currency": order.price_currency,
            "pay_currency": self.pay_currency,
            "ipn_callback_url": order.ipn_callback_url,
            "invoice_url": self.url,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "partially_paid_url": order.partially_paid_url,
            "payout_currency": None,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.created_at),
            "is_fixed_rate": order.is_fixed_rate,
            "is_fee_paid_by_user": order.is_fee_paid_by_user,
        }


@dataclass(kw_only=True, slots=True)
class Payment:
    id: int
    order: Order
    pay_currency: str
    pay_amount: Decimal
    pay_address: str
    payin_extra_id: str | None
    created_at: float
    valid_until: float
    outcome_currency: str
    parent_id: int | None = None
    invoice_id: int | None = None
    purchase_id: str = ""
    status: Status = Status.WAITING
    actually_paid: Decimal = Decimal(0)
    payin_hash: str | None = None
    payout_hash: str | None = None
    updated_at: float = 0.0
    children: list[int] = field(default_factory=list[int])
    earlier: JsonObject | None = None
    """How GET wrote it before the last change."""

    @property
    def outcome_amount(self) -> Decimal:
        """What the merchant gets: the value of what came, or of what is expected, without the fee of 0.5 %."""
        amount = self.actually_paid or self.pay_amount
        usd = amount * COINS[self.pay_currency].usd
        outcome = COINS[self.outcome_currency]
        return outcome.amount_of(usd * Decimal("0.995"))

    def created(self) -> JsonObject:
        """Write the answer to a creation: the id is a string here."""
        order, coin = self.order, COINS[self.pay_currency]
        return {
            "payment_id": str(self.id),
            "payment_status": self.status,
            "pay_address": self.pay_address,
            "price_amount": float(order.price_amount),
            "price_currency": order.price_currency,
            "pay_amount": float(self.pay_amount),
            "amount_received": float(self.outcome_amount),
            "pay_currency": self.pay_currency,
            "order_id": order.order_id,
            "order_description": order.order_description,
            "ipn_callback_url": order.ipn_callback_url,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "purchase_id": self.purchase_id,
            "payin_extra_id": self.payin_extra_id,
            "smart_contract": "",
            "network": coin.network,
            "network_precision": coin.precision,
            "time_limit": None,
            "burning_percent": None,
            "expiration_estimate_date": iso(self.created_at + 1_200),
            "is_fixed_rate": order.is_fixed_rate,
            "is_fee_paid_by_user": order.is_fee_paid_by_user,
            "valid_until": iso(self.valid_until),
            "type": "crypto2crypto",
        } | ({"invoice_id": str(self.invoice_id)} if self.invoice_id else {})

    def found(self) -> JsonObject:
        """Write the answer to GET: the id is a number, times are text, and the worth in fiat is known at the end."""
        price_usd = FIAT_USD.get(self.order.price_currency, Decimal(1))
        worth = round(self.actually_paid * COINS[self.pay_currency].usd / price_usd, 2)
        return self._common() | {
            "actually_paid_at_fiat": float(worth) if self.status is Status.FINISHED else 0,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "burning_percent": "null",
            "type": "crypto2crypto",
            "payin_hash": self.payin_hash,
            "payout_hash": self.payout_hash,
        }

    def notification(self) -> JsonObject:
        """Write the body of an IPN: the time is in milliseconds."""
        return self._common() | {"updated_at": int(self.updated_at * 1_000)}

    def _common(self) -> JsonObject:
        order = self.order
        is_done = self.status is Status.FINISHED
        return {
            "payment_id": self.id,
            "parent_payment_id": self.parent_id,
            "invoice_id": self.invoice_id,
            "payment_status": self.status,
            "pay_address": self.pay_address,
            "payin_extra_id": self.payin_extra_id,
            "price_amount": float(order.price_amount),
            "price_currency": order.price_currency,
            "pay_amount": float(self.pay_amount),
            "actually_paid": float(self.actually_paid),
            "actually_paid_at_fiat": 0,
            "pay_currency": self.pay_currency,
            "order_id": order.order_id,
            "order_description": order.order_description,
            "purchase_id": self.purchase_id,
            "outcome_amount": float(self.outcome_amount),
            "outcome_currency": self.outcome_currency,
            "payment_extra_ids": list(self.children) or None,
            "fee": {
                "currency": self.outcome_currency,
                "depositFee": 0.0000123 if is_done else 0,
                "withdrawalFee": 1e-7 if is_done else 0,
                "serviceFee": 0,
            },
        }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_strings(body: JsonObject) -> JsonObject:
    """Spell numbers as text, as some endpoints have at some times."""

    def spelled(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return number(value)

    return {name: spelled(value) for name, value in body.items()}
