"""Money when a store loses its data: invoices, what arrived, what people were given, and how far sources were read.

The order in which Redis gets them back matters to nobody: the ledger refuses whatever is reported while the epoch is
missing, and sources ask again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec

from domain.payments.invoices import LATE_COUNTS, Invoice, assess
from domain.stored.payments import ArrivalRecord, EntitlementRecord, SourceCursor
from managers.redis.client import Command, RedisManager
from managers.storage.postgres import PostgresManager
from runtime.clock import milliseconds
from runtime.waiting import Progress
from services.payments import keys
from services.payments.ledger import NOTHING
from services.payments.notices import end_of
from services.payments.outcomes import rest_of
from services.stores.journal_rows import Kind

_BATCH: Final = 500
_KEPT: Final = timedelta(seconds=keys.KEPT_S)

# A subscription goes on for longer than an invoice is kept that nothing comes for.
_INVOICES: Final[LiteralString] = """
    SELECT i.document::text AS document, e.key IS NOT NULL AS is_credited,
        ARRAY(SELECT a.document::text FROM arrivals a WHERE a.invoice_id = i.id) AS arrivals
    FROM invoices i LEFT JOIN entitlements e ON e.user_id = i.user_id AND e.key = 'invoice:' || i.id
    WHERE i.created_at > $1 OR EXISTS (SELECT 1 FROM arrivals a WHERE a.invoice_id = i.id AND a.recorded_at > $1)
"""
_ARRIVALS: Final[LiteralString] = "SELECT document::text AS document FROM arrivals WHERE recorded_at > $1"
_ENTITLEMENTS: Final[LiteralString] = "SELECT document::text AS document FROM entitlements WHERE given_at > $1"
_CURSORS: Final[LiteralString] = "SELECT document::text AS document FROM payment_cursors WHERE moved_at > $1"
_EVER: Final = datetime.fromisoformat("1970-01-02T00:00:00+00:00")


class PaymentsRefill:
    def __init__(self, *, redis: RedisManager, postgres: PostgresManager, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._postgres = postgres
        self._clock = clock

    async def put_back(self, progress: Progress) -> int:
        """Give an emptied Redis what PostgreSQL knows; return how many invoices. May be repeated."""
        now = self._clock()
        await self._each(_ENTITLEMENTS, _EVER, progress, _given)
        await self._each(_ARRIVALS, now - _KEPT, progress, _arrived)
        await self._each(_CURSORS, _EVER, progress, _read_to)
        count = 0
        async for rows in self._postgres.stream(_INVOICES, now - _KEPT, batch=_BATCH):
            progress()
            commands: list[Command] = []
            for row in rows:
                commands += _asked_for(row["document"], row["arrivals"], now, is_credited=row["is_credited"])
            await self._redis.transaction(commands)
            count += len(rows)
        return count

    async def _each(
        self, statement: LiteralString, since: datetime, progress: Progress, to_commands: Callable[[str], list[Command]]
    ) -> None:
        async for rows in self._postgres.stream(statement, since, batch=_BATCH):
            progress()
            await self._redis.transaction([command for row in rows for command in to_commands(row["document"])])


async def stored_payments(redis: RedisManager) -> AsyncIterator[list[tuple[Kind, bytes]]]:
    """Yield what Redis knows of money, as the journal would say it, for a PostgreSQL that was emptied."""
    async for names in redis.scan(keys.INVOICE.of_any(), count=_BATCH):
        listed = [name for name in names if name.endswith(_SUFFIX)]
        documents = await redis.mget([name for name in names if name.count(":") == 1])
        yield [("invoice", document) for document in documents if document is not None]
        for name in listed:
            yield [("arrival", document) for document in (await redis.hgetall(name)).values()]
    for name in (keys.UNMATCHED.of(), keys.CLOSED.of()):
        yield [("arrival", document) for document in (await redis.hgetall(name)).values()]
    async for names in redis.scan(keys.ENTITLEMENTS.of_any(), count=_BATCH):
        for name in names:
            (user_id,) = keys.ENTITLEMENTS.parts_of(name)
            given = (await redis.hgetall(name)).values()
            yield [("entitlement", b'{"user_id":%d,"entitlement":%b}' % (int(user_id), one)) for one in given]
    yield [("payment_cursor", document) for document in (await redis.hgetall(keys.PAYMENT_CURSORS.of())).values()]


_SUFFIX: Final = keys.ARRIVALS.pattern.rpartition("{}")[2]


def _given(document: str) -> list[Command]:
    record = msgspec.json.decode(document, type=EntitlementRecord)
    given = msgspec.json.encode(record.entitlement)
    return [
        ("HSET", keys.ENTITLEMENTS.of(record.user_id), record.entitlement.key, given),
        ("SADD", keys.ENTITLED.of(), record.user_id),
    ]


def _arrived(document: str) -> list[Command]:
    record = msgspec.json.decode(document, type=ArrivalRecord)
    key, said = record.arrival.key, msgspec.json.encode(record)
    if record.invoice_id is None:
        listed, other = keys.UNMATCHED.of(), keys.CLOSED.of()
        if record.is_closed:
            listed, other = other, listed
        return [
            ("SET", keys.RECEIPT.of(key), NOTHING, "EX", keys.KEPT_S),
            ("HSET", listed, key, said),
            ("HDEL", other, key),
        ]
    listed, version = keys.ARRIVALS.of(record.invoice_id), keys.INVOICE_VERSION.of(record.invoice_id)
    return [
        ("SET", keys.RECEIPT.of(key), record.invoice_id, "EX", keys.KEPT_S),
        ("HDEL", keys.UNMATCHED.of(), key),
        ("HDEL", keys.CLOSED.of(), key),
        ("HSET", listed, key, said),
        ("EXPIRE", listed, keys.KEPT_S),
        ("INCR", version),
        ("EXPIRE", version, keys.KEPT_S),
    ]


def _read_to(document: str) -> list[Command]:
    cursor = msgspec.json.decode(document, type=SourceCursor)
    return [("HSET", keys.PAYMENT_CURSORS.of(), cursor.source, msgspec.json.encode(cursor))]


def _asked_for(document: str, arrivals: Sequence[str], now: datetime, *, is_credited: bool) -> list[Command]:
    invoice = msgspec.json.decode(document, type=Invoice)
    watched_until = invoice.expires_at + LATE_COUNTS
    of_person = keys.INVOICES_OF.of(invoice.user_id)
    commands: list[Command] = [
        ("SET", keys.INVOICE.of(invoice.id), msgspec.json.encode(invoice), "EX", keys.KEPT_S),
        ("ZADD", of_person, milliseconds(invoice.created_at), invoice.id),
        ("EXPIRE", of_person, keys.KEPT_S),
    ]
    for what, value in (("reference", invoice.reference), ("payment", invoice.payment_id)):
        if value:
            commands.append(("SET", keys.INVOICE_BY.of(what, value), invoice.id, "EX", keys.KEPT_S))
    if now < watched_until:
        if invoice.method in ("sol", "usdc"):
            left_s = max(1, int((watched_until - now).total_seconds()))
            commands.append(("SET", keys.amount_key(invoice.asset, invoice.amount), invoice.id, "EX", left_s))
            came = [msgspec.json.decode(one, type=ArrivalRecord).arrival for one in arrivals]
            rest = rest_of(invoice, assess(invoice, came, now, credited=is_credited), now)
            if rest:
                commands.append(("SET", rest.key, invoice.id, "NX", "EX", rest.lives_s))
        if not is_credited:
            commands.append(("ZADD", keys.OPEN_INVOICES.of(), milliseconds(watched_until), invoice.id))
            commands += _ends(invoice)
    return commands


def _ends(invoice: Invoice) -> list[Command]:
    """Its end is told once, also where that was done before."""
    end = end_of(invoice)
    return [("ZADD", end.place.key, "NX", milliseconds(end.at), end.subject)] if invoice.method != "stars" else []
