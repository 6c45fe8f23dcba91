"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.entitling import EntitlingService
from services.payments.invoices import InvoicesService
from services.payments.subscriptions import SubscriptionsService


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentServices:
    subscriptions: SubscriptionsService
    entitling: EntitlingService
    invoices: InvoicesService
    takes_stars: bool
    """Whether plans are sold for Stars; what was paid is taken in any case."""
