"""What a payment at NOWPayments brought for an invoice: read from its amounts, never from its status alone.

A further deposit to an address is a payment of its own, `finished` whatever its amount. In the coin of the invoice it
counts for it with what came, so it tops up what was paid too little; in another coin an admin settles it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from msgspec import Struct

from domain.payments.amounts import CENT
from domain.payments.invoices import Arrival, Invoice, Stage
from managers.payments.nowpayments import Payment

USD: Final = "USD"
"""What an invoice on a hosted page is asked in: the coin is chosen there."""
PAGE: Final = "page:"
"""Begins the `payment_id` of such an invoice."""

FINISHED: Final = "finished"
REFUNDED: Final = "refunded"
PARTIALLY_PAID: Final = "partially_paid"
WAITING: Final = frozenset({"waiting", "expired"})
UNDER_WAY: Final = frozenset({"confirming", "confirmed", "sending"})

STEPS: Final = ("waiting", "confirming", "confirmed", "sending", FINISHED)
"""In this order, unless something goes another way."""

_STAGES: Final[dict[str, Stage]] = {
    "confirming": "seen",
    "confirmed": "confirming",
    "sending": "confirming",
    PARTIALLY_PAID: "final",
    FINISHED: "final",
    REFUNDED: "final",
}
"""Of any other status (`failed`, one that is not documented) money is seen and nothing more."""


class Reading(Struct, frozen=True, kw_only=True):
    arrival: Arrival | None
    """`None`: no money is known of."""
    problem: str = ""
    """Why it does not count for the invoice, for an admin."""


def key_of(payment_id: str) -> str:
    return f"nowpayments:{payment_id}"


def coin_of(payment: Payment) -> str:
    """Return the coin as people read it."""
    return payment.pay_currency.upper()


def is_page(invoice: Invoice) -> bool:
    return invoice.payment_id.startswith(PAGE)


def unmatched(payment: Payment, at: datetime) -> Arrival | None:
    """Return what came for no invoice that we know; `None` while it may yet be taken back."""
    stage = _STAGES.get(payment.payment_status, "seen")
    if stage != "final" or not payment.paid:
        return None
    return _arrival(payment, coin_of(payment), payment.paid, at, stage)


def reading(payment: Payment, invoice: Invoice, known: Arrival | None, now: datetime) -> Reading:
    """Return what the payment brought. `known`: what was known of it; money came when it was first seen."""
    at = known.at if known else payment.changed_at or now
    if problem := _problem(payment, invoice):
        return Reading(arrival=unmatched(payment, at), problem=problem)
    amount = _amount(payment, invoice)
    if not amount and known and payment.payment_status == REFUNDED:
        amount = known.amount
    if not amount:
        return Reading(arrival=None)
    asset = invoice.asset
    return Reading(arrival=_arrival(payment, asset, amount, at, _stage(payment, invoice, amount)))


def _arrival(payment: Payment, asset: str, amount: Decimal, at: datetime, stage: Stage) -> Arrival:
    refunded = payment.payment_status == REFUNDED
    return Arrival(key=key_of(payment.id), asset=asset, amount=amount, at=at, stage=stage, refunded=refunded)


def _stage(payment: Payment, invoice: Invoice, amount: Decimal) -> Stage:
    """Nothing is final of which the processor itself says that it is not enough, although it is what we asked for."""
    stage = _STAGES.get(payment.payment_status, "seen")
    cent = CENT / invoice.rate_usd if invoice.rate_usd else Decimal(0)
    is_enough = amount + cent > invoice.amount
    wanted = Decimal(0) if is_page(invoice) else (payment.pay_amount or Decimal(0))
    says_less = payment.payment_status == PARTIALLY_PAID or amount + cent <= wanted
    if stage == "final" and is_enough and says_less and payment.payment_status != REFUNDED:
        return "confirming"
    return stage


def _amount(payment: Payment, invoice: Invoice) -> Decimal:
    """Return what came, in what the invoice is asked in."""
    if not is_page(invoice):
        return payment.paid
    if not payment.pay_amount:
        return Decimal(0)
    worth_usd = invoice.price_usd * payment.paid / payment.pay_amount
    return worth_usd.quantize(CENT, ROUND_FLOOR)


def _problem(payment: Payment, invoice: Invoice) -> str:
    if payment.parent_id is not None:
        if is_page(invoice):
            return f"a further deposit to payment {payment.parent_id} on the page of {invoice.id}"
        return "" if coin_of(payment) == invoice.asset else f"another coin, to the address of {invoice.id}"
    if payment.price_amount != invoice.price_usd or payment.price_currency.lower() != USD.lower():
        return f"another price than that of {invoice.id}"
    if not is_page(invoice) and coin_of(payment) != invoice.asset:
        return f"another coin than that of {invoice.id}"
    if payment.order_id is not None and str(payment.order_id) != invoice.id:
        return f"another order than {invoice.id}"
    return ""
