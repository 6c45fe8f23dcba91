"""What was paid for an invoice: when, how much, and by which transaction."""

from __future__ import annotations

from typing import Final

from domain.payments.amounts import STARS, show
from domain.payments.invoices import Arrival
from handlers.conversation.menus import View
from handlers.payments.prices import price
from services.payments.invoices import StandingInvoice
from services.plans.reminders import shown_time
from texts.markup import Html, join

SHOWN: Final = 3
"""Payments for one invoice, the latest; a subscription gets one with each month."""


def receipt(view: View, standing: StandingInvoice, zone: str) -> list[Html]:
    """Say what came, the earliest first; nothing where nothing came to stay or went back."""
    invoice, came = standing.invoice, [one for one in standing.arrivals if one.stage == "final" or one.refunded]
    if not came:
        return []
    lines = [_payment(view, one, zone) for one in came[-SHOWN:]]
    if len(came) > SHOWN:
        lines.insert(0, view.html("invoice.receipt_more", count=len(came) - SHOWN))
    return [
        view.html(
            "invoice.receipt",
            id=invoice.id,
            plan=view.label("plan", invoice.plan),
            days=invoice.days,
            price=price(invoice.price_usd),
            payments=join("\n", lines),
        )
    ]


def _payment(view: View, arrival: Arrival, zone: str) -> Html:
    return view.html(
        "invoice.receipt_back" if arrival.refunded else "invoice.receipt_payment",
        at=shown_time(arrival.at, zone),
        amount=show(arrival.amount),
        asset="⭐" if arrival.asset == STARS.code else arrival.asset,
        transaction=_transaction(arrival.key),
    )


def _transaction(key: str) -> str:
    """Return what the network calls it: without its source, and without the mint of a token."""
    source, _, name = key.partition(":")
    return name.partition(":")[0] if source == "solana" else name
