"""What a person is given for what arrived, and under which key: with one key nobody is given anything twice."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from domain.payments.entitlements import Entitlement, refund_key
from domain.payments.invoices import STAGES, Arrival, Assessment, Invoice


def invoice_key(invoice: Invoice) -> str:
    """An invoice is credited once, whatever comes for it; one in Stars once for each charge, by that one's key."""
    return f"invoice:{invoice.id}"


def entitlement_for(
    invoice: Invoice,
    arrival: Arrival,
    known: Arrival | None,
    after: Assessment,
    now: datetime,
    *,
    credited: bool,
    taken_back: bool,
) -> Entitlement | None:
    """Return what an arrival gives, or takes back.

    `known`: the same arrival as it was recorded before; `credited`, `taken_back`: the invoice was. All of it as it was
    with the version of the invoice that is written to.
    """
    if invoice.method == "stars":
        return _for_charge(invoice, arrival, known, now)
    if not credited:
        return _given(invoice, invoice_key(invoice), now) if after.is_due else None
    return None if after.is_due or taken_back else _back(invoice, invoice_key(invoice), now)


def may_be_dismissed(invoice: Invoice, after: Assessment, *, credited: bool) -> bool:
    """Whether an arrival may count for nothing. `after`: the invoice without it; `credited`: something stands given."""
    if invoice.method == "stars":
        return False  # each charge has given its days
    return not credited or (after.is_due and after.missing == 0)


def _for_charge(invoice: Invoice, arrival: Arrival, known: Arrival | None, now: datetime) -> Entitlement | None:
    if not arrival.refunded:
        return _given(invoice, arrival.key, now) if known is None else None
    if known is None or known.refunded:
        return None  # nothing was given for it
    return _back(invoice, arrival.key, now)


def _back(invoice: Invoice, key: str, now: datetime) -> Entitlement:
    return Entitlement(key=refund_key(key), plan=invoice.plan, days=-invoice.days, at=now)


def _given(invoice: Invoice, key: str, now: datetime) -> Entitlement:
    return Entitlement(key=key, plan=invoice.plan, days=invoice.days, price_usd=invoice.price_usd, at=now)


def is_more(arrival: Arrival, known: Arrival) -> bool:
    """Whether a report says more of an arrival than is known: it goes on, grows, or is taken back."""
    return _known_of(arrival) > _known_of(known)


def _known_of(one: Arrival) -> tuple[bool, int, Decimal]:
    return one.refunded, STAGES.index(one.stage), one.amount
