"""The bot as a role that owns nothing: it does all of its work, and can change no table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from embedded.postgres import EmbeddedPostgres
from managers.storage.postgres import PostgresManager, PostgresStatementError
from migrations import downgrade, migrate
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.claims.outbox import Outbox
from services.retention.retention import AHEAD, RetentionService
from services.stores.journal import Journal
from tests.databases import TEMPLATE, administer
from tests.deployment.test_database import database as run_script
from tests.e2e.bot_process import ROOT
from tests.e2e.conftest import running, subscribe
from tests.retention.test_retention import KEPT_FOR

ROLES: Final = (ROOT / "deploy" / "roles.sql").read_text("utf-8")
OWNER, BOT = "token_filter_bot_owner", "token_filter_bot"
OWNED_BY_OTHERS: Final = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) <> $1
    UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) <> $1
"""


@dataclass(frozen=True)
class Database:
    superuser: str
    owner: str
    bot: str


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The roles in a database that the bot has owned until now, or in a `new` one."""
    is_new = getattr(request, "param", "") == "new"
    name, template = ("roles_new", "template0") if is_new else ("roles_in_use", TEMPLATE)
    await administer(postgres_server, f"CREATE DATABASE {name} TEMPLATE {template}")
    superuser = postgres_server.dsn_of(name)
    found = Database(superuser, superuser.replace("postgres@", f"{OWNER}@"), superuser.replace("postgres@", f"{BOT}@"))
    for _ in range(2):  # again after a restore, for example
        await execute(superuser, ROLES)
    await migrate(found.owner)
    yield found
    await administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("database", ["new", "in use"], indirect=True)
async def test_the_whole_bot_works_as_a_role_that_owns_nothing(
    database: Database, telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str
) -> None:
    await migrate(database.bot)  # as at every start: there is nothing to do
    ann = telegram.user("Ann")
    async with running(telegram, feed, redis_url, database.bot) as bot:
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        call = feed.market.next_call(datetime.now(UTC))
        feed.publish(call)
        await ann.next_message(where=lambda message: call.token.address in copied_addresses(message))
        async with asyncio.timeout(20):
            while await bot.of(Outbox).size() or (await bot.of(Journal).lag()).entries:  # noqa: ASYNC110 - figures
                await asyncio.sleep(0.05)
        assert bot.of(Journal).rejected == 0
    async with PostgresManager(database.bot) as postgres:
        row = await postgres.fetch_row("SELECT count(*) AS sent FROM deliveries WHERE status = 'sent'")
        assert row is not None
        assert row["sent"] == 1
        later = datetime.now(UTC) + timedelta(days=400)
        retention = RetentionService(postgres, KEPT_FOR, lambda: later)
        await retention.tidy(lambda: None)
        assert await retention.lacking() == []
        parts = await postgres.fetch("SELECT name FROM partitions_of('deliveries') WHERE starts_at > now()")
        assert len(parts) > AHEAD
        assert await postgres.fetch("SELECT 1 FROM deliveries") == [], "a week that is too old was dropped"
        await postgres.fetch_row("SELECT erase_person($1, $2)", ann.id, ["erasures"])
        assert await postgres.fetch("SELECT 1 FROM subscribers") == []
        assert await postgres.fetch(OWNED_BY_OTHERS, OWNER) == []


MAY_CALL: Final = """
    SELECT who FROM unnest($1::text[]) AS who, pg_proc
    WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(who, oid, 'EXECUTE')
"""
REFUSED: Final = (
    "CREATE TABLE mine (id integer)",
    "CREATE TEMPORARY TABLE mine (id integer)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "DROP TABLE subscribers",
    "TRUNCATE subscribers",
    "ALTER TABLE subscribers ADD COLUMN mine text",
    "CREATE INDEX mine ON subscribers (name)",
    "ALTER FUNCTION add_partition(text, date, integer) RESET search_path",
    "COPY subscribers TO '/tmp/people'",
    "COPY subscribers FROM PROGRAM 'id'",
    "CREATE EXTENSION dblink",
    "SET ROLE token_filter_bot_owner",
    "SELECT pg_read_file('/etc/passwd')",
    # What it may do in the owner's name is about tables that are cut by weeks, and no other.
    "SELECT add_partition('subscribers', current_date, 7)",
    "SELECT drop_partitions('subscribers', now())",
    "SELECT drop_partitions('deliveries\"; DROP TABLE subscribers; --', now())",
)


async def test_it_can_change_no_table_and_become_nobody_else(database: Database) -> None:
    connection = await asyncpg.connect(database.bot)
    try:
        for statement in REFUSED:
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(statement)
        assert await connection.fetch("SELECT 1 FROM subscribers") == []
    finally:
        await connection.close()


async def test_it_can_be_dumped_and_the_owner_restores_it(
    database: Database, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    await execute(database.bot, "INSERT INTO notes (user_id, admin_id, noted_at, said) VALUES (7, 1, now(), 'kind')")
    said = run_script("dump", tmp_path / "dump", DATABASE_URL=database.bot)
    assert said.returncode == 0, said.stderr
    await administer(postgres_server, "DROP DATABASE IF EXISTS roles_restored")
    await administer(postgres_server, "CREATE DATABASE roles_restored TEMPLATE template0")
    name = database.superuser.partition("@/")[2].partition("?")[0]
    superuser, owner, bot = (
        dsn.replace(f"/{name}?", "/roles_restored?") for dsn in (database.superuser, database.owner, database.bot)
    )
    await execute(superuser, ROLES)
    said = run_script("restore", tmp_path / "dump", DATABASE_URL=owner)
    assert said.returncode == 0, said.stderr
    async with PostgresManager(bot) as postgres:
        assert [row["said"] for row in await postgres.fetch("SELECT said FROM notes")] == ["kind"]
        await RetentionService(postgres, KEPT_FOR, lambda: datetime.now(UTC) + timedelta(days=90)).tidy(lambda: None)
    await migrate(bot)
    await administer(postgres_server, "DROP DATABASE roles_restored WITH (FORCE)")


async def test_others_of_the_server_may_nothing(database: Database) -> None:
    await execute(database.superuser, "DROP ROLE IF EXISTS passer_by; CREATE ROLE passer_by LOGIN")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(database.superuser.replace("postgres@", "passer_by@"))
    async with PostgresManager(database.superuser) as postgres:
        may = await postgres.fetch(MAY_CALL, ["passer_by", BOT])
    assert {row["who"] for row in may} == {BOT}
    await execute(database.superuser, "DROP ROLE passer_by")


async def test_a_schema_that_is_not_up_to_date_is_said_in_a_sentence(database: Database) -> None:
    await downgrade(database.owner, "0012")
    with pytest.raises(PostgresStatementError, match=r"`main\.py migrate` with MIGRATIONS_DATABASE_URL"):
        await migrate(database.bot)
    await migrate(database.owner)
    await migrate(database.bot)
