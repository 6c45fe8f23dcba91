"""The ledger: what was asked for, what arrived, and what each person was given for it. Each once.

Whatever a source reports comes through `arrived`. One script writes down the arrival, the entitlement that it pays for,
their journal entries and the messages about it, all of it or nothing; its unique keys make a repetition harmless. What
was written in between by somebody else sends it back to be looked at anew.

Nothing here goes on without Redis: what cannot be written down is not credited, and its source asks again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from domain.payments.crediting import entitlement_for, invoice_key, is_more
from domain.payments.entitlements import Entitlement, standing_of
from domain.payments.invoices import LATE_COUNTS, Arrival, Invoice, assess
from domain.stored.outgoing import Envelope
from domain.stored.payments import ArrivalRecord, EntitlementRecord, InvoiceFile, SourceCursor
from domain.subscribers.partitions import partition_of
from managers.redis.client import Command, RedisManager, Reply
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from runtime.fault_points import fault_point
from services.payments import keys
from services.payments.notices import end_of
from services.payments.outcomes import ContendedError, IncompleteLedgerError, Messages, Outcome
from services.stores import keys as stores_keys
from services.stores.journal import Journal, entry

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NOTHING: Final = "-"
"""An arrival counts for no invoice."""

_OPEN: Final = Script.beside(__file__, "open_invoice.lua")
_RECORD: Final = Script.beside(__file__, "record.lua")
_ENTITLE: Final = Script.beside(__file__, "entitle.lua")
_SHOWN: Final = Script.beside(__file__, "shown.lua")
_ATTEMPTS: Final = 20
_WAIT_S: Final = 0.002
_AT_ONCE: Final = 500


class Ledger:
    def __init__(
        self,
        redis: RedisManager,
        journal: Journal,
        *,
        messages: Messages,
        clock: Callable[[], datetime],
        needs_epoch: bool = False,
    ) -> None:
        """`needs_epoch`: Redis may be emptied and filled again, and nothing is written before it is complete."""
        self._needs_epoch = needs_epoch
        self._redis = redis
        self._journal = journal
        self._messages = messages
        self.credited: Callable[[], None] = lambda: None
        """Told that somebody was just given something."""
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """So that those who share a process do not keep each other from writing."""

    # invoices

    async def open(self, invoice: Invoice, *, told_by_amount: bool) -> bool:
        """Store an invoice; `False` when its amount or reference tells another one that may still be paid."""
        document = msgspec.json.encode(invoice)
        watched_until = invoice.expires_at + LATE_COUNTS
        watched_s = int((watched_until - invoice.created_at).total_seconds())
        told: list[tuple[str, int]] = []
        if invoice.reference:
            told.append((keys.INVOICE_BY.of("reference", invoice.reference), keys.KEPT_S))
        if invoice.payment_id:
            told.append((keys.INVOICE_BY.of("payment", invoice.payment_id), keys.KEPT_S))
        if told_by_amount:
            told.append((amount_key(invoice.asset, invoice.amount), watched_s))
        names = [keys.INVOICE.of(invoice.id), keys.OPEN_INVOICES.of(), keys.INVOICES_OF.of(invoice.user_id)]
        ends = end_of(invoice)
        names += [stores_keys.JOURNAL.of(), stores_keys.EPOCH.of(), ends.place.key, *(name for name, _ in told)]
        args = packed(
            id=invoice.id,
            invoice=raw(document),
            created_ms=milliseconds(invoice.created_at),
            watched_until_ms=milliseconds(watched_until),
            lives_s=keys.KEPT_S,
            told_s=[lives_s for _, lives_s in told],
            ends={"subject": ends.subject, "at_ms": milliseconds(ends.at)} if invoice.method != "stars" else None,
            needs_epoch=self._needs_epoch,
        )
        if _checked(await self._redis.script(_OPEN, names, args)) == 0:
            return False
        self._journal.tail.note([entry("invoice", document)])
        log.info("invoice_opened", invoice=invoice.id, user_id=invoice.user_id, method=invoice.method)
        return True

    async def find(self, invoice_id: str) -> InvoiceFile | None:
        """Return an invoice with what is known of it. Raises `RedisUnavailableError`."""
        reads: list[Command] = [("GETEX", keys.INVOICE.of(invoice_id), "EX", keys.KEPT_S)]
        reads += [("HGETALL", keys.ARRIVALS.of(invoice_id)), ("GET", keys.INVOICE_VERSION.of(invoice_id))]
        document, fields, version = await self._redis.transaction(reads)
        if not isinstance(document, bytes):
            return None
        invoice = msgspec.json.decode(document, type=Invoice)
        records = [_decoded_arrival(record) for record in _values(fields)]
        given = await self._redis.hget(keys.ENTITLEMENTS.of(invoice.user_id), invoice_key(invoice))
        paid_by_charge = invoice.method == "stars" and any(not record.arrival.refunded for record in records)
        return InvoiceFile(
            invoice=invoice,
            arrivals=tuple(record.arrival for record in records),
            is_credited=given is not None or paid_by_charge,
            version=int(version) if isinstance(version, bytes) else 0,
        )

    async def told_by(self, what: str, value: str) -> str | None:
        """Return the id of the invoice that a `reference` or a `payment` tells."""
        found = await self._redis.get(keys.INVOICE_BY.of(what, value))
        return found.decode() if found else None

    async def told_by_any(self, references: Sequence[str]) -> list[str]:
        """Return the ids of the invoices that any of these references tells, each once."""
        if not references:
            return []
        found = await self._redis.mget([keys.INVOICE_BY.of("reference", one) for one in references])
        return list(dict.fromkeys(one.decode() for one in found if one))

    async def told_by_amount(self, asset: str, amount: Decimal) -> str | None:
        found = await self._redis.get(amount_key(asset, amount))
        return found.decode() if found else None

    async def open_ids(self) -> list[str]:
        """Return the invoices that may still be paid; those whose time has passed leave."""
        now_ms = milliseconds(self._clock())
        watched: list[Command] = [("ZREMRANGEBYSCORE", keys.OPEN_INVOICES.of(), "-inf", f"({now_ms}")]
        watched.append(("ZRANGE", keys.OPEN_INVOICES.of(), 0, -1))
        _, found = await self._redis.transaction(watched)
        return [one.decode() for one in found if isinstance(one, bytes)] if isinstance(found, list) else []

    async def open_invoices(self) -> list[Invoice]:
        """Return what may still be paid."""
        ids = await self.open_ids()
        found: list[Invoice] = []
        for start in range(0, len(ids), _AT_ONCE):
            documents = await self._redis.mget([keys.INVOICE.of(one) for one in ids[start : start + _AT_ONCE]])
            found += [msgspec.json.decode(document, type=Invoice) for document in documents if document]
        return found

    async def counts_for(self, arrival_key: str) -> str | None:
        """Return the id of the invoice that an arrival counts for; `None`: for none yet, or it is not known."""
        found = await self._redis.get(keys.RECEIPT.of(arrival_key))
        return None if found is None or found.decode() == NOTHING else found.decode()

    async def record_of(self, arrival_key: str) -> ArrivalRecord | None:
        """Return what is recorded of an arrival, whatever it counts for."""
        counts_for = await self._redis.get(keys.RECEIPT.of(arrival_key))
        listed = keys.ARRIVALS.of(counts_for.decode()) if counts_for and counts_for != b"-" else keys.UNMATCHED.of()
        found = await self._redis.hget(listed, arrival_key)
        return None if found is None else _decoded_arrival(found)

    async def of_person(self, user_id: int, count: int = 20) -> list[InvoiceFile]:
        """Return the person's invoices, the latest first."""
        (found,) = await self._redis.transaction([("ZREVRANGE", keys.INVOICES_OF.of(user_id), 0, count - 1)])
        ids = [one.decode() for one in found if isinstance(one, bytes)] if isinstance(found, list) else []
        files = [await self.find(one) for one in ids]
        return [file for file in files if file]

    # what arrives

    async def arrived(
        self,
        arrival: Arrival,
        invoice_id: str | None,
        *,
        rate_usd: Decimal | None = None,
        note: str = "",
        settled_by: int | None = None,
    ) -> Outcome:
        """Write down what came for an invoice, or for none, and credit what that pays. May be repeated.

        `rate_usd`: what the coin costs now; without it nothing that is late is credited by itself. `settled_by`: an
        admin says so, and it is credited whatever it is worth.
        """
        async with self._locks.setdefault(invoice_id or arrival.key, asyncio.Lock()):
            for attempt in range(_ATTEMPTS):
                file = await self.find(invoice_id) if invoice_id else None
                if invoice_id and file is None:
                    log.error("invoice_unknown", invoice=invoice_id, arrival=arrival.key)
                    invoice_id = None
                record = ArrivalRecord(arrival=arrival, invoice_id=invoice_id, settled_by=settled_by, note=note)
                outcome = await self._record(record, file, rate_usd)
                if outcome is not None:
                    return outcome
                await asyncio.sleep(random.uniform(0, _WAIT_S * (attempt + 1)))  # noqa: S311 - jitter, not a secret
        raise ContendedError(f"invoice {invoice_id} is changed again and again")

    async def _record(
        self, record: ArrivalRecord, file: InvoiceFile | None, rate_usd: Decimal | None
    ) -> Outcome | None:
        """Return what became of it; `None`: somebody else wrote meanwhile."""
        arrival, now = record.arrival, self._clock()
        if file is None:
            listed = await self.record_of(arrival.key)
            if listed and record.settled_by is None and (listed == record or is_more(listed.arrival, arrival)):
                return Outcome(file=None, assessment=None, is_new=False, credited=False)
            reply = await self._write(record, None, [], is_done=False, version=None)
            return Outcome(file=None, assessment=None, is_new=reply == "recorded", credited=False)
        invoice = file.invoice
        before = assess(invoice, file.arrivals, now, credited=file.is_credited, rate_usd=rate_usd)
        known = next((one for one in file.arrivals if one.key == arrival.key), None)
        settled = record.settled_by is not None
        says_more = known is None or is_more(arrival, known) or (settled and not file.is_credited)
        if not says_more and (file.is_credited or not before.is_due):
            return Outcome(file=file, assessment=before, is_new=False, credited=False)
        arrival = arrival if known is None or is_more(arrival, known) else known
        arrivals = (*(one for one in file.arrivals if one.key != arrival.key), arrival)
        after = assess(invoice, arrivals, now, credited=file.is_credited or settled, rate_usd=rate_usd)
        entitlement = entitlement_for(invoice, arrival, known, after, now, credited=file.is_credited)
        until = await self._until(invoice.user_id, entitlement) if entitlement else None
        seen = msgspec.structs.replace(
            file, arrivals=arrivals, is_credited=after.is_due, version=file.version + 1, until=until
        )
        messages = self._messages.about(seen, before, after, entitlement)
        record = msgspec.structs.replace(record, arrival=arrival)
        reply = await self._write(record, entitlement, messages, is_done=after.is_due, version=file)
        if reply == "changed":
            return None
        if reply.startswith("taken:"):
            log.warning("arrival_counts_elsewhere", arrival=arrival.key, invoice=invoice.id, counts_for=reply[6:])
            return Outcome(file=file, assessment=before, is_new=False, credited=False)
        if credited := reply == "credited":
            self.credited()
        log.info("arrival_recorded", arrival=arrival.key, invoice=invoice.id, state=after.state, credited=credited)
        return Outcome(file=seen, assessment=after, is_new=True, credited=credited)

    async def _until(self, user_id: int, entitlement: Entitlement) -> datetime | None:
        return standing_of([*await self.entitlements(user_id), entitlement]).until

    async def _write(
        self,
        record: ArrivalRecord,
        entitlement: Entitlement | None,
        messages: Sequence[Envelope],
        *,
        is_done: bool,
        version: InvoiceFile | None,
    ) -> str:
        invoice = version.invoice if version else None
        counts_for = invoice.id if invoice else NOTHING
        arrivals = keys.ARRIVALS.of(invoice.id) if invoice else keys.UNMATCHED.of()
        user_id = invoice.user_id if invoice else 0
        names = [keys.RECEIPT.of(record.arrival.key), arrivals, keys.INVOICE_VERSION.of(counts_for)]
        names += [keys.ENTITLEMENTS.of(user_id), keys.ENTITLED.of(), stores_keys.JOURNAL.of()]
        names += [keys.UNMATCHED.of(), keys.OPEN_INVOICES.of(), stores_keys.EPOCH.of()]
        for message in messages:
            names += [stores_keys.unique_key(message), stores_keys.OUTBOX.of(partition_of(message.user_id))]
        document = msgspec.json.encode(record)
        journaled = [entry("arrival", document)]
        given = None
        if entitlement is not None:
            said = msgspec.json.encode(EntitlementRecord(user_id=user_id, entitlement=entitlement))
            given = _given(entitlement, user_id, said)
            journaled.append(entry("entitlement", said))
        told = [(message, msgspec.json.encode(message)) for message in messages]
        journaled += [entry("put", said) for _, said in told]
        args = packed(
            arrival=record.arrival.key,
            counts_for=counts_for,
            record=raw(document),
            version=str(version.version) if version else "0",
            lives_s=keys.KEPT_S,
            entitlement=given,
            messages=[{"document": raw(said), "decided_ms": milliseconds(one.decided_at)} for one, said in told],
            put_lives_s=stores_keys.PUT.expires_s,
            done=counts_for if is_done else None,
            needs_epoch=self._needs_epoch,
        )
        reply = _checked(await self._redis.script(_RECORD, names, args))
        said = reply.decode() if isinstance(reply, bytes) else str(reply)
        if said in {"recorded", "credited"}:
            self._journal.tail.note(journaled)
            fault_point("credited" if said == "credited" else "arrival recorded")
        return said

    async def unmatched(self) -> list[ArrivalRecord]:
        """Return what fits no invoice, the earliest first."""
        found = await self._redis.hgetall(keys.UNMATCHED.of())
        return sorted(map(_decoded_arrival, found.values()), key=lambda record: record.arrival.at)

    # what people have

    async def give(self, user_id: int, entitlement: Entitlement) -> bool:
        """Give somebody what no invoice is paid for; `False`: they were given it before."""
        said = msgspec.json.encode(EntitlementRecord(user_id=user_id, entitlement=entitlement))
        names = [keys.ENTITLEMENTS.of(user_id), keys.ENTITLED.of(), stores_keys.JOURNAL.of(), stores_keys.EPOCH.of()]
        given = _given(entitlement, user_id, said) | {"needs_epoch": self._needs_epoch}
        if _checked(await self._redis.script(_ENTITLE, names, packed(**given))) == 0:
            return False
        self._journal.tail.note([entry("entitlement", said)])
        return True

    async def entitlements(self, user_id: int) -> list[Entitlement]:
        """Return all that somebody was given. `IncompleteLedgerError` while that is not known."""
        read: list[Command] = [("HVALS", keys.ENTITLEMENTS.of(user_id)), ("EXISTS", stores_keys.EPOCH.of())]
        found, is_complete = await self._redis.transaction(read)
        if self._needs_epoch and not is_complete:
            raise IncompleteLedgerError
        given = found if isinstance(found, list) else []
        return [msgspec.json.decode(one, type=Entitlement) for one in given if isinstance(one, bytes)]

    async def entitled(self) -> list[int]:
        """Return whose document may not show yet what they were given last."""
        (found,) = await self._redis.transaction([("SMEMBERS", keys.ENTITLED.of())])
        return [int(one) for one in found if isinstance(one, bytes)] if isinstance(found, list) else []

    async def shown(self, user_id: int, given: int) -> bool:
        """The person's document shows so many entitlements; `False`: meanwhile they were given more."""
        names = [keys.ENTITLEMENTS.of(user_id), keys.ENTITLED.of()]
        return await self._redis.script(_SHOWN, names, packed(user=str(user_id), given=given)) == 1

    # sources

    async def cursor(self, source: str) -> SourceCursor | None:
        read: list[Command] = [("HGET", keys.PAYMENT_CURSORS.of(), source), ("EXISTS", stores_keys.EPOCH.of())]
        found, is_complete = await self._redis.transaction(read)
        if self._needs_epoch and not is_complete:
            raise IncompleteLedgerError
        return msgspec.json.decode(found, type=SourceCursor) if isinstance(found, bytes) else None

    async def move_cursor(self, cursor: SourceCursor) -> None:
        """Everything up to here is written down; PostgreSQL learns it after that."""
        document = msgspec.json.encode(cursor)
        entries = [entry("payment_cursor", document)]
        await self._journal.append_with([("HSET", keys.PAYMENT_CURSORS.of(), cursor.source, document)], entries)


def amount_key(asset: str, amount: Decimal) -> str:
    return keys.INVOICE_BY.of("amount", f"{asset} {amount.normalize():f}")


def _given(entitlement: Entitlement, user_id: int, record: bytes) -> dict[str, object]:
    document = msgspec.json.encode(entitlement)
    return {"key": entitlement.key, "document": raw(document), "user": str(user_id), "record": raw(record)}


def _checked(reply: Reply) -> Reply:
    if reply == b"incomplete":
        raise IncompleteLedgerError
    return reply


def _decoded_arrival(document: bytes) -> ArrivalRecord:
    return msgspec.json.decode(document, type=ArrivalRecord)


def _values(fields: Reply) -> list[bytes]:
    """Return the values of a HGETALL reply."""
    return [one for one in fields[1::2] if isinstance(one, bytes)] if isinstance(fields, list) else []
