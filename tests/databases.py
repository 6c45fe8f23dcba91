"""Databases with the schema and nothing in it: one that is emptied after each test, because a copy costs more."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, LiteralString

import asyncpg

from embedded.postgres import EmbeddedPostgres
from migrations import migrate

TEMPLATE: Final = "migrated"

# What a test may have done beside rows. TRUNCATE leaves these as they are.
_SHAPE: LiteralString = """
SELECT md5(concat_ws('|',
    (SELECT string_agg(concat_ws(',', oid, relname, relkind, relowner, relacl, reloptions), ';' ORDER BY oid)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT string_agg(concat_ws(',', attrelid, attnum, xmin), ';' ORDER BY attrelid, attnum)
        FROM pg_attribute WHERE attrelid >= 16384),
    (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_constraint WHERE oid >= 16384),
    (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_trigger),
    (SELECT string_agg(concat_ws(',', oid, xmin), ';' ORDER BY oid) FROM pg_proc WHERE oid >= 16384),
    (SELECT string_agg(concat_ws(',', oid, nspname, nspowner, nspacl), ';' ORDER BY oid)
        FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
    (SELECT string_agg(concat_ws(',', setrole, setconfig), ';' ORDER BY setrole) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))))
"""
_TABLES: LiteralString = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
_ALONE: LiteralString = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_COUNT_ANEW: LiteralString = """
SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence
WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
"""


async def administer(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class Databases:
    """Gives out one database at a time."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._made = 0
        self._ready: _Database | None = None

    async def make_template(self) -> None:
        await administer(self._server, f"CREATE DATABASE {TEMPLATE}")
        await migrate(self._server.dsn_of(TEMPLATE))

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[str]:
        """The DSN of a database with the schema and nothing in it."""
        database, self._ready = self._ready or await self._make(), None
        yield database.dsn
        if await database.empty():
            self._ready = database
        else:
            await administer(self._server, f"DROP DATABASE {database.name} WITH (FORCE)")

    async def _make(self) -> _Database:
        self._made += 1
        database = _Database(name := f"test_{self._made}", self._server.dsn_of(name))
        await administer(self._server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        await database.look()
        return database


class _Database:
    def __init__(self, name: str, dsn: str) -> None:
        self.name, self.dsn = name, dsn
        self._shape = ""
        self._filled: dict[str, list[str]] = {}
        self._rest: list[str] = []

    async def look(self) -> None:
        """Remember how it was made: a few tables have rows from the beginning."""
        connection = await asyncpg.connect(self.dsn)
        try:
            self._shape = await connection.fetchval(_SHAPE)
            for (table,) in await connection.fetch(_TABLES):
                if rows := await _rows(connection, table):
                    self._filled[table] = rows
                else:
                    self._rest.append(table)
        finally:
            await connection.close()

    async def empty(self) -> bool:
        """Return whether it is now as it was made."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(_ALONE)
            if await connection.fetchval(_SHAPE) != self._shape:
                return False
            async with connection.transaction():
                changed = [table for table, rows in self._filled.items() if await _rows(connection, table) != rows]
                used = await _used(connection, self._rest)
                if changed or used:
                    await connection.execute(f"TRUNCATE {', '.join([*changed, *used])}")
                for table in changed:
                    refill = f"INSERT INTO {table} SELECT (line::{table}).* FROM unnest($1::text[]) AS line"  # noqa: S608 - ours
                    await connection.execute(refill, self._filled[table])
                await connection.execute(_COUNT_ANEW)
            return True
        finally:
            await connection.close()


async def _rows(connection: asyncpg.Connection, table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1")]  # noqa: S608 - ours


async def _used(connection: asyncpg.Connection, tables: Sequence[str]) -> list[str]:
    each = ", ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
    row = await connection.fetchrow(f"SELECT {each}")
    assert row is not None
    return [table for table, is_used in zip(tables, row, strict=True) if is_used]
