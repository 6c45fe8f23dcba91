"""What the journal's entries about money become in PostgreSQL. Every statement executed again changes nothing.

The unique keys of the tables are the second barrier: whatever happened to Redis, an arrival is one row and an
entitlement is one row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

import msgspec

from domain.payments.invoices import Invoice
from domain.stored.payments import ArrivalRecord, EntitlementRecord, SourceCursor

Write = tuple[LiteralString, tuple[object, ...]]

PUT_INVOICE: Final[LiteralString] = """
    INSERT INTO invoices (id, user_id, method, created_at, expires_at, document)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb) ON CONFLICT (id) DO NOTHING
"""
# A later record of an arrival says more: it goes on from seen to final, is given to an invoice, is taken back.
PUT_ARRIVAL: Final[LiteralString] = """
    INSERT INTO arrivals (key, invoice_id, asset, amount, arrived_at, stage, refunded, recorded_at, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)
    ON CONFLICT (key) DO UPDATE SET
        invoice_id = excluded.invoice_id, amount = excluded.amount, stage = excluded.stage,
        refunded = excluded.refunded, recorded_at = excluded.recorded_at, document = excluded.document
    WHERE arrivals.recorded_at <= excluded.recorded_at
        AND (arrivals.invoice_id IS NULL OR arrivals.invoice_id = excluded.invoice_id)
"""
PUT_ENTITLEMENT: Final[LiteralString] = """
    INSERT INTO entitlements (user_id, key, plan, days, price_usd, given_at, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb) ON CONFLICT (user_id, key) DO NOTHING
"""
PUT_CURSOR: Final[LiteralString] = """
    INSERT INTO payment_cursors (source, slot, document, moved_at) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (source) DO UPDATE SET
        slot = excluded.slot, document = excluded.document, moved_at = excluded.moved_at
    WHERE payment_cursors.slot <= excluded.slot
"""


def invoice_writes(payload: bytes, text: str) -> list[Write]:
    """`text`: the payload as PostgreSQL can store it."""
    one = msgspec.json.decode(payload, type=Invoice)
    return [(PUT_INVOICE, (one.id, one.user_id, one.method, one.created_at, one.expires_at, text))]


def arrival_writes(payload: bytes, text: str, added_at: datetime) -> list[Write]:
    record = msgspec.json.decode(payload, type=ArrivalRecord)
    came = record.arrival
    row = (came.key, record.invoice_id, came.asset, came.amount, came.at, came.stage, came.refunded, added_at, text)
    return [(PUT_ARRIVAL, row)]


def entitlement_writes(payload: bytes, text: str) -> list[Write]:
    record = msgspec.json.decode(payload, type=EntitlementRecord)
    given = record.entitlement
    row = (record.user_id, given.key, given.plan, given.days, given.price_usd, given.at, text)
    return [(PUT_ENTITLEMENT, row)]


def cursor_writes(payload: bytes, text: str) -> list[Write]:
    cursor = msgspec.json.decode(payload, type=SourceCursor)
    return [(PUT_CURSOR, (cursor.source, cursor.slot, text, cursor.at))]
