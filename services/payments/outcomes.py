"""What becomes of an arrival, and who tells people of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import Assessment
from domain.stored.outgoing import Envelope
from domain.stored.payments import InvoiceFile
from runtime.errors import TransientError


class ContendedError(TransientError):
    """Others kept changing the same invoice."""


class IncompleteLedgerError(TransientError):
    """Redis was emptied and is not filled again yet: what was paid before is not known."""

    def __init__(self) -> None:
        super().__init__("Redis is being filled")


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of an arrival."""

    file: InvoiceFile | None
    """`None`: it counts for no invoice."""
    assessment: Assessment | None
    is_new: bool
    """It was not known before, or less was known of it."""
    credited: bool
    """The person was given something by it, just now."""


class Messages(Protocol):
    """What people are told; `services.payments.notices` in the running bot."""

    def about(
        self, file: InvoiceFile, before: Assessment, after: Assessment, entitlement: Entitlement | None
    ) -> Sequence[Envelope]: ...
