"""What happens while Redis is unavailable, kept on disk until Redis knows it: a bounded store that survives a kill.

It holds an ordered log of operations for Redis (`services/stores/replay.py` executes them later) and the alerts that
were claimed without Redis, with the mark of those that were being sent. Whatever comes in while a transaction is being
written to disk goes into the next one, together: many callers share one sync.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from types import TracebackType
from typing import Final, LiteralString, Self, cast

import structlog
from msgspec import Struct

from managers.storage.sqlite import LocalStoreError, SqliteManager, Value, Write
from runtime.counted import counted
from services.stores.operations import Operation, ScriptCall, decoded, encoded

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_OPERATIONS: Final = 200_000
MAX_BYTES: Final = 256 * 1024 * 1024

# A call goes to many subscribers and is kept once; it leaves with the last alert for it. So does a script's source: it
# leaves with the last operation that needs it. A later version executes the source that stands here, not its own.
_SCHEMA: Final[tuple[LiteralString, ...]] = (
    """CREATE TABLE IF NOT EXISTS logged_operations (position INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL,
    script TEXT)""",
    """CREATE TABLE IF NOT EXISTS refused_operations (position INTEGER PRIMARY KEY, payload BLOB NOT NULL, script TEXT,
    reason TEXT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS scripts (digest TEXT PRIMARY KEY, source TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS operations_of_script ON logged_operations (script)",
    """CREATE TRIGGER IF NOT EXISTS last_use_forgotten AFTER DELETE ON logged_operations
    WHEN OLD.script IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM logged_operations WHERE script = OLD.script)
    AND NOT EXISTS (SELECT 1 FROM refused_operations WHERE script = OLD.script)
    BEGIN DELETE FROM scripts WHERE digest = OLD.script; END""",
    "CREATE TABLE IF NOT EXISTS calls (digest BLOB PRIMARY KEY, call BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS alerts (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    alert BLOB NOT NULL, call_digest BLOB NOT NULL, in_flight INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS alerts_of_call ON alerts (call_digest)",
    """CREATE TRIGGER IF NOT EXISTS last_alert_settled AFTER DELETE ON alerts
    WHEN NOT EXISTS (SELECT 1 FROM alerts WHERE call_digest = OLD.call_digest)
    BEGIN DELETE FROM calls WHERE digest = OLD.call_digest; END""",
)

_PUT_SCRIPT: Final = "INSERT INTO scripts (digest, source) VALUES (?, ?) ON CONFLICT DO NOTHING"
_LOG_OPERATION: Final = "INSERT INTO logged_operations (payload, script) VALUES (?, ?)"
_FORGET: Final = "DELETE FROM logged_operations WHERE position <= ?"
_REFUSE: Final = """INSERT OR REPLACE INTO refused_operations (position, payload, script, reason)
SELECT position, payload, script, ? FROM logged_operations WHERE position = ?"""
_FORGET_ONE: Final = "DELETE FROM logged_operations WHERE position = ?"
_PUT_CALL: Final = "INSERT INTO calls (digest, call) VALUES (?, ?) ON CONFLICT DO NOTHING"
_PUT_ALERT: Final = """INSERT INTO alerts (id, alert, call_digest, in_flight) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING"""
_MARK: Final = "UPDATE alerts SET in_flight = ? WHERE id = ?"
_SETTLE: Final = "DELETE FROM alerts WHERE id = ?"

_ON_OPERATIONS: Final = frozenset({_PUT_SCRIPT, _LOG_OPERATION, _FORGET, _REFUSE, _FORGET_ONE})
_PUTS: Final = frozenset({_PUT_CALL, _PUT_ALERT, _PUT_SCRIPT, _LOG_OPERATION})
"""They only add rows, so among themselves their order does not matter."""

_FIRST: Final = """SELECT position, payload, source FROM logged_operations LEFT JOIN scripts ON digest = script
ORDER BY position LIMIT ?"""
_REFUSALS: Final = """SELECT position, payload, source, reason FROM refused_operations
LEFT JOIN scripts ON digest = script ORDER BY position LIMIT ?"""
_UNSETTLED: Final = "SELECT id, alert, call_digest, in_flight FROM alerts ORDER BY number"
_CALLS: Final = "SELECT digest, call FROM calls"
_COUNTS: Final = """SELECT (SELECT count(*) FROM logged_operations), (SELECT count(*) FROM alerts),
(SELECT count(*) FROM refused_operations)"""
_USED: Final = """SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""


class LoggedOperation(Struct, frozen=True, kw_only=True):
    position: int
    operation: Operation | None
    """`None` when it cannot be read."""


class Refusal(Struct, frozen=True, kw_only=True):
    """An operation that Redis refuses for good."""

    position: int
    operation: Operation | None
    reason: str


class LocalAlert(Struct, frozen=True, kw_only=True):
    id: str
    alert_json: bytes
    call_json: bytes
    in_flight: bool = False
    """A request for it left, and its outcome is not known."""


class _Change:
    """What one caller wants written, all or nothing."""

    __slots__ = ("done", "operations", "size_bytes", "writes")

    def __init__(self, operations: Sequence[Operation], writes: Sequence[Write]) -> None:
        scripts = [one.script if isinstance(one, ScriptCall) else None for one in operations]
        sources = {script.digest: script.source for script in scripts if script}
        rows = [(encoded(one), script and script.digest) for one, script in zip(operations, scripts, strict=True)]
        self.operations = len(rows)
        self.writes: list[Write] = [*writes, (_PUT_SCRIPT, list(sources.items())), (_LOG_OPERATION, rows)]
        self.size_bytes = sum(map(_size_bytes, self.writes))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class LocalStore:
    """Open inside `async with`, where it knows again what a killed process left.

    Every method raises `LocalStoreError` when it could not be done: nothing was stored then, and the caller may try
    again. What must be stored before a caller goes on is on disk when the method returns.
    """

    def __init__(
        self, sqlite: SqliteManager, *, max_operations: int = MAX_OPERATIONS, max_bytes: int = MAX_BYTES
    ) -> None:
        self.size = 0
        """Operations that wait for Redis."""
        self.alerts = 0
        """Alerts that were put and not settled."""
        self.refused = 0
        """Operations that were put aside."""
        self.used_bytes = 0
        self._sqlite = sqlite
        self._max_operations = max_operations
        self._max_bytes = max_bytes
        self._queue: list[_Change] = []
        self._queued_operations = 0
        self._queued_bytes = 0
        self._work = asyncio.Event()
        self._is_closing = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no operation waits for Redis, nor is just being written."""
        return not self.size and not self._queued_operations

    async def __aenter__(self) -> Self:
        await self._sqlite.define(_SCHEMA)
        self.size, self.alerts, self.refused = cast("tuple[int, int, int]", (await self._sqlite.fetch(_COUNTS))[0])
        await self._measure()
        if self.size or self.alerts or self.refused:
            log.info("local_store_found", operations=self.size, alerts=self.alerts, refused=self.refused)
        self._writer = asyncio.create_task(self._write_queued(), name="local store")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is queued, then close."""
        self._is_closing = True
        self._work.set()
        if self._writer is not None:
            await self._writer

    # Operations

    async def append(self, operations: Sequence[Operation]) -> None:
        """Put operations at the end of the log, all or none."""
        await self._change(operations, [])

    async def first(self, count: int) -> list[LoggedOperation]:
        """Return the oldest operations in their order."""
        rows = cast("list[tuple[int, bytes, str | None]]", await self._sqlite.fetch(_FIRST, count))
        return [LoggedOperation(position=at, operation=decoded(payload, source)) for at, payload, source in rows]

    async def forget(self, up_to: int) -> None:
        """Forget the operations up to this position, itself included."""
        await self._change([], [(_FORGET, [(up_to,)])], may_grow=True)

    async def refuse(self, position: int, reason: str) -> None:
        """Put an operation aside that can never be executed."""
        await self._change([], [(_REFUSE, [(reason, position)]), (_FORGET_ONE, [(position,)])], may_grow=True)

    async def refusals(self, count: int) -> list[Refusal]:
        """Return what was put aside, the oldest first."""
        rows = cast("list[tuple[int, bytes, str | None, str]]", await self._sqlite.fetch(_REFUSALS, count))
        return [
            Refusal(position=at, operation=decoded(payload, source), reason=why) for at, payload, source, why in rows
        ]

    # Alerts. Each change can bring operations along, in the same transaction.

    async def put_alerts(self, alerts: Sequence[LocalAlert], operations: Sequence[Operation] = ()) -> None:
        """Keep alerts until they are settled. An alert that is kept already stays as it is."""
        digests = {alert.call_json: _digest(alert.call_json) for alert in alerts}
        calls = [(digest, call) for call, digest in digests.items()]
        rows = [(one.id, one.alert_json, digests[one.call_json], int(one.in_flight)) for one in alerts]
        await self._change(operations, [(_PUT_CALL, calls), (_PUT_ALERT, rows)])

    async def unsettled(self) -> list[LocalAlert]:
        """Return the alerts in the order in which they were put; alerts of one call share its bytes."""
        rows = cast("list[tuple[str, bytes, bytes, int]]", await self._sqlite.fetch(_UNSETTLED))
        calls = dict(cast("list[tuple[bytes, bytes]]", await self._sqlite.fetch(_CALLS)))
        return [
            LocalAlert(id=alert_id, alert_json=alert, call_json=calls[digest], in_flight=bool(in_flight))
            for alert_id, alert, digest, in_flight in rows
            if digest in calls  # else its alerts were settled between the two
        ]

    async def mark(self, ids: Sequence[str], operations: Sequence[Operation] = ()) -> None:
        """Mark alerts as in flight: the very next thing is the request."""
        await self._change(operations, [(_MARK, [(1, alert_id) for alert_id in ids])])

    async def unmark(self, ids: Sequence[str], operations: Sequence[Operation] = ()) -> None:
        """Take the marks back: the requests surely did not get through."""
        await self._change(operations, [(_MARK, [(0, alert_id) for alert_id in ids])])

    async def settle(self, ids: Sequence[str], operations: Sequence[Operation] = ()) -> None:
        """Forget alerts whose outcome is known. A full store takes this, too: what is in it can always get out."""
        await self._change(operations, [(_SETTLE, [(alert_id,) for alert_id in ids])], may_grow=True)

    async def _change(
        self, operations: Sequence[Operation], writes: Sequence[Write], *, may_grow: bool = False
    ) -> None:
        change = _Change(operations, writes)
        if self._is_closing:
            raise LocalStoreError("the local store is closed")
        if not may_grow:
            self._check_room(change)
        self._queue.append(change)
        self._queued_operations += change.operations
        self._queued_bytes += change.size_bytes
        self._work.set()
        await change.done

    def _check_room(self, change: _Change) -> None:
        waiting = self.size + self._queued_operations
        if change.operations and waiting + change.operations > self._max_operations:
            operations = counted(waiting, "operation waits", "operations wait")
            raise LocalStoreError(f"the local store is full: {operations} for Redis")
        used_bytes = self.used_bytes + self._queued_bytes
        if change.size_bytes and used_bytes + change.size_bytes > self._max_bytes:
            raise LocalStoreError(f"the local store is full: {used_bytes} bytes wait for Redis")

    async def _write_queued(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._queue:
                changes, self._queue = self._queue, []
                await self._write(changes)
                self._work.set()  # others may have come meanwhile
            elif self._is_closing:
                return

    async def _write(self, changes: list[_Change]) -> None:
        writes = _merged(changes)
        try:
            self._count(writes, await self._sqlite.write(writes))
            await self._measure()
        except Exception as error:  # noqa: BLE001 - it is raised where the changes come from
            _answer(changes, error)
        else:
            _answer(changes, None)
        finally:
            self._queued_operations -= sum(change.operations for change in changes)
            self._queued_bytes -= sum(change.size_bytes for change in changes)

    def _count(self, writes: Sequence[Write], changed: Sequence[int]) -> None:
        for (statement, _), rows in zip(writes, changed, strict=True):
            if statement == _LOG_OPERATION:
                self.size += rows
            elif statement in (_FORGET, _FORGET_ONE):
                self.size -= rows
            elif statement == _REFUSE:
                self.refused += rows
            elif statement == _PUT_ALERT:
                self.alerts += rows
            elif statement == _SETTLE:
                self.alerts -= rows

    async def _measure(self) -> None:
        try:
            self.used_bytes = cast("int", (await self._sqlite.fetch(_USED))[0][0])
        except LocalStoreError as error:
            log.warning("local_store_not_measured", reason=str(error))


def _answer(changes: Sequence[_Change], failure: Exception | None) -> None:
    for change in changes:
        if change.done.done():
            continue  # its caller was cancelled
        if failure is None:
            change.done.set_result(None)
        else:
            change.done.set_exception(failure)


def _merged(changes: Sequence[_Change]) -> list[Write]:
    """Return the writes of all changes in an equivalent order, with as few statements as possible."""
    alerts: list[tuple[LiteralString, list[Sequence[Value]]]] = []
    operations: list[tuple[LiteralString, list[Sequence[Value]]]] = []
    for change in changes:
        for statement, rows in change.writes:
            if rows:
                _join(operations if statement in _ON_OPERATIONS else alerts, statement, rows)
    return [*alerts, *operations]


def _join(
    runs: list[tuple[LiteralString, list[Sequence[Value]]]], statement: LiteralString, rows: Sequence[Sequence[Value]]
) -> None:
    for known, its_rows in reversed(runs):
        if known == statement:
            its_rows.extend(rows)
            return
        if known not in _PUTS or statement not in _PUTS:
            break
    runs.append((statement, [*rows]))


def _digest(call_json: bytes) -> bytes:
    return hashlib.blake2b(call_json, digest_size=16).digest()


def _size_bytes(write: Write) -> int:
    """About what the payloads in it take on disk."""
    return sum(len(value) for row in write[1] for value in row if isinstance(value, bytes))
