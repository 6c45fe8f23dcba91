from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedded.postgres import EmbeddedPostgres
from managers.storage.postgres import (
    PostgresDataError,
    PostgresManager,
    PostgresSchemaError,
    PostgresStatementError,
    PostgresUnavailableError,
)
from migrations import downgrade, migrate
from runtime.errors import FatalError, TransientError
from tests.conftest import UNSAFE_BUT_FAST
from tests.databases import administer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        yield Path(directory)


async def test_statements(postgres_manager: PostgresManager) -> None:
    assert await postgres_manager.ping() > 0
    await postgres_manager.execute("CREATE TABLE t (n int, at timestamptz)")
    now = datetime(2025, 1, 2, tzinfo=UTC)
    await postgres_manager.execute_many("INSERT INTO t VALUES ($1, $2)", [(n, now) for n in range(2500)])
    row = await postgres_manager.fetch_row("SELECT n, at FROM t WHERE n = $1", 7)
    assert row is not None
    assert (row["n"], row["at"]) == (7, now)
    assert await postgres_manager.fetch_row("SELECT n FROM t WHERE n = $1", -1) is None
    batches = [
        [row["n"] for row in rows] async for rows in postgres_manager.stream("SELECT n FROM t ORDER BY n", batch=1000)
    ]
    assert [len(batch) for batch in batches] == [1000, 1000, 500]
    assert [n for batch in batches for n in batch] == list(range(2500))


async def insert_two_and_one(postgres: PostgresManager) -> None:
    async with postgres.transaction() as statements:
        await statements.execute("INSERT INTO t VALUES (2)")
        await statements.execute("INSERT INTO t VALUES (1)")


async def ask_for_ever(postgres: PostgresManager) -> None:
    while True:
        await postgres.ping()


async def test_a_transaction_happens_whole_or_not(postgres_manager: PostgresManager) -> None:
    await postgres_manager.execute("CREATE TABLE t (n int PRIMARY KEY)")
    async with postgres_manager.transaction() as statements:
        await statements.execute("INSERT INTO t VALUES (1)")
        assert len(await statements.fetch("SELECT n FROM t")) == 1
    with pytest.raises(PostgresDataError):
        await insert_two_and_one(postgres_manager)
    assert [row["n"] for row in await postgres_manager.fetch("SELECT n FROM t")] == [1]


async def test_errors_say_who_is_to_blame(postgres_manager: PostgresManager) -> None:
    await postgres_manager.execute("CREATE TABLE t (n int, word text)")
    with pytest.raises(PostgresDataError):
        await postgres_manager.execute("INSERT INTO t (word) VALUES ($1)", "a\x00b")
    with pytest.raises(PostgresDataError):
        await postgres_manager.execute("INSERT INTO t (n) VALUES ($1)", "not a number")
    with pytest.raises(PostgresDataError):
        await postgres_manager.execute("INSERT INTO t (n) VALUES ($1)", 1 << 40)
    with pytest.raises(PostgresStatementError):
        await postgres_manager.execute("SELEC 1")
    with pytest.raises(PostgresSchemaError):  # it was emptied, or restored from before the table was made
        await postgres_manager.execute("SELECT * FROM no_such_table")
    assert issubclass(PostgresSchemaError, TransientError)
    assert issubclass(PostgresStatementError, FatalError)
    assert issubclass(PostgresUnavailableError, TransientError)


async def test_a_statement_has_its_time(postgres_dsn: str) -> None:
    async with PostgresManager(postgres_dsn, min_connections=1, statement_timeout_s=0.2) as postgres:
        with pytest.raises(PostgresUnavailableError):
            await postgres.execute("SELECT pg_sleep(60)")
        assert await postgres.ping() > 0


async def test_broken_connections_are_replaced(postgres_manager: PostgresManager, postgres_dsn: str) -> None:
    await asyncio.gather(*(postgres_manager.ping() for _ in range(5)))
    async with PostgresManager(postgres_dsn, min_connections=1) as other:
        await other.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    for _ in range(10):
        try:
            await postgres_manager.ping()
        except PostgresUnavailableError:
            continue
        break
    assert await postgres_manager.ping() > 0


async def test_away_at_start_killed_and_back(data_dir: Path) -> None:
    where = data_dir / "cluster"
    dsn = f"postgresql://postgres@/postgres?host={where}"
    async with PostgresManager(dsn, min_connections=1, max_connections=3) as postgres:
        with pytest.raises(PostgresUnavailableError):
            await postgres.ping()
        with pytest.raises(PostgresUnavailableError):
            await migrate(dsn)
        async with EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST) as server:
            await postgres.execute("CREATE TABLE kept AS SELECT 7 AS number")
            await postgres.execute("CHECKPOINT")
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(PostgresUnavailableError):
                await ask_for_ever(postgres)
        async with EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST):
            row = await postgres.fetch_row("SELECT number FROM kept")
            assert row is not None
            assert row["number"] == 7


async def test_a_frozen_server_is_away_and_closing_does_not_hang(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST) as server:
        manager = PostgresManager(
            server.dsn, min_connections=1, max_connections=1, connect_timeout_s=0.3, statement_timeout_s=0.2
        )
        async with manager as postgres:
            row = await postgres.fetch_row("SELECT pg_backend_pid() AS pid")
            assert row is not None
            os.kill(row["pid"], signal.SIGSTOP)
            try:
                with pytest.raises(PostgresUnavailableError):
                    await postgres.ping()
            finally:
                os.kill(row["pid"], signal.SIGCONT)


async def tables(postgres: PostgresManager) -> set[str]:
    """Every table, each with its partitions as one."""
    rows = await postgres.fetch("""
        SELECT relname::text AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    """)
    return {row["name"] for row in rows}


async def start_migrating(dsn: str) -> asyncio.subprocess.Process:
    program = "import asyncio, sys, migrations; asyncio.run(migrations.migrate(sys.argv[1]))"
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, dsn, cwd=ROOT)


@pytest.mark.parametrize("revision", ["0005", "0006"])
async def test_a_truncated_schema_is_told_by_its_tables(postgres_server: EmbeddedPostgres, revision: str) -> None:
    await administer(postgres_server, "CREATE DATABASE truncated")
    dsn = postgres_server.dsn_of("truncated")
    try:
        await migrate(dsn, revision)
        async with PostgresManager(dsn, min_connections=1) as postgres:
            await postgres.execute("TRUNCATE alembic_version, identity")
            await migrate(dsn)
            assert "outgoing" in await tables(postgres)
    finally:
        await administer(postgres_server, "DROP DATABASE truncated")


async def test_migrations_there_and_back_and_by_several_at_once(postgres_server: EmbeddedPostgres) -> None:
    await administer(postgres_server, "CREATE DATABASE fresh")
    dsn = postgres_server.dsn_of("fresh")
    try:
        others = [await start_migrating(dsn) for _ in range(2)]
        await asyncio.gather(*(migrate(dsn) for _ in range(2)))
        assert [await other.wait() for other in others] == [0, 0]
        async with PostgresManager(dsn, min_connections=1) as postgres:
            assert await tables(postgres) == {
                "activity",
                "admin_actions",
                "admins",
                "alembic_version",
                "arrivals",
                "broadcast_recipients",
                "broadcasts",
                "calls",
                "channel_calls",
                "channel_calls_cursor",
                "channel_tokens",
                "channels",
                "claims",
                "controls",
                "corrections",
                "deliveries",
                "entitlements",
                "erasures",
                "identity",
                "invoices",
                "journal_rejected",
                "later_figures",
                "milestones",
                "notes",
                "outcomes",
                "outgoing",
                "payment_cursors",
                "preset_changes",
                "presets",
                "read_channels",
                "read_posts",
                "record_calls",
                "record_cursors",
                "record_days",
                "records",
                "seen",
                "shared_sets",
                "subscriber_changes",
                "subscribers",
                "tracker_snapshots",
                "unresolved_calls",
                "watch_firings",
                "watched_tokens",
                "watches",
            }
            await downgrade(dsn, "base")
            assert await tables(postgres) == {"alembic_version"}
            await migrate(dsn)
            await migrate(dsn)
            assert "subscribers" in await tables(postgres)
    finally:
        await administer(postgres_server, "DROP DATABASE fresh WITH (FORCE)")


async def test_a_refused_migration_is_no_matter_of_time(postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(PostgresSchemaError):
        await migrate(postgres_server.dsn_of("no_such_database"))
    await administer(postgres_server, "CREATE DATABASE occupied")
    try:
        async with PostgresManager(postgres_server.dsn_of("occupied"), min_connections=1) as postgres:
            await postgres.execute("CREATE TABLE subscribers (something_else int)")
            with pytest.raises(PostgresStatementError, match="tables of another program"):
                await migrate(postgres_server.dsn_of("occupied"))
            assert await tables(postgres) == {"subscribers"}
    finally:
        await administer(postgres_server, "DROP DATABASE occupied WITH (FORCE)")
