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
from msgspec.structs import replace

from domain.payments.crediting import invoice_key
from domain.payments.entitlements import Entitlement, refund_key, standing_of
from domain.payments.invoices import LATE_COUNTS, Arrival, Invoice, Ruling
from domain.stored.outgoing import Envelope
from domain.stored.payments import ArrivalRecord, EntitlementRecord, InvoiceFile, SourceCursor
from domain.subscribers.partitions import partition_of
from managers.redis.client import Command, RedisManager
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from runtime.fault_points import fault_point
from services.payments import keys, outcomes
from services.payments.notices import end_of
from services.payments.outcomes import Change, ContendedError, IncompleteLedgerError, Messages, Outcome, change_of
from services.stores import keys as stores_keys
from services.stores.journal import Journal, entry

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NOTHING: Final = "-"
"""An arrival counts for no invoice."""

_OPEN: Final = Script.beside(__file__, "open_invoice.lua")
_RECORD: Final = Script.beside(__file__, "record.lua")
_ENTITLE: Final = Script.beside(__file__, "entitle.lua")
_SHOWN: Final = Script.beside(__file__, "shown.lua")
_ALWAYS: Final = (
    *(keys.ENTITLED.of(), stores_keys.JOURNAL.of(), keys.UNMATCHED.of(), keys.CLOSED.of()),
    *(keys.OPEN_INVOICES.of(), stores_keys.EPOCH.of()),
)
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
        self._documents = outcomes.InvoiceDocuments()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """So that those who share a process do not keep each other from writing."""

    # invoices

    async def open(self, invoice: Invoice, *, told_by_amount: bool) -> bool:
        """Store an invoice; `False` when its amount or reference tells another one that may still be paid."""
        document, watched_until = msgspec.json.encode(invoice), invoice.expires_at + LATE_COUNTS
        watched_s = int((watched_until - invoice.created_at).total_seconds())
        told: list[tuple[str, int]] = []
        if invoice.reference:
            told.append((keys.INVOICE_BY.of("reference", invoice.reference), keys.KEPT_S))
        if invoice.payment_id:
            told.append((keys.INVOICE_BY.of("payment", invoice.payment_id), keys.KEPT_S))
        if told_by_amount:
            told.append((keys.amount_key(invoice.asset, invoice.amount), watched_s))
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
        if outcomes.checked(await self._redis.script(_OPEN, names, args)) == 0:
            return False
        self._journal.tail.note([entry("invoice", document)])
        log.info("invoice_opened", invoice=invoice.id, user_id=invoice.user_id, method=invoice.method)
        return True

    async def find(self, invoice_id: str) -> InvoiceFile | None:
        """Return an invoice with what is known of it. Raises `RedisUnavailableError`, and what is `NOT_READABLE`."""
        reads: list[Command] = [("GETEX", keys.INVOICE.of(invoice_id), "EX", keys.KEPT_S)]
        reads += [("HGETALL", keys.ARRIVALS.of(invoice_id)), ("GET", keys.INVOICE_VERSION.of(invoice_id))]
        document, fields, version = await self._redis.transaction(reads)
        if not isinstance(document, bytes):
            return None
        invoice = self._documents.read(invoice_id, document)
        records = outcomes.records_in(fields)
        known_as = [invoice_key(invoice), refund_key(invoice_key(invoice))]
        given, taken_back = await self._redis.hmget(keys.ENTITLEMENTS.of(invoice.user_id), known_as)
        paid_by_charge = invoice.method == "stars" and any(not record.arrival.refunded for record in records)
        return InvoiceFile(
            invoice=invoice,
            arrivals=tuple(record.arrival for record in records),
            is_credited=given is not None or paid_by_charge,
            version=int(version) if isinstance(version, bytes) else 0,
            records=records,
            is_taken_back=taken_back is not None,
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
        found = await self._redis.get(keys.amount_key(asset, amount))
        return found.decode() if found else None

    async def open_ids(self) -> list[str]:
        """Return the invoices that may still be paid; those whose time has passed leave."""
        now_ms = milliseconds(self._clock())
        watched: list[Command] = [("ZREMRANGEBYSCORE", keys.OPEN_INVOICES.of(), "-inf", f"({now_ms}")]
        watched.append(("ZRANGE", keys.OPEN_INVOICES.of(), 0, -1))
        _, found = await self._redis.transaction(watched)
        return [one.decode() for one in found if isinstance(one, bytes)] if isinstance(found, list) else []

    async def open_invoices(self) -> list[Invoice]:
        """Return what may still be paid; not what cannot be read."""
        ids = await self.open_ids()
        found: list[Invoice] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            documents = await self._redis.mget([keys.INVOICE.of(one) for one in some])
            found += self._documents.readable(zip(some, documents, strict=True))
        return found

    async def counts_for(self, arrival_key: str) -> str | None:
        """Return the id of the invoice that an arrival counts for; `None`: for none yet, or it is not known."""
        found = (await self._redis.get(keys.RECEIPT.of(arrival_key)) or b"").decode()
        return None if found in {"", NOTHING} else found

    async def record_of(self, arrival_key: str) -> ArrivalRecord | None:
        """Return what is recorded of an arrival, whatever it counts for."""
        invoice_id = await self.counts_for(arrival_key)
        if invoice_id is None:
            listed = await self._listed(arrival_key)
            return outcomes.decoded(listed) if listed else None
        found = await self._redis.hget(keys.ARRIVALS.of(invoice_id), arrival_key)
        return None if found is None else outcomes.decoded(found)

    async def _listed(self, arrival_key: str) -> bytes:
        """Return what is recorded of an arrival that fits no invoice, as it is written; empty for none."""
        where = (keys.UNMATCHED.of(), keys.CLOSED.of())
        found = await self._redis.transaction([("HGET", name, arrival_key) for name in where])
        return next((one for one in found if isinstance(one, bytes)), b"")

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
        ruling: Ruling = "accepted",
    ) -> Outcome:
        """Write down what came for an invoice, or for none, and credit what that pays. May be repeated.

        `rate_usd`: what the coin costs now; without it nothing that is late is credited by itself. `settled_by`: an
        admin says so, with their `ruling`: it is credited whatever it is worth, or never; that it is refunded needs
        none.
        """
        said = ruling if settled_by is not None and not arrival.refunded else None
        async with self._locks.setdefault(invoice_id or arrival.key, asyncio.Lock()):
            for attempt in range(_ATTEMPTS):
                file = await self.find(invoice_id) if invoice_id else None
                if invoice_id and file is None:
                    log.error("invoice_unknown", invoice=invoice_id, arrival=arrival.key)
                    invoice_id = None
                if said == "accepted" and not invoice_id:
                    said, settled_by = None, None
                ruled = replace(arrival, ruling=said)
                record = ArrivalRecord(arrival=ruled, invoice_id=invoice_id, settled_by=settled_by, note=note)
                outcome = await self._record(record, file, rate_usd)
                if outcome is not None:
                    return outcome
                await asyncio.sleep(random.uniform(0, _WAIT_S * (attempt + 1)))  # noqa: S311 - jitter, not a secret
        raise ContendedError(f"invoice {invoice_id} is changed again and again")

    async def _record(
        self, record: ArrivalRecord, file: InvoiceFile | None, rate_usd: Decimal | None
    ) -> Outcome | None:
        """Return what became of it; `None`: somebody else wrote meanwhile."""
        key, listed = record.arrival.key, await self._listed(record.arrival.key)
        known = {one.arrival.key: one for one in file.records}.get(key) if file else None
        said_before = outcomes.decoded(listed) if listed else known
        record = record.after(said_before)
        if file and listed and record.arrival.ruling == "dismissed":
            file, record = None, replace(record, invoice_id=None).after(said_before)
        if file is None:
            reply = "" if record == said_before else await self._write(record, None, [], change=None, listed=listed)
            written = Outcome(file=None, assessment=None, is_new=reply == "recorded", credited=False)
            return None if reply == "changed" else written
        change = change_of(file, record.arrival, known and known.arrival, self._clock(), rate_usd)
        nothing_new = Outcome(file=file, assessment=change.before, is_new=False, credited=False)
        if not change.is_news:
            return nothing_new
        entitlement = change.entitlement
        until = await self._until(file.invoice.user_id, entitlement) if entitlement else None
        seen = replace(change.file, until=until)
        messages = self._messages.about(seen, change.before, change.after, entitlement)
        reply = await self._write(record, entitlement, messages, change=change, listed=listed)
        if reply == "changed":
            return None
        if reply.startswith("taken:"):
            log.warning("arrival_counts_elsewhere", arrival=key, invoice=file.invoice.id, counts_for=reply[6:])
            return nothing_new
        if credited := reply == "credited":
            self.credited()
        log.info("arrival_recorded", arrival=key, invoice=file.invoice.id, state=change.after.state, credited=credited)
        return Outcome(file=seen, assessment=change.after, is_new=True, credited=credited)

    async def _until(self, user_id: int, entitlement: Entitlement) -> datetime | None:
        return standing_of([*await self.entitlements(user_id), entitlement]).until

    async def _write(
        self,
        record: ArrivalRecord,
        entitlement: Entitlement | None,
        messages: Sequence[Envelope],
        *,
        change: Change | None,
        listed: bytes,
    ) -> str:
        """`change`: of the invoice that it counts for."""
        invoice = change.file.invoice if change else None
        counts_for, user_id = (invoice.id, invoice.user_id) if invoice else (NOTHING, 0)
        rest = outcomes.rest_of(invoice, change.after, self._clock()) if invoice and change else None
        names = [keys.RECEIPT.of(record.arrival.key), _place_of(record), keys.INVOICE_VERSION.of(counts_for)]
        names += [keys.ENTITLEMENTS.of(user_id), *_ALWAYS, rest.key if rest else keys.INVOICE.of(counts_for)]
        for message in messages:
            names += [stores_keys.unique_key(message), stores_keys.OUTBOX.of(partition_of(message.user_id))]
        document, given = msgspec.json.encode(record), None
        journaled = [entry("arrival", document)]
        if entitlement is not None:
            said = msgspec.json.encode(EntitlementRecord(user_id=user_id, entitlement=entitlement))
            given = outcomes.given(entitlement, user_id, said)
            journaled.append(entry("entitlement", said))
        told = [(message, msgspec.json.encode(message)) for message in messages]
        journaled += [entry("put", said) for _, said in told]
        args = packed(
            arrival=record.arrival.key,
            counts_for=counts_for,
            record=raw(document),
            listed=raw(listed),
            version=str(change.file.version - 1) if change else "0",
            lives_s=keys.KEPT_S,
            entitlement=given,
            messages=[{"document": raw(said), "decided_ms": milliseconds(one.decided_at)} for one, said in told],
            put_lives_s=stores_keys.PUT.expires_s,
            rest_s=rest.lives_s if rest else 0,
            done=counts_for if change and change.after.is_due else None,
            needs_epoch=self._needs_epoch,
        )
        reply = outcomes.checked(await self._redis.script(_RECORD, names, args))
        said = reply.decode() if isinstance(reply, bytes) else str(reply)
        if said in {"recorded", "credited"}:
            self._journal.tail.note(journaled)
            fault_point("credited" if said == "credited" else "arrival recorded")
        return said

    async def unmatched(self) -> list[ArrivalRecord]:
        """Return what fits no invoice, the earliest first."""
        found = await self._redis.hgetall(keys.UNMATCHED.of())
        return sorted(map(outcomes.decoded, found.values()), key=lambda record: record.arrival.at)

    # what people have

    async def give(self, user_id: int, entitlement: Entitlement) -> bool:
        """Give somebody what no invoice is paid for; `False`: they were given it before."""
        said = msgspec.json.encode(EntitlementRecord(user_id=user_id, entitlement=entitlement))
        names = [keys.ENTITLEMENTS.of(user_id), keys.ENTITLED.of(), stores_keys.JOURNAL.of(), stores_keys.EPOCH.of()]
        given = outcomes.given(entitlement, user_id, said) | {"needs_epoch": self._needs_epoch}
        if outcomes.checked(await self._redis.script(_ENTITLE, names, packed(**given))) == 0:
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
        fault_point("cursor moved")


def _place_of(record: ArrivalRecord) -> str:
    """Return where an arrival is listed."""
    if record.invoice_id is not None:
        return keys.ARRIVALS.of(record.invoice_id)
    return keys.CLOSED.of() if record.is_closed else keys.UNMATCHED.of()
