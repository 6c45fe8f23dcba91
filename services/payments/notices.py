"""What people are told about their invoices: a receipt, a word at every other change, and one when it ends unpaid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import Arrival, Assessment, Invoice, State
from domain.stored.outgoing import Envelope
from domain.stored.payments import InvoiceFile
from services.schedule.due_times import INVOICE_END, Due, subject_of

RECEIPT: Final = "receipt"
PAYMENT: Final = "payment"
"""Kinds of message."""

ENDS_AFTER: Final = timedelta(seconds=30)
"""What was sent in time is seen by then."""

Settled = Literal["dismissed", "returned", "nothing"]
"""The invoice is paid, and what else came gives nothing more, or was sent back; or nothing was given for what came."""

_SILENT: Final = ("open", "expired")
"""States that nothing that arrives leads to."""


class PaymentNotice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Payload of both kinds: an invoice as it stood in that moment."""

    invoice_id: str
    state: State
    plan: str
    days: int
    asset: str
    amount: Decimal
    received: Decimal
    pending: Decimal = Decimal(0)
    missing: Decimal = Decimal(0)
    excess: Decimal = Decimal(0)
    needs_admin: bool = False
    expires_at: datetime
    address: str = ""
    memo: str = ""
    method: str = ""
    until: datetime | None = None
    """Of a receipt: until when the plan runs now."""
    settled: Settled | None = None
    """What became of money that an admin had to look at."""


class PaymentNotices:
    """`services.payments.ledger.Messages` of the running bot."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def about(
        self, file: InvoiceFile, before: Assessment, after: Assessment, entitlement: Entitlement | None
    ) -> Sequence[Envelope]:
        if entitlement is not None and file.invoice.method == "stars":
            return [self._of_charge(file, after, entitlement)]
        if entitlement is not None:
            kind, step = (RECEIPT, "paid") if entitlement.days > 0 else (PAYMENT, entitlement.key)
            return [self._envelope(kind, step, file, after)]
        if before.needs_admin and not after.needs_admin and after.state != "refunded":
            settled = settled_as(file.invoice, file.arrivals, after)
            return [self._envelope(PAYMENT, f"settled-{file.version}", file, after, settled)]
        amounts = (after.received, after.pending)
        if (before.state, before.received, before.pending) != (after.state, *amounts) and after.state not in _SILENT:
            step = "-".join((after.state, *(f"{one.normalize():f}" for one in amounts)))
            return [self._envelope(PAYMENT, step, file, after)]
        if after.needs_admin and not before.needs_admin:
            return [self._envelope(PAYMENT, "admin", file, after)]
        return []

    def ended(self, file: InvoiceFile, stands: Assessment) -> Envelope | None:
        """What is said at the end of an invoice: once, and nothing where a word about its state has said it."""
        if stands.state not in {"expired", "underpaid"}:
            return None
        return self._envelope(PAYMENT, "ended", file, stands)

    def _of_charge(self, file: InvoiceFile, after: Assessment, entitlement: Entitlement) -> Envelope:
        """Each charge of an invoice in Stars is told by itself."""
        kind, state = (RECEIPT, "paid") if entitlement.days > 0 else (PAYMENT, "refunded")
        return self._envelope(kind, entitlement.key, file, replace(after, state=state, received=file.invoice.amount))

    def _envelope(
        self, kind: str, step: str, file: InvoiceFile, stands: Assessment, settled: Settled | None = None
    ) -> Envelope:
        invoice = file.invoice
        notice = notice_of(invoice, stands, until=file.until, settled=settled)
        return Envelope.of(
            kind, notice, user_id=invoice.user_id, subject=invoice.id, step=step, decided_at=self._clock()
        )


def settled_as(invoice: Invoice, arrivals: Iterable[Arrival], stands: Assessment) -> Settled | None:
    """Return what an admin made of what came; `None`: the state itself says it, or no admin has said anything."""
    arrivals = tuple(arrivals)
    if invoice.method == "stars" or stands.needs_admin or stands.state == "refunded":
        return None
    is_ruled = any(one.ruling is not None and not one.refunded for one in arrivals)
    if not stands.is_due:
        return "nothing" if is_ruled and stands.state in _SILENT else None
    if any(one.refunded for one in arrivals):
        return "returned"
    is_foreign = any(one.asset != invoice.asset for one in arrivals)
    is_dismissed = any(one.ruling == "dismissed" for one in arrivals)
    return "dismissed" if is_dismissed or (is_foreign and stands.received >= invoice.amount) else None


def notice_of(
    invoice: Invoice, stands: Assessment, *, until: datetime | None = None, settled: Settled | None = None
) -> PaymentNotice:
    return PaymentNotice(
        invoice_id=invoice.id,
        state=stands.state,
        plan=invoice.plan,
        days=invoice.days,
        asset=invoice.asset,
        amount=invoice.amount,
        received=stands.received,
        pending=stands.pending,
        missing=stands.missing,
        excess=stands.excess,
        needs_admin=stands.needs_admin,
        expires_at=invoice.expires_at,
        address=invoice.address,
        memo=invoice.memo,
        method=invoice.method,
        until=until,
        settled=settled,
    )


def end_of(invoice: Invoice) -> Due:
    """Return when it is looked at whether something came."""
    return Due(job=INVOICE_END, subject=subject_of(invoice.user_id, invoice.id), at=invoice.expires_at + ENDS_AFTER)
