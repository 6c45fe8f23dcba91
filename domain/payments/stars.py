"""Telegram Stars: what Telegram says of them, when an invoice may be paid, and where its book differs from ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from domain.payments.amounts import STARS
from domain.payments.invoices import Arrival, Invoice

PERIOD_S: Final = 2_592_000
"""The one period that Telegram renews after: 30 days."""
PREFIX: Final = "stars:"
OPEN_FOR: Final = timedelta(days=1)
"""How long an invoice may be paid: the price in Stars does not change with any rate."""
SEPARATOR: Final = ":"
MAX_PAYLOAD_BYTES: Final = 128
"""What Telegram keeps with an invoice."""

Refusal = Literal["unknown", "paid", "expired", "unavailable"]
"""Why nobody may pay now. `unknown` is also said where somebody asks for what is not theirs."""


class PreCheckout(Struct, frozen=True, kw_only=True):
    """Somebody is about to pay, and Telegram asks whether they may."""

    query_id: str
    user_id: int
    language: str
    currency: str
    amount: int
    """In the smallest unit of the currency."""
    payload: str


class StarPayment(Struct, frozen=True, kw_only=True):
    """Telegram has moved money: to the bot, or back."""

    charge_id: str
    user_id: int
    """Who paid."""
    language: str = ""
    currency: str
    amount: int
    payload: str
    at: datetime
    """By Telegram's clock."""
    is_refunded: bool = False
    is_recurring: bool = False

    @property
    def key(self) -> str:
        return arrival_key(self.charge_id)

    def as_arrival(self) -> Arrival:
        return Arrival(
            key=self.key, asset=self.currency, amount=Decimal(self.amount), at=self.at, refunded=self.is_refunded
        )


def payload_of(invoice: Invoice) -> str:
    """Return what Telegram keeps for us with an invoice: enough to know it again, should every store have lost it."""
    created_s, price = int(invoice.created_at.timestamp()), f"{invoice.price_usd:f}"
    parts = (invoice.id, invoice.user_id, invoice.plan, invoice.days, f"{invoice.amount:f}", price, created_s)
    payload = SEPARATOR.join(map(str, parts))
    return payload if len(payload.encode()) <= MAX_PAYLOAD_BYTES else invoice.id


def invoice_id_in(payload: str) -> str:
    return payload.partition(SEPARATOR)[0]


def invoice_in(payload: str) -> Invoice | None:
    """Read `payload_of`; `None`: it says no more than an id, or is none of ours."""
    try:
        invoice_id, user_id, plan, days, stars, price, created_s = payload.split(SEPARATOR)
        created_at = datetime.fromtimestamp(int(created_s), UTC)
        return Invoice(
            id=invoice_id,
            user_id=int(user_id),
            plan=plan,
            days=int(days),
            price_usd=Decimal(price),
            method="stars",
            asset=STARS.code,
            amount=Decimal(stars),
            created_at=created_at,
            expires_at=created_at + OPEN_FOR,
        )
    except (ValueError, ArithmeticError, OSError):
        return None


def arrival_key(charge_id: str) -> str:
    return PREFIX + charge_id


def refusal(query: PreCheckout, invoice: Invoice | None, arrivals: Iterable[Arrival], now: datetime) -> Refusal | None:
    """Return why the invoice may not be paid by who asks; `None`: it may."""
    if invoice is None or not _is_for(invoice, query):
        return "unknown"
    if any(not one.refunded for one in arrivals):
        return "paid"
    return "expired" if now > invoice.expires_at else None


def fits(payment: StarPayment, invoice: Invoice | None) -> bool:
    """Whether a payment is what this person was asked for. How often it was paid and how late does not matter."""
    return invoice is not None and _is_for(invoice, payment)


def _is_for(invoice: Invoice, asked: PreCheckout | StarPayment) -> bool:
    return (
        invoice.method == "stars"
        and asked.payload in (invoice.id, payload_of(invoice))
        and invoice.user_id == asked.user_id
        and invoice.asset == asked.currency == STARS.code
        and invoice.amount == asked.amount
    )


class Difference(Struct, frozen=True, kw_only=True):
    """Something that Telegram and the ledger do not agree on."""

    what: Literal["not_recorded", "refund_not_recorded", "amount", "not_at_telegram", "refund_not_at_telegram"]
    charge_id: str
    telegram: StarPayment | None
    """As Telegram has it; of a refund, the refund."""
    recorded: Arrival | None


def differences(told: Iterable[StarPayment], recorded: Mapping[str, Arrival]) -> list[Difference]:
    """Compare what Telegram tells of a time with what is recorded of it, by the key of the arrival."""
    payments: dict[str, StarPayment] = {}
    refunds: dict[str, StarPayment] = {}
    for one in told:
        (refunds if one.is_refunded else payments)[one.key] = one
    found = [_judged(key, payments.get(key), refunds.get(key), recorded.get(key)) for key in {**payments, **refunds}]
    found += [
        Difference(what="not_at_telegram", charge_id=key.removeprefix(PREFIX), telegram=None, recorded=one)
        for key, one in recorded.items()
        if key not in payments and key not in refunds
    ]
    return [difference for difference in found if difference]


def _judged(
    key: str, payment: StarPayment | None, refund: StarPayment | None, recorded: Arrival | None
) -> Difference | None:
    def difference(
        what: Literal["not_recorded", "refund_not_recorded", "amount", "refund_not_at_telegram"],
    ) -> Difference:
        charge_id = key.removeprefix(PREFIX)
        return Difference(what=what, charge_id=charge_id, telegram=refund or payment, recorded=recorded)

    if recorded is None:
        return difference("not_recorded")
    if any(one and one.amount != recorded.amount for one in (payment, refund)):
        return difference("amount")
    if refund and not recorded.refunded:
        return difference("refund_not_recorded")
    if recorded.refunded and not refund:
        return difference("refund_not_at_telegram")
    return None
