"""What PostgreSQL is asked about money by admins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, LiteralString

import msgspec

from domain.payments.invoices import Invoice
from domain.stored.payments import ArrivalRecord, InvoiceFile
from managers.storage.postgres import Row

# $1: now. All lists take the same values, so it is named here, too.
_UNMATCHED: Final[LiteralString] = """
    FROM arrivals a WHERE a.invoice_id IS NULL AND a.stage = 'final' AND NOT a.refunded
        AND a.document #> '{arrival,ruling}' IS NULL AND $1::timestamptz IS NOT NULL
"""
# What `domain.payments.invoices.assess` says of an invoice: money of another coin, too late, too little, too much, or
# after what was given for it was taken back.
_OF_INVOICES: Final[LiteralString] = """
    FROM arrivals a
    JOIN invoices i ON i.id = a.invoice_id AND i.method <> 'stars'
    LEFT JOIN entitlements given ON given.user_id = i.user_id AND given.key = 'invoice:' || i.id
    LEFT JOIN entitlements back ON back.user_id = i.user_id AND back.key = 'refund:invoice:' || i.id
    WHERE a.stage = 'final' AND NOT a.refunded AND a.document #> '{arrival,ruling}' IS NULL AND (
        a.asset <> i.document ->> 'asset'
        OR back.key IS NOT NULL
        OR given.key IS NULL AND i.expires_at < $1
        OR given.key IS NOT NULL AND (
            SELECT coalesce(sum(b.amount) FILTER (WHERE b.document #> '{arrival,ruling}' IS NULL), 0)
                > greatest(0, (i.document ->> 'amount')::numeric
                    - coalesce(sum(b.amount) FILTER (WHERE b.document #>> '{arrival,ruling}' = 'accepted'), 0))
                + coalesce(0.01 / (i.document ->> 'rate_usd')::numeric, 0)
            FROM arrivals b
            WHERE b.invoice_id = i.id AND b.asset = i.document ->> 'asset' AND b.stage = 'final' AND NOT b.refunded
        )
    )
"""
_PAGE: Final[LiteralString] = " ORDER BY a.arrived_at DESC, a.key OFFSET $2 LIMIT $3"
_COUNT: Final[LiteralString] = "SELECT count(*) AS count"
_DOCUMENTS: Final[LiteralString] = "SELECT a.document::text AS document"

COUNT_UNMATCHED: Final[LiteralString] = _COUNT + _UNMATCHED
UNMATCHED: Final[LiteralString] = _DOCUMENTS + _UNMATCHED + _PAGE
COUNT_OF_INVOICES: Final[LiteralString] = _COUNT + _OF_INVOICES
OF_INVOICES: Final[LiteralString] = _DOCUMENTS + _OF_INVOICES + _PAGE

ARRIVAL: Final[LiteralString] = "SELECT document::text AS document FROM arrivals WHERE key = $1"
ARRIVALS_OF: Final[LiteralString] = """
    SELECT document::text AS document FROM arrivals WHERE invoice_id = $1 ORDER BY arrived_at, key
"""
BY_PREFIX: Final[LiteralString] = """
    SELECT document::text AS document FROM arrivals WHERE starts_with(key, $1) ORDER BY key LIMIT $2
"""
OF_PERSON: Final[LiteralString] = "SELECT id FROM invoices WHERE user_id = $1 ORDER BY created_at DESC LIMIT $2"
BY_NAME: Final[LiteralString] = """
    SELECT user_id, name FROM subscribers WHERE strpos(lower(name), lower($1)) > 0
    ORDER BY length(name), user_id LIMIT $2
"""
NAME: Final[LiteralString] = "SELECT name FROM subscribers WHERE user_id = $1"
INVOICE: Final[LiteralString] = """
    SELECT i.document::text AS document, given.key IS NOT NULL AS is_credited, back.key IS NOT NULL AS is_taken_back
    FROM invoices i
    LEFT JOIN entitlements given ON given.user_id = i.user_id AND given.key = 'invoice:' || i.id
    LEFT JOIN entitlements back ON back.user_id = i.user_id AND back.key = 'refund:invoice:' || i.id
    WHERE i.id = $1
"""


def stored_file(row: Row, records: Iterable[ArrivalRecord]) -> InvoiceFile:
    """Return an invoice as PostgreSQL knows it; nothing can be written to it."""
    invoice, records = msgspec.json.decode(row["document"], type=Invoice), tuple(records)
    is_paid = invoice.method == "stars" and any(not one.arrival.refunded for one in records)
    return InvoiceFile(
        invoice=invoice,
        arrivals=tuple(one.arrival for one in records),
        is_credited=row["is_credited"] or is_paid,
        version=0,
        records=records,
        is_taken_back=row["is_taken_back"],
    )
