"""The one place that speaks to PostgreSQL.

Statements are `LiteralString`: the type checker refuses a statement that was put together from data.
PostgreSQL is never on the way of an alert; whoever uses it can wait, and retries after `PostgresUnavailableError`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import LiteralString, Self

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from runtime.cancellation import stop_if_cancelled
from runtime.errors import FatalError, TransientError

Row = asyncpg.Record
Value = object

_CLOSE_WITHIN_S = 5.0
_UNAVAILABLE_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""SQLSTATE classes that pass by themselves: connection, read-only after a failover, conflict, resources,
lock, operator, system."""
_SCHEMA_STATES = frozenset({"3D000", "3F000", "42P01", "42703"})
"""SQLSTATEs of a database, schema, table or column that is not there (any more)."""
_DATA_CLASSES = frozenset({"22", "23"})


class PostgresUnavailableError(TransientError):
    """No answer, or "not now". Whether the statement was executed is not known."""


class PostgresSchemaError(PostgresUnavailableError):
    """The database or its tables are missing: it was emptied, or restored from before they were made."""


class PostgresStatementError(FatalError):
    """PostgreSQL refuses the statement (a missing table, a wrong password): asking again cannot help."""


class PostgresDataError(PostgresStatementError):
    """PostgreSQL refuses these very values; others may pass."""


class Statements:
    """What can be done on one connection: inside `PostgresManager.transaction`."""

    def __init__(self, connection: PoolConnectionProxy[Row]) -> None:
        self._connection = connection

    async def fetch(self, statement: LiteralString, *values: Value) -> list[Row]:
        with wrapped_errors():
            return await self._connection.fetch(statement, *values)

    async def fetch_row(self, statement: LiteralString, *values: Value) -> Row | None:
        with wrapped_errors():
            return await self._connection.fetchrow(statement, *values)

    async def execute(self, statement: LiteralString, *values: Value) -> str:
        """Return the command tag, like `INSERT 0 1`."""
        with wrapped_errors():
            return await self._connection.execute(statement, *values)

    async def execute_many(self, statement: LiteralString, rows: Sequence[Sequence[Value]]) -> None:
        """Execute the statement once per row, in order, all or nothing."""
        with wrapped_errors():
            await self._connection.executemany(statement, rows)


class PostgresManager:
    """A pool of connections, open inside `async with`; it connects when first asked: the server may be unavailable.

    Every method raises `PostgresUnavailableError`, `PostgresStatementError` or `PostgresDataError`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        min_connections: int = 5,
        max_connections: int = 20,
        connect_timeout_s: float = 5.0,
        statement_timeout_s: float = 10.0,
    ) -> None:
        """Let the server end a statement after `statement_timeout_s`; a little later nobody waits for it."""
        self._dsn = dsn
        self._min_connections = min_connections
        self._max_connections = max_connections
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._pool: asyncpg.Pool[Row] | None = None
        self._pool_lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), _CLOSE_WITHIN_S)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # A frozen or dying server does not say good-bye; nothing of ours is under way any more.
            pool.terminate()

    async def ping(self) -> float:
        """Return the latency of one statement in seconds."""
        started = time.perf_counter()
        await self.fetch_row("SELECT 1")
        return time.perf_counter() - started

    async def fetch(self, statement: LiteralString, *values: Value) -> list[Row]:
        async with self._connected() as statements:
            return await statements.fetch(statement, *values)

    async def fetch_row(self, statement: LiteralString, *values: Value) -> Row | None:
        async with self._connected() as statements:
            return await statements.fetch_row(statement, *values)

    async def execute(self, statement: LiteralString, *values: Value) -> str:
        """Return the command tag, like `INSERT 0 1`."""
        async with self._connected() as statements:
            return await statements.execute(statement, *values)

    async def execute_many(self, statement: LiteralString, rows: Sequence[Sequence[Value]]) -> None:
        """Execute the statement once per row, in order, all or nothing."""
        async with self._connected() as statements:
            await statements.execute_many(statement, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Statements]:
        """Commit at the end of the block, roll back when it raises."""
        with wrapped_errors():
            pool = await self._connected_pool()
            async with pool.acquire(timeout=self._connect_timeout_s) as connection, connection.transaction():
                yield Statements(connection)

    async def stream(self, statement: LiteralString, *values: Value, batch: int = 1000) -> AsyncIterator[list[Row]]:
        """Yield the rows in batches through a server-side cursor: memory for one batch at a time."""
        with wrapped_errors():
            pool = await self._connected_pool()
            async with pool.acquire(timeout=self._connect_timeout_s) as connection, connection.transaction():
                cursor = await connection.cursor(statement, *values)
                while rows := await cursor.fetch(batch):
                    yield rows

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Statements]:
        with wrapped_errors():
            pool = await self._connected_pool()
            async with pool.acquire(timeout=self._connect_timeout_s) as connection:
                yield Statements(connection)

    async def _connected_pool(self) -> asyncpg.Pool[Row]:
        async with self._pool_lock:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=self._min_connections,
                    max_size=self._max_connections,
                    timeout=self._connect_timeout_s,
                    # asyncpg without it waits for ever on a frozen server.
                    command_timeout=self._statement_timeout_s + 1.0,
                    server_settings={
                        "application_name": "token-filter-bot",
                        "statement_timeout": str(int(self._statement_timeout_s * 1000)),
                        # What is committed here leaves the journal: it has to be on disk, whatever the server's
                        # default is.
                        "synchronous_commit": "on",
                    },
                )
            return self._pool


@contextmanager
def wrapped_errors() -> Generator[None]:
    """Turn the driver's errors into ours, keeping the cause. Also for the migrations, which have no pool."""
    try:
        yield
    except asyncpg.PostgresError as error:
        stop_if_cancelled()
        state = error.sqlstate or ""
        if state in _SCHEMA_STATES:
            raise PostgresSchemaError(f"PostgreSQL lacks what is asked for ({state}): {error}") from error
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            raise PostgresUnavailableError(f"PostgreSQL's tables were made anew: {error}") from error
        if state[:2] in _DATA_CLASSES:
            raise PostgresDataError(f"PostgreSQL refuses the values ({state}): {error}") from error
        if state[:2] in _UNAVAILABLE_CLASSES:
            raise PostgresUnavailableError(f"PostgreSQL cannot serve now ({state}): {error}") from error
        raise PostgresStatementError(f"PostgreSQL refuses ({state}): {error}") from error
    except ValueError as error:
        # The driver cannot encode a value as what the statement needs.
        raise PostgresDataError(f"PostgreSQL cannot take the values: {error}") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        stop_if_cancelled()
        raise PostgresUnavailableError(f"PostgreSQL is unavailable: {error!r}") from error
