"""What becomes of an arrival, and who tells people of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.payments.crediting import entitlement_for, may_be_dismissed
from domain.payments.entitlements import Entitlement
from domain.payments.invoices import LATE_COUNTS, Arrival, Assessment, Invoice, assess
from domain.stored.outgoing import Envelope
from domain.stored.payments import ArrivalRecord, InvoiceFile
from managers.redis.client import Reply
from managers.redis.scripts import raw
from runtime.errors import TransientError
from services.payments import keys
from services.stores.unreadable import NOT_READABLE, Unreadable


class ContendedError(TransientError):
    """Others kept changing the same invoice."""


class IncompleteLedgerError(TransientError):
    """Redis was emptied and is not filled again yet: what was paid before is not known."""

    def __init__(self) -> None:
        super().__init__("Redis is being filled")


def checked(reply: Reply) -> Reply:
    """Pass on what a script of the ledger answers. `IncompleteLedgerError` where it refused."""
    if reply == b"incomplete":
        raise IncompleteLedgerError
    return reply


class InvoiceDocuments:
    """Invoices as Redis has them; one that cannot be read is said once."""

    def __init__(self) -> None:
        self._unreadable = Unreadable[str]("invoice")

    def read(self, invoice_id: str, document: bytes) -> Invoice:
        """Raises what is `NOT_READABLE`."""
        try:
            invoice = msgspec.json.decode(document, type=Invoice)
        except NOT_READABLE as error:
            self._unreadable.note(invoice_id, error, "Redis")
            raise
        self._unreadable.clear(invoice_id)
        return invoice

    def readable(self, documents: Iterable[tuple[str, bytes | None]]) -> list[Invoice]:
        found: list[Invoice] = []
        for invoice_id, document in documents:
            with suppress(*NOT_READABLE):
                found += [self.read(invoice_id, document)] if document else []
        return found


def decoded(document: bytes) -> ArrivalRecord:
    return msgspec.json.decode(document, type=ArrivalRecord)


def records_in(fields: Reply) -> tuple[ArrivalRecord, ...]:
    """Return what a HGETALL of arrivals answers, the earliest first."""
    found = [decoded(one) for one in fields[1::2] if isinstance(one, bytes)] if isinstance(fields, list) else []
    return tuple(sorted(found, key=lambda one: (one.arrival.at, one.arrival.key)))


def given(entitlement: Entitlement, user_id: int, record: bytes) -> dict[str, object]:
    """For the scripts that write an entitlement down."""
    document = msgspec.json.encode(entitlement)
    return {"key": entitlement.key, "document": raw(document), "user": str(user_id), "record": raw(record)}


class Rest(Struct, frozen=True):
    """What is missing of an invoice, as people are asked to send it: so much, sent alone, is for this invoice."""

    key: str
    lives_s: int


def rest_of(invoice: Invoice, stands: Assessment, now: datetime) -> Rest | None:
    """`None` where nothing more is asked for, or the address is the invoice's own."""
    if invoice.method not in ("sol", "usdc") or stands.state != "underpaid" or now > invoice.expires_at:
        return None
    lives_s = int((invoice.expires_at + LATE_COUNTS - now).total_seconds())
    return Rest(keys.amount_key(invoice.asset, stands.missing), lives_s)


class Change(Struct, frozen=True, kw_only=True):
    """What an arrival makes of the invoice that it counts for."""

    file: InvoiceFile
    """As it is then."""
    before: Assessment
    after: Assessment
    entitlement: Entitlement | None
    is_news: bool
    """Whether anything is to be written."""


def change_of(
    file: InvoiceFile, arrival: Arrival, known: Arrival | None, now: datetime, rate_usd: Decimal | None
) -> Change:
    """`known`: the arrival as it is recorded with the invoice."""
    invoice, credited, taken_back = file.invoice, file.is_credited, file.is_taken_back
    arrivals = (*(one for one in file.arrivals if one.key != arrival.key), arrival)
    before, after = (
        assess(invoice, some, now, credited=credited, taken_back=taken_back, rate_usd=rate_usd)
        for some in (file.arrivals, arrivals)
    )
    is_news = arrival != known or (before.is_due and not credited)
    if is_news and arrival.ruling == "dismissed":
        is_news = may_be_dismissed(invoice, after, credited=credited and not taken_back)
    given = entitlement_for(invoice, arrival, known, after, now, credited=credited, taken_back=taken_back)
    then = replace(file, arrivals=arrivals, is_credited=after.is_due, version=file.version + 1)
    return Change(file=then, before=before, after=after, entitlement=given, is_news=is_news)


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
