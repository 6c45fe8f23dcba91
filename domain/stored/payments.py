"""Money as it is stored and journaled: what arrived, and where a source was read to."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from domain.payments.crediting import is_more
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

    @property
    def is_closed(self) -> bool:
        """Whether it fits no invoice and nobody has to look at it any more."""
        return self.invoice_id is None and (self.arrival.refunded or self.arrival.ruling == "dismissed")

    def after(self, known: ArrivalRecord | None) -> ArrivalRecord:
        """Return what stands when this is said of an arrival of which something is known.

        What an admin said stays, unless more money came under the name of what counts for nothing; the first word of
        an admin counts, but that something counts for nothing can be taken back.
        """
        if known is None:
            return self
        was = known.arrival
        came = self.arrival if is_more(self.arrival, was) else was
        ruling = was.ruling if was.ruling == "accepted" or came.amount <= was.amount else None
        if ruling != "accepted" and not came.refunded:
            ruling = self.arrival.ruling or ruling
        arrival = replace(came, ruling=ruling)
        if arrival == was and self.invoice_id == known.invoice_id:
            is_ruled = known.settled_by is not None or self.settled_by is not None
            return known if is_ruled else replace(known, note=self.note or known.note)
        keeps = self.settled_by is None and ruling is not None
        return ArrivalRecord(
            arrival=arrival,
            invoice_id=self.invoice_id,
            settled_by=known.settled_by if keeps else self.settled_by,
            note=known.note if keeps else self.note or known.note,
        )


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
    records: tuple[ArrivalRecord, ...] = ()
    """The arrivals with what was said of them."""
    is_taken_back: bool = False
    """What was given was taken back with a refund."""
    until: datetime | None = None
    """Until when the person has what they were given for it, in the moment in which they are given it."""
