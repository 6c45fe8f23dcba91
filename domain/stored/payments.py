"""Money as it is stored and journaled: what arrived, and where a source was read to."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import Arrival, Invoice


class ArrivalRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that came in, and for what. `arrival.key` is its identity; later records of it say more."""

    arrival: Arrival
    invoice_id: str | None = None
    """`None`: it fits nothing, and an admin settles it."""
    settled_by: int | None = None
    """The admin who said what it is for, or that it is for nothing."""
    note: str = ""
    """What the network says beside: the sender's memo, the processor's parent payment. Attacker-controlled text."""


class EntitlementRecord(Struct, frozen=True, kw_only=True):
    """`(user_id, entitlement.key)` is its identity."""

    user_id: int
    entitlement: Entitlement


class SourceCursor(Struct, frozen=True, kw_only=True):
    """Everything up to here was read and stored."""

    source: str
    """`solana:<account>`."""
    position: str
    """A signature."""
    slot: int
    at: datetime


class InvoiceFile(Struct, frozen=True, kw_only=True):
    """An invoice with everything that is known of it."""

    invoice: Invoice
    arrivals: tuple[Arrival, ...]
    is_credited: bool
    version: int
    """Grows by one with every change."""
    until: datetime | None = None
    """Until when the person has what they were given for it, in the moment in which they are given it."""
