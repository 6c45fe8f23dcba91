"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.invoices import InvoicesService
from services.payments.settling.search import PaymentSearch
from services.payments.settling.settling import Settling


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentServices:
    invoices: InvoicesService
    takes_stars: bool
    """Whether plans are sold for Stars; what was paid is taken in any case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SettlingServices:
    """What admins need."""

    search: PaymentSearch
    settling: Settling
