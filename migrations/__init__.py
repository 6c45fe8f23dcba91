"""The schema and its history. `migrate` is all that the program needs of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from managers.storage.postgres import PostgresStatementError, wrapped_errors

_CONNECT_TIMEOUT_S = 10.0
_RECOGNISED_BY = {
    "0017": "later_figures",
    "0016": "read_channels",
    "0015": "controls",
    "0014": "broadcasts",
    "0012": "admin_actions",
    "0011": "erasures",
    "0010": "records",
    "0009": "watches",
    "0008": "outcomes",
    "0007": "invoices",
    "0006": "outgoing",
    "0005": "identity",
}
"""Revisions that can be told by a table which each was the first to make, the newest first."""
_ALEMBIC = threading.Lock()
"""Alembic keeps what it is doing in globals; other processes are kept out by a lock in PostgreSQL."""


async def migrate(dsn: str, revision: str = "head") -> None:
    """Bring the schema to a revision. May be called by several starting processes at once.

    `PostgresUnavailableError` or `PostgresStatementError`, as the manager raises them.
    """
    await _in_thread(dsn, lambda config: command.upgrade(config, revision))


async def downgrade(dsn: str, revision: str) -> None:
    """Take the schema back to an earlier revision; `base` is an empty one. Data of what is dropped are lost."""
    await _in_thread(dsn, lambda config: command.downgrade(config, revision))


async def _in_thread(dsn: str, change: Callable[[Config], None]) -> None:
    # Alembic is synchronous: the event loop of the bot, which may be running already, shall not wait.
    await asyncio.to_thread(_run_alone, dsn, change)


def _run_alone(dsn: str, change: Callable[[Config], None]) -> None:
    with _ALEMBIC:
        asyncio.run(_change_schema(dsn, change))


async def _change_schema(dsn: str, change: Callable[[Config], None]) -> None:
    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)

    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        if forgotten := _forgotten_revision(connection):
            command.stamp(config, forgotten)
        change(config)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        with wrapped_errors(), _unwrapped_errors(), _foreign_revisions():
            async with engine.connect() as connection:
                await connection.run_sync(run)
    finally:
        await engine.dispose()


def _forgotten_revision(connection: Connection) -> str | None:
    """Return the revision of a schema whose tables stand and were truncated, that of the revision with them."""
    stands = text("SELECT to_regclass(:name) IS NOT NULL")
    found = None
    if connection.scalar(stands, {"name": "alembic_version"}):
        made = (rev for rev, table in _RECOGNISED_BY.items() if connection.scalar(stands, {"name": table}))
        found = None if connection.execute(text("SELECT 1 FROM alembic_version")).first() else next(made, None)
    connection.rollback()
    return found


@contextmanager
def _foreign_revisions() -> Generator[None]:
    try:
        yield
    except CommandError as error:
        raise PostgresStatementError(
            f"The database at DATABASE_URL belongs to another program, or to a newer version of this one: {error}"
        ) from error


@contextmanager
def _unwrapped_errors() -> Generator[None]:
    """Give back the driver's own error, which SQLAlchemy wraps twice."""
    try:
        yield
    except exc.DBAPIError as error:
        original = None if error.orig is None else error.orig.__cause__
        if original is None:
            raise
        if isinstance(original, asyncpg.DuplicateTableError):
            raise PostgresStatementError(
                f"The database at DATABASE_URL has tables of another program in it: {original}"
            ) from error
        if isinstance(original, asyncpg.InsufficientPrivilegeError):
            raise PostgresStatementError(
                "The schema has to be brought up to date, and the role of DATABASE_URL may not do that: "
                f"`main.py migrate` with MIGRATIONS_DATABASE_URL ({original})"
            ) from error
        raise original from error
