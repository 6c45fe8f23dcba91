"""A PostgreSQL that lost its data, or the last of it, gets back what Redis still has.

Redis knows every subscriber as they are now, the presets and shared sets, everybody's accepted tokens of fourteen days,
and what waits to be sent. It does not know what became of an alert that is settled, only that it is: such an alert is
written down as `unrecorded`, so that nobody sends it again should Redis be emptied one day. Every statement may be
executed again; whoever drains the journal does this, so one process at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString, cast

import msgspec
import structlog
from msgspec import Struct

from domain.calls.events import Call
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert, HeldCall
from domain.stored.journal import DecidedCall
from domain.stored.outgoing import Digest, Envelope, Outgoing, read_outgoing
from domain.subscribers.partitions import PARTITIONS
from managers.redis.client import Command, RedisManager
from managers.storage.postgres import PostgresDataError, PostgresManager
from runtime.counted import counted
from services.recovery.payments import stored_payments
from services.recovery.readable import readable
from services.schedule.due_times import DELAYED, DIGEST
from services.stores import keys
from services.stores.database import INCOMPLETE, ONLY_IN_POSTGRESQL, Database, DatabaseIncompleteError, DatabaseStatus
from services.stores.journal import execute_writes
from services.stores.journal_rows import Kind, UnreadableEntryError, Write, moment, writes_of
from services.stores.sealing import Sealer

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_BATCH: Final = 500
_held_call: Final = msgspec.json.Decoder(HeldCall).decode
_alert: Final = msgspec.json.Decoder(Alert).decode
_read_call: Final = msgspec.json.Decoder(Call).decode

# What the journal says about an alert is the better word, whichever comes first.
_PUT_OUTCOME: Final[LiteralString] = """
    INSERT INTO deliveries (call_id, user_id, kind, set_number, status, decided_at, may_repeat, reason)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8
    WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE call_id = $1 AND user_id = $2 AND kind = $3)
"""

_FORGET_UNRECORDED: Final[LiteralString] = """
    DELETE FROM deliveries WHERE call_id = $1 AND user_id = $2 AND kind = $3 AND status = 'unrecorded'
"""

Pair = tuple[int, str]
"""(user, call), or of what is about no call (user, key)"""
Unsettled = tuple[Alert | Envelope, str | None]
"""What is not settled, and why it is held; `None` waits for a sender."""


class _Record(Struct, frozen=True):
    """What is read here of `domain.stored.accepted.AcceptedToken`."""

    call_id: str
    timestamp: datetime | None = None
    channels_checked: tuple[str, ...] = ()


class _Accepted(Struct, frozen=True):
    address: str
    user_id: int
    call_id: str
    accepted_at: datetime
    channels: tuple[str, ...]

    def alert(self, received_at: datetime) -> Alert:
        """Return as much of the alert as is known once it is settled."""
        return Alert(
            user_id=self.user_id,
            call_id=self.call_id,
            token_address=self.address,
            set_number=0,
            received_at=received_at,
            decided_at=self.accepted_at,
        )


class PostgresFill:
    def __init__(
        self,
        *,
        redis: RedisManager,
        postgres: PostgresManager,
        database: Database,
        say: Callable[[str], None],
        clock: Callable[[], datetime],
        sealer: Sealer | None = None,
    ) -> None:
        self._sealer = sealer or Sealer()
        self._redis = redis
        self._postgres = postgres
        self._database = database
        self._say = say
        self._clock = clock

    async def poll(self) -> bool:
        """Fill PostgreSQL if it lacks what it had; return whether it did. `TransientError`: look again."""
        standing = await self._database.poll()
        if standing.state not in INCOMPLETE:
            return False
        if standing.state == "foreign":
            raise DatabaseIncompleteError(f"PostgreSQL is not ours: {standing.problem}")
        log.error("postgres_incomplete", state=standing.state)
        self._say(f"PostgreSQL: {standing.problem}.")
        await self._fill(standing)
        return True

    async def _fill(self, standing: DatabaseStatus) -> None:
        epoch = await self._redis.get(keys.EPOCH.of())
        await self._database.make_schema()
        owner = await self._database.begin_filling(standing)
        subscribers = await self._documents()
        await self._store_dead_letters()
        unsettled = await self._unsettled()
        alerts = await self._store_accepted(frozenset(unsettled))
        await self._store_put(frozenset(unsettled))
        # What was claimed while the accepted ones were read is not settled, whatever was written down about it.
        unsettled |= await self._unsettled()
        alerts += await self._store_unsettled(unsettled)
        if epoch is None or epoch != await self._redis.get(keys.EPOCH.of()):
            raise DatabaseIncompleteError("Redis was emptied while PostgreSQL was filled from it")
        filled = f"{'emptied' if standing.state == 'emptied' else 'incomplete'}, and filled from Redis: "
        filled += f"{counted(subscribers, 'subscriber')}, {counted(alerts, 'alert')}. Gone: {ONLY_IN_POSTGRESQL}"
        await self._database.end_filling(owner, filled)
        log.warning("postgres_filled", subscribers=subscribers, alerts=alerts)
        self._say(f"PostgreSQL was {filled}.")

    async def _documents(self) -> int:
        """Write back subscribers, presets, shared sets and payments; return how many subscribers."""
        # First, so that what an older backup has of them goes, and nothing of it comes back.
        for known in (keys.ERASED, keys.ERASING):
            erasures = await self._redis.hgetall(known.of())
            await self._store(("erasure", document) for document in erasures.values())
        presets = await self._redis.hgetall(keys.PRESETS.of())
        await self._store(("preset", document) for document in presets.values())
        count = 0
        async for user_ids in self._redis.sscan(keys.SUBSCRIBERS.of(), count=_BATCH):
            documents = await self._redis.mget([keys.SUBSCRIBER.of(user_id) for user_id in user_ids])
            links: list[Command] = [("HVALS", keys.SHARED_BY.of(user_id)) for user_id in user_ids]
            replies = cast("list[list[bytes]]", await self._redis.transaction(links))
            codes = [code.decode() for its in replies for code in its]
            shared = await self._redis.mget([keys.SHARED_SET.of(code) for code in codes])
            found = [self._opened(document) for document in documents if document is not None]
            await self._store(("subscriber", document) for document in found)
            await self._store(("shared_set", self._opened(document)) for document in shared if document is not None)
            count += len(found)
        async for page in stored_payments(self._redis):
            await self._store(page)
        return count

    def _opened(self, stored: bytes) -> bytes:
        try:
            return self._sealer.open(stored)
        except msgspec.DecodeError:
            return stored  # put aside by whoever reads it, like any that is damaged

    async def _store_dead_letters(self) -> None:
        async for fields in self._entries(keys.DEAD_LETTERS.of()):
            try:
                outgoing = read_outgoing(fields.get("alert", b""))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # buried since nobody can read it
            reason = fields.get("reason", b"").decode(errors="replace")
            await self._execute([write for one, _ in _parts_of(outgoing) for write in _put(one, "dead", reason)])

    async def _unsettled(self) -> dict[Pair, Unsettled]:
        """Return what waits in the outbox, and what is held for a digest."""
        found: list[Unsettled] = []
        for partition in range(PARTITIONS):
            async for fields in self._entries(keys.OUTBOX.of(partition)):
                for outgoing in readable("entry of the outbox", [fields.get("alert", b"")], read_outgoing):
                    found += _parts_of(outgoing)
        for page in await self._pages_of(DIGEST):
            asked: list[Command] = [("HVALS", keys.HELD_CALLS.of(user_id)) for user_id in page]
            replies = cast("list[list[bytes]]", await self._redis.transaction(asked))
            for user_id, its in zip(page, replies, strict=True):
                found += [_held_alert(user_id, one) for one in readable("held call", its, _held_call)]
        for page in await self._pages_of(DELAYED):
            asked = [("ZRANGE", keys.DELAYED_ALERTS.of(user_id), 0, -1) for user_id in page]
            replies = cast("list[list[bytes]]", await self._redis.transaction(asked))
            found += [(one, None) for its in replies for one in readable("delayed alert", its, _alert)]
        return {(one.user_id, one.key): (one, reason) for one, reason in found}

    async def _pages_of(self, job: str) -> list[list[int]]:
        """Return for whom a job is due, some at a time."""
        asked: list[Command] = [("ZRANGE", keys.DUE.of(job, p), 0, -1) for p in range(PARTITIONS)]
        members = cast("list[list[bytes]]", await self._redis.transaction(asked))
        users = [int(member) for its in members for member in its]
        return [users[at : at + _BATCH] for at in range(0, len(users), _BATCH)]

    async def _entries(self, stream: str) -> AsyncIterator[dict[str, bytes]]:
        start = "-"
        while page := await self._redis.xrange(stream, start=start, count=_BATCH):
            for one in page:
                if "alert" in one.fields:
                    yield one.fields
            start = f"({page[-1].id}"

    async def _store_accepted(self, unsettled: frozenset[Pair]) -> int:
        """Write down who was accepted for which token, and that it is settled; return how many."""
        stored = 0
        async for names in self._redis.scan(keys.ACCEPTED_TOKEN.of_any(), count=_BATCH):
            accepted = await self._accepted(names)
            calls = await self._calls({one.call_id for one in accepted})
            writes: list[Write] = []
            for one in accepted:
                call = calls.get(one.call_id)
                if call:
                    writes += _call(call, one.accepted_at, one.channels)
                if (one.user_id, one.call_id) not in unsettled:
                    received_at = call.received_at if call else one.accepted_at
                    writes += _put(one.alert(received_at), "unrecorded", None)
                    stored += 1
            await self._execute(writes)
        return stored

    async def _store_put(self, unsettled: frozenset[Pair]) -> None:
        """Write down what else was put into an outbox, and that it is settled: nobody puts it again."""
        async for names in self._redis.scan(keys.PUT.of_any(), count=_BATCH):
            writes: list[Write] = []
            for name, decided_ms in zip(names, await self._redis.mget(names), strict=True):
                if decided_ms is None:
                    continue  # it has ended
                one = _settled(name, decided_ms)
                if (one.user_id, one.key) not in unsettled:
                    writes += _put(one, "unrecorded", None)
            await self._execute(writes)

    async def _accepted(self, names: Sequence[str]) -> list[_Accepted]:
        asked: list[Command] = [part for name in names for part in (("GET", name), ("PTTL", name))]
        replies = await self._redis.transaction(asked)
        now, found = self._clock(), list[_Accepted]()
        for name, document, left_ms in zip(names, replies[::2], replies[1::2], strict=True):
            if not isinstance(document, bytes) or not isinstance(left_ms, int):
                continue  # it has ended
            try:
                record = msgspec.json.decode(document, type=_Record)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("accepted_token_unreadable", key=name, reason=str(error))
                continue
            address, user_id = keys.ACCEPTED_TOKEN.parts_of(name)
            # To the microsecond, as the journal tells it: it belongs to what identifies a delivery.
            accepted_at = record.timestamp or now - ACCEPTED_FOR + timedelta(milliseconds=left_ms)
            found.append(_Accepted(address, int(user_id), record.call_id, accepted_at, record.channels_checked))
        return found

    async def _store_unsettled(self, unsettled: dict[Pair, Unsettled]) -> int:
        everything = list(unsettled.values())
        for at in range(0, len(everything), _BATCH):
            page = everything[at : at + _BATCH]
            calls = await self._calls({one.call_id for one, _ in page if isinstance(one, Alert)})
            writes: list[Write] = []
            for one, held_because in page:
                if one.key in calls:
                    writes += _call(calls[one.key], one.decided_at, ())
                writes.append((_FORGET_UNRECORDED, (one.key, one.user_id, one.kind)))
                writes += _put(one, None if held_because is None else "digest", held_because)
            await self._execute(writes)
        return len(everything)

    async def _calls(self, call_ids: Iterable[str]) -> dict[str, Call]:
        names = list(call_ids)
        documents = await self._redis.mget([keys.CALL.of(name) for name in names])
        found = ((name, document) for name, document in zip(names, documents, strict=True) if document is not None)
        return dict(readable("call", found, lambda one: (one[0], _read_call(one[1]))))

    async def _store(self, documents: Iterable[tuple[Kind, bytes]]) -> None:
        now, writes = self._clock(), list[Write]()
        for kind, document in documents:
            try:
                writes += writes_of(kind, document, now)
            except UnreadableEntryError as error:
                log.warning("document_not_written_back", kind=kind, reason=str(error))
        await self._execute(writes)

    async def _execute(self, writes: Sequence[Write]) -> None:
        """Store a batch; what PostgreSQL refuses costs only itself."""
        try:
            async with self._postgres.transaction() as statements:
                await execute_writes(statements, writes)
        except PostgresDataError as error:
            if len(writes) <= 1:
                log.warning("row_not_written_back", reason=str(error))
                return
            for write in writes:
                await self._execute([write])


def _put(one: Alert | Envelope, status: str | None, reason: str | None) -> list[Write]:
    """Return what stores that it was put into the outbox and, unless it waits for a sender, what became of it."""
    is_alert = isinstance(one, Alert)
    writes = writes_of("claim" if is_alert else "put", msgspec.json.encode(one), one.decided_at)
    if status is not None:
        set_number = one.set_number if is_alert else 0
        row = (one.key, one.user_id, one.kind, set_number, status, one.decided_at, False, reason)
        writes.append((_PUT_OUTCOME, row))
    return writes


def _settled(name: str, decided_ms: bytes) -> Envelope:
    """Return as much of an envelope as its unique key tells once it is settled."""
    kind, user_id, subject, step = keys.PUT.parts_of(name)
    return Envelope(
        kind=kind,
        user_id=int(user_id),
        subject=subject,
        step=step,
        decided_at=moment(int(decided_ms)),
        payload=msgspec.Raw(b"{}"),
    )


def _call(call: Call, decided_at: datetime, channels: tuple[str, ...]) -> list[Write]:
    checked = channels or (call.channel.id,)
    decided = DecidedCall(call=call, decided_at=decided_at, reason="first_check", checked_channels=checked)
    return writes_of("call", msgspec.json.encode(decided), decided_at)


def _parts_of(outgoing: Outgoing) -> list[Unsettled]:
    """Return what was put into the outbox: of a digest the alerts that were held for it."""
    if isinstance(outgoing, Digest):
        return [_held_alert(outgoing.user_id, held) for held in outgoing.held]
    return [(outgoing, None)]


def _held_alert(user_id: int, held: HeldCall) -> Unsettled:
    alert = Alert(
        user_id=user_id,
        call_id=held.call_id,
        token_address=held.token_address,
        set_number=held.set_number,
        also=held.also,
        received_at=held.received_at,
        decided_at=held.decided_at,
        late_s=held.late_s,
        score=held.score,
    )
    return alert, held.reason
