"""The way from Redis, where things happen, to PostgreSQL, where they stay.

A change that must last is written to Redis together with its journal entry, atomically. The journal is
drained in batches, one transaction each; an entry goes only after its commit, so a crash in between repeats
it, which changes nothing. PostgreSQL may be unavailable for hours: the journal grows, nobody else notices.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, LiteralString, cast

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call
from domain.stored.alerts import Alert
from domain.stored.journal import DecidedCall
from domain.stored.outgoing import Digest, Envelope, Outgoing
from managers.redis.client import Command, RedisManager, Reply, StreamEntry
from managers.redis.replies import entries as stream_entries
from managers.storage.postgres import PostgresDataError, PostgresManager, Statements
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause
from services.stores import keys
from services.stores.database import advance
from services.stores.erasures import between_erasures, lasting
from services.stores.in_flight_log import InFlightLog
from services.stores.journal_rows import (
    PUT_CALLS,
    PUT_REJECTED,
    Kind,
    UnreadableEntryError,
    Write,
    moment,
    storable_text,
    writes_of,
)
from services.stores.journal_tail import JournalTail
from services.stores.keys import stored_call_key
from services.stores.sealing import Sealer

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_JOURNAL: Final = keys.JOURNAL.of()
_BATCH: Final = 500
_READ_AT_ONCE: Final = 16
_WAIT_MS: Final = 2000
_GATHER_S: Final = 0.02
"""While fewer entries come than a batch takes, wait this long for more: one commit for all of them."""
_LOOK_EVERY_S: Final = 5.0
_BACK_OFF_FIRST_S: Final = 0.2
_BACK_OFF_MAX_S: Final = 15.0


Advance = Callable[[Statements], Awaitable[None]]
"""Notes in the same transaction how far the journal has come, or refuses."""


class JournalLag(Struct, frozen=True, kw_only=True):
    entries: int
    age_s: float
    """Of the oldest entry; 0 when there is none."""


def entry(kind: Kind, payload: bytes) -> Command:
    """Return the command that appends an entry, to be executed in one MULTI with the change itself.

    `payload` is JSON: of `Subscriber`, `DecidedCall`, `Envelope` or `DeliveryRecord`, by kind; or that, sealed.
    """
    return ("XADD", _JOURNAL, "*", "kind", kind, "data", payload)


class Journal:
    def __init__(self, redis: RedisManager, postgres: PostgresManager, sealer: Sealer | None = None) -> None:
        self._redis = redis
        self._postgres = postgres
        self.sealer = sealer or Sealer()
        """Opens what is sealed on the way; PostgreSQL gets it as it is."""
        self.tail = JournalTail()
        """What went into the journal from here and may not have left it."""
        self.begun = InFlightLog()
        """Alerts whose requests left, until PostgreSQL knows what became of them."""
        self.prepare: Callable[[], Awaitable[None]] | None = None
        """What PostgreSQL still needs before the first entry; may be repeated."""
        self.repair: Callable[[], Awaitable[object]] | None = None
        """Asked now and then by whoever drains, and when PostgreSQL refuses: it writes back what that has lost."""
        self.check: Callable[[], Awaitable[None]] | None = None
        """`PostgresUnavailableError` when PostgreSQL lacks what was committed to it."""
        self.epoch: bytes | None = None
        """Of the Redis that was told everything in the tail; `None`: of none yet."""
        self.drained = 0
        """Entries committed to PostgreSQL since the start."""
        self.rejected = 0
        """Entries put aside in `journal_rejected` since the start."""

    async def append_with(self, commands: Sequence[Command], entries: Sequence[Command]) -> list[Reply]:
        """Execute a change and its entries (from `entry`) in one MULTI; return the replies to `commands`."""
        replies = await self._redis.transaction([*commands, *entries])
        self.tail.note(entries)
        return replies[: len(commands)]

    async def put_back(self) -> int:
        """Append again what an emptied Redis has lost; returns how many entries."""
        entries = self.tail.entries()
        for start in range(0, len(entries), _BATCH):
            await self._redis.transaction(entries[start : start + _BATCH])
        return len(entries)

    async def put_back_found(self) -> None:
        """Append what a killed process has written down about alerts, and give Redis the calls they are about."""
        found = self.begun.found
        if found is None:
            return
        noted = [entry(kind, document) for kind, document in map(_noted, found.outgoing) if kind]
        noted += [entry("call", _without_cursor(alert, call)) for alert, call in found.calls]
        noted += [entry("delivery", msgspec.json.encode(record)) for record in found.records]
        calls: list[Command] = [
            ("SET", stored_call_key(alert.call_id, alert.late_s, alert.decided_at), call, "NX", "EX", keys.ACCEPTED_S)
            for alert, call in found.calls
        ]
        for start in range(0, len(calls), _BATCH):
            await self._redis.transaction(calls[start : start + _BATCH])
        for start in range(0, len(noted), _BATCH):
            await self.append_with([], noted[start : start + _BATCH])
        self.begun.found = None
        self.begun.stored(found.records)

    async def lag(self) -> JournalLag:
        # Entries are as old as the clock of Redis says; ours may show something else.
        poll: list[Command] = [("XLEN", _JOURNAL), ("XRANGE", _JOURNAL, "-", "+", "COUNT", 1), ("TIME",)]
        entries, found, (seconds, _) = cast("tuple[int, Reply, list[bytes]]", await self._redis.transaction(poll))
        oldest = stream_entries(found)
        age_s = int(seconds) - oldest[0].added_at_ms / 1000 if oldest else 0.0
        return JournalLag(entries=entries, age_s=max(0.0, age_s))

    async def drain_once(self, progress: Progress = lambda: None) -> int:
        """Move the oldest batch to PostgreSQL; return how many entries left the journal."""
        if self.prepare is not None:
            await self.prepare()
            self.prepare = None
        told_before, told_epoch = self.tail.told_before(), self.epoch
        # A journal that was emptied looks like a drained one, also when another process has filled Redis since; the
        # epoch, read in the same moment, tells them apart.
        poll: list[Command] = [("XRANGE", _JOURNAL, "-", "+", "COUNT", _BATCH), ("GET", keys.EPOCH.of())]
        poll += [("GET", keys.DATABASE.of()), ("GET", keys.JOURNAL_AT.of())]
        found, epoch, database, committed = await self._redis.transaction(poll)
        entries = stream_entries(found)
        if entries:
            last = entries[-1].id
            await self._store(entries, lambda statements: advance(statements, last, database, committed), progress)
            fault_point("journaled")
            ids = (e.id for e in entries)
            await self._redis.transaction([("XDEL", _JOURNAL, *ids), ("SET", keys.JOURNAL_AT.of(), last)])
            self.drained += len(entries)
        if len(entries) < _BATCH and epoch is not None and epoch == told_epoch:  # it was read to its end
            self.tail.forget(noted_before=told_before)
            self.begun.forget(noted_before=told_before)
        return len(entries)

    async def drain_all(self, progress: Progress = lambda: None) -> int:
        """Drain until the journal is empty; return how many entries left it."""
        total = 0
        while drained := await self.drain_once(progress):
            progress()
            total += drained
        return total

    async def run(self, progress: Progress = lambda: None) -> None:
        """Drain for ever; wait while Redis or PostgreSQL is unavailable. Ends by cancellation or `FatalError`."""
        failures, looked_at = 0, -math.inf
        while True:
            stop_if_cancelled()
            progress()
            try:
                if self.repair is not None and (failures or time.monotonic() - looked_at > _LOOK_EVERY_S):
                    looked_at = time.monotonic()
                    await self.repair()
                drained = await self.drain_once(progress)
                if not drained:
                    await self._redis.xread(_JOURNAL, after="0-0", count=1, block_ms=_WAIT_MS)
                if drained < _BATCH:
                    await asyncio.sleep(_GATHER_S)
                failures = 0
            except TransientError as error:
                delay_s = min(_BACK_OFF_MAX_S, _BACK_OFF_FIRST_S * 2**failures)
                failures = min(failures + 1, 10)
                log.warning("journal_delayed", reason=str(error), again_in_s=delay_s)
                await pause(delay_s * random.uniform(0.5, 1.0), progress)  # noqa: S311 - jitter, not a secret

    async def _store(self, entries: list[StreamEntry], advance_in: Advance, progress: Progress) -> None:
        try:
            writes: list[Write] = []
            for at in range(0, len(entries), _READ_AT_ONCE):
                writes += [write for e in entries[at : at + _READ_AT_ONCE] for write in self._writes(e)]
                await asyncio.sleep(0)  # calls and alerts have their turn
            async with self._postgres.transaction() as statements:
                await advance_in(statements)
                await execute_writes(statements, writes)
        except (PostgresDataError, UnreadableEntryError):
            # One bad entry spoils the batch: store each by itself, and put aside the bad one alone.
            for one in entries:
                progress()
                await self._store_one(one, advance_in)

    async def _store_one(self, one: StreamEntry, advance_in: Advance) -> None:
        try:
            async with self._postgres.transaction() as statements:
                await advance_in(statements)
                await execute_writes(statements, self._writes(one))
        except (PostgresDataError, UnreadableEntryError) as error:
            self.rejected += 1
            kind = one.fields.get("kind", b"").decode(errors="replace")
            log.warning("journal_entry_rejected", entry_id=one.id, kind=kind, reason=str(error))
            payload = one.fields.get("data", b"")
            reason = storable_text(str(error))
            await self._postgres.execute(PUT_REJECTED, one.id, storable_text(kind), payload, reason)

    def _writes(self, one: StreamEntry) -> list[Write]:
        kind = one.fields.get("kind", b"").decode(errors="replace")
        try:
            payload = self.sealer.open(one.fields.get("data", b""))
        except msgspec.DecodeError as error:
            raise UnreadableEntryError(f"unreadable {kind}: {error}") from error
        return writes_of(kind, payload, moment(one.added_at_ms))


def _noted(outgoing: Outgoing) -> tuple[Kind | None, bytes]:
    """Return what the journal says when it is put into the outbox; nothing of a digest: its calls were claimed."""
    match outgoing:
        case Alert():
            return "claim", msgspec.json.encode(outgoing)
        case Envelope():
            return "put", msgspec.json.encode(outgoing)
        case Digest():
            return None, b""


def _without_cursor(alert: Alert, call_json: bytes) -> bytes:
    """Return the journal's form of a call that may be claimed for others yet: the feed is asked for it once more."""
    call = replace(msgspec.json.decode(call_json, type=Call), cursor=None)
    channels = (call.channel.id,)
    decided = DecidedCall(call=call, decided_at=alert.decided_at, reason="first_check", checked_channels=channels)
    return msgspec.json.encode(decided)


async def execute_writes(statements: Statements, writes: Sequence[Write]) -> None:
    """Execute the writes, one statement after the other, each for all its rows in their order.

    What comes before an erasure is executed before it; nothing of who was deleted is written.
    """
    for part in between_erasures(writes):
        await _execute(statements, await lasting(statements, part))


async def _execute(statements: Statements, writes: Sequence[Write]) -> None:
    rows: dict[LiteralString, list[tuple[object, ...]]] = {}
    for statement, values in writes:
        rows.setdefault(statement, []).append(values)
    for statement, its_rows in rows.items():
        if statement == PUT_CALLS:
            await statements.execute(statement, [call for (calls,) in its_rows for call in cast("list[str]", calls)])
        else:
            await statements.execute_many(statement, its_rows)
