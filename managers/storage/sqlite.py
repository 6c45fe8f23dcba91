"""The one place that speaks to SQLite: a file of this process alone, for what must survive while Redis is unavailable.

What `write` has done is on disk when it returns (write-ahead log, `synchronous=FULL`). The file is locked for as long
as it is open: two processes that replay the same operations would do so in two orders.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, LiteralString, Self

import aiosqlite
import structlog

from runtime.errors import FatalError, TransientError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Value = str | bytes | int | float | None
Row = tuple[Value, ...]
Write = tuple[LiteralString, Sequence[Sequence[Value]]]
"""A statement that changes rows, executed once per list of values."""

_BUSY_TIMEOUT_S: Final = 5.0
_PRAGMAS: Final[tuple[LiteralString, ...]] = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
)
_PASSES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COMPANIONS: Final = ("", "-wal", "-shm")


class LocalStoreError(TransientError):
    """Not stored: the disk or the store is full, a file cannot be written, somebody else holds it."""


class LocalStoreBrokenError(FatalError):
    """The file is corrupt. The next start moves it aside."""


class SqliteManager:
    """One connection to the file at `path`, open inside `async with`.

    Every method raises `LocalStoreError`, `LocalStoreBrokenError` or, for a statement that is wrong, `FatalError`.
    """

    def __init__(self, path: Path) -> None:
        self.moved_aside: Path | None = None
        """Where the corrupt file that was found at the start is now."""
        self._path = path
        self._opened: aiosqlite.Connection | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        with _wrapped_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._opened = await self._open()
        except LocalStoreBrokenError as error:
            with _wrapped_errors():
                self.moved_aside = self._move_aside()
            log.error(  # noqa: TRY400 - the message says it all
                "corrupt_store_moved_aside", path=str(self._path), moved_to=str(self.moved_aside), reason=str(error)
            )
            self._opened = await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._opened = self._opened, None
        if connection is not None:
            with _wrapped_errors():
                await connection.close()

    async def define(self, statements: Sequence[LiteralString]) -> None:
        """Create what is not there yet, all or nothing."""
        async with self._lock:
            with _wrapped_errors():
                await self._transaction([(statement, None) for statement in statements])

    async def fetch(self, statement: LiteralString, *values: Value) -> list[Row]:
        """Return rows as they stand on disk, never of a transaction that is under way."""
        async with self._lock:
            with _wrapped_errors():
                return [tuple(row) for row in await self._connection.execute_fetchall(statement, values)]

    async def write(self, writes: Sequence[Write]) -> list[int]:
        """Do everything in one transaction, all or nothing; return how many rows each write has changed."""
        async with self._lock:
            with _wrapped_errors():
                return await self._transaction(writes)

    @property
    def _connection(self) -> aiosqlite.Connection:
        if self._opened is None:
            raise RuntimeError("the store is not open")
        return self._opened

    async def _transaction(self, writes: Sequence[tuple[LiteralString, Sequence[Sequence[Value]] | None]]) -> list[int]:
        connection = self._connection
        changed: list[int] = []
        try:
            await connection.execute("BEGIN IMMEDIATE")
            for statement, rows in writes:
                doing = connection.execute(statement) if rows is None else connection.executemany(statement, rows)
                changed.append((await doing).rowcount)
            await connection.execute("COMMIT")
        except BaseException:
            # The connection's thread does one thing after the other, also what nobody waits for any more: after a
            # cancellation, too, this comes last, and does nothing when there is nothing to roll back.
            await _roll_back(connection)
            raise
        return changed

    async def _open(self) -> aiosqlite.Connection:
        with _wrapped_errors():
            connection = await aiosqlite.connect(self._path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
            try:
                for pragma in _PRAGMAS:
                    await connection.execute_fetchall(pragma)
                await self._check(connection)
            except BaseException:
                await connection.close()
                raise
            return connection

    async def _check(self, connection: aiosqlite.Connection) -> None:
        verdict = [tuple(row) for row in await connection.execute_fetchall("PRAGMA quick_check(1)")]
        if verdict != [("ok",)]:
            raise LocalStoreBrokenError(f"{self._path} is corrupt: {verdict}")

    def _move_aside(self) -> Path:
        suffix = f".corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        for companion in _COMPANIONS:
            file = self._path.with_name(self._path.name + companion)
            if file.exists():
                file.rename(file.with_name(f"{self._path.name}{suffix}{companion}"))
        return self._path.with_name(self._path.name + suffix)


async def _roll_back(connection: aiosqlite.Connection) -> None:
    try:
        await connection.rollback()
    except sqlite3.Error as error:
        log.warning("rollback_failed", reason=str(error))


@contextmanager
def _wrapped_errors() -> Generator[None]:
    """Turn the driver's errors into ours, keeping the cause."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _PASSES:
            raise LocalStoreError(f"the local store cannot be used now: {error}") from error
        if code in _BROKEN:
            raise LocalStoreBrokenError(f"the local store is corrupt: {error}") from error
        raise FatalError(f"the local store refuses: {error}") from error
    except OSError as error:
        raise LocalStoreError(f"the local store cannot be used now: {error}") from error
