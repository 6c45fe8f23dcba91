"""Backup, restore, and the way from PostgreSQL 16 to 18, by PostgreSQL's own tools, with the bot before and after."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from composition import Composition
from domain.calls.events import Call
from embedded import postgres as embedded_postgres
from embedded.postgres import EmbeddedPostgres
from managers.redis.client import RedisManager
from migrations import migrate
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.claims.outbox import Outbox
from services.stores.journal import Journal
from tests.conftest import UNSAFE_BUT_FAST
from tests.databases import administer
from tests.e2e.bot_process import ROOT
from tests.e2e.conftest import running, subscribe
from tests.faults.market import made_again

SCRIPT: Final = ROOT / "deploy" / "database.sh"
BINARIES: Final = embedded_postgres._binaries()  # pyright: ignore[reportPrivateUsage] - no other place knows
OLD_BINARIES: Final = BINARIES.parents[1] / "pginstall" / "bin"
PASSWORD: Final = "p@ss/w%rd"
TABLES: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def database(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as an operator does."""
    given = {"PATH": os.environ["PATH"], "PG_BIN": str(BINARIES), **environment}
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)], env=given, capture_output=True, text=True, check=False, timeout=60
    )


async def rows(dsn: str) -> dict[str, list[str]]:
    """Return what is in every table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = [record["relname"] for record in await connection.fetch(TABLES)]
        return {
            table: sorted(str(tuple(row)) for row in await connection.fetch(f'SELECT * FROM "{table}"'))  # noqa: S608 - our tables
            for table in tables
        }
    finally:
        await connection.close()


async def alerts(dsn: str) -> list[tuple[str, int]]:
    """Return who was sent which call."""
    connection = await asyncpg.connect(dsn)
    try:
        sent = await connection.fetch("SELECT call_id, user_id FROM deliveries WHERE kind = 'alert'")
        return [(row["call_id"], row["user_id"]) for row in sent]
    finally:
        await connection.close()


async def wipe(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()


@dataclass
class People:
    """Two who have subscribed, one of whom wants none for now."""

    ann: SandboxUser
    bob: SandboxUser
    feed: FeedSandbox
    called: set[str] = field(default_factory=set[str])

    async def arrive(self) -> None:
        await subscribe(self.ann, "everything")
        await subscribe(self.bob, "everything")
        await self.bob.send("/pause")
        await self.bob.next_message(where=lambda message: "ause" in message["text"])

    async def ann_gets_a_new_call(self) -> Call:
        """Wait for a listener, make a call of a token that was never called, and see Ann's alert."""
        await self.feed.someone_listens.wait()
        while (call := self.feed.market.next_call(datetime.now(UTC))).token.address in self.called:
            pass
        self.called.add(call.token.address)
        self.feed.publish(call)
        await self.ann.next_message(where=lambda message: call.token.address in copied_addresses(message))
        return call


@pytest.fixture
def people(telegram: TelegramSandbox, feed: FeedSandbox) -> People:
    return People(telegram.user("Ann"), telegram.user("Bob"), feed)


async def everything_is_written_down(bot: Composition) -> None:
    async with asyncio.timeout(20):
        while await bot.of(Outbox).size() or (await bot.of(Journal).lag()).entries:  # noqa: ASYNC110 - figures
            await asyncio.sleep(0.05)


async def test_dumped_wiped_and_restored_nothing_is_lost(
    people: People,
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    redis_url: str,
    redis_manager: RedisManager,
    postgres_dsn: str,
    tmp_path: Path,
) -> None:
    """Redis is wiped as well; the bot fills it from what was restored."""
    dump = tmp_path / "bot.dump"
    async with running(telegram, feed, redis_url, postgres_dsn) as bot:
        await people.arrive()
        call = await people.ann_gets_a_new_call()
        await everything_is_written_down(bot)
        assert database("dump", tmp_path / "while-it-runs", DATABASE_URL=postgres_dsn).returncode == 0
    assert database("dump", dump, DATABASE_URL=postgres_dsn).returncode == 0
    before = await rows(postgres_dsn)
    await wipe(postgres_dsn)
    await redis_manager.transaction([("FLUSHALL",)])
    said = database("restore", dump, DATABASE_URL=postgres_dsn)
    assert said.returncode == 0, said.stderr
    assert await rows(postgres_dsn) == before
    assert len(before["subscribers"]) == 2
    assert any(before[name] for name in before if name.startswith("deliveries"))
    async with running(telegram, feed, redis_url, postgres_dsn) as bot:
        feed.publish(made_again(call, 1))
        await people.ann_gets_a_new_call()
        await everything_is_written_down(bot)
    told = await alerts(postgres_dsn)
    assert sorted(told) == sorted(set(told)), "nobody got anything again"
    assert len(told) == 2, "and Bob nothing"
    assert dump.stat().st_mode & 0o077 == 0


async def test_a_database_with_tables_is_left_alone(postgres_dsn: str, tmp_path: Path) -> None:
    dump = tmp_path / "bot.dump"
    before = await rows(postgres_dsn)
    assert database("dump", dump, DATABASE_URL=postgres_dsn).returncode == 0
    for command in (("restore", dump), ("copy",)):
        said = database(*command, DATABASE_URL=postgres_dsn, FROM_URL=postgres_dsn)
        assert said.returncode != 0
        assert "into an empty one" in said.stderr
    assert await rows(postgres_dsn) == before


async def test_half_a_dump_is_none(postgres_dsn: str, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert database("dump", whole, DATABASE_URL=postgres_dsn).returncode == 0
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    await wipe(postgres_dsn)
    assert database("restore", half, DATABASE_URL=postgres_dsn).returncode != 0
    assert await rows(postgres_dsn) == {}, "all of it or nothing"
    assert database("dump", tmp_path / "none", DATABASE_URL="postgresql://nobody@/x?host=/nowhere").returncode != 0
    assert not (tmp_path / "none").exists()


@asynccontextmanager
async def postgres_16(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[str]:
    """A server of that version, where `bot` needs a password; gives its address."""
    with monkeypatch.context() as patch:
        patch.setattr(embedded_postgres, "_binaries", lambda: OLD_BINARIES)
        server = EmbeddedPostgres(directory, settings=UNSAFE_BUT_FAST)
        async with server:
            await administer(server, f"CREATE USER bot PASSWORD '{PASSWORD}'")
            await administer(server, "CREATE DATABASE bot OWNER bot")
            rules = directory / "cluster" / "pg_hba.conf"
            rules.write_text("local all bot scram-sha-256\n" + rules.read_text())
            await administer(server, "SELECT pg_reload_conf()")
            host = server.dsn.partition("host=")[2]
            yield f"postgresql://bot:p%40ss%2Fw%25rd@/bot?host={host}"


@pytest.mark.thorough
@pytest.mark.skipif(not OLD_BINARIES.exists(), reason="there is no PostgreSQL 16 in the wheel")
async def test_from_16_to_18(
    people: People,
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    redis_url: str,
    redis_manager: RedisManager,
    postgres_dsn: str,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bot on 16, its data into 18, the bot on 18."""
    await wipe(postgres_dsn)
    async with postgres_16(data_dir / "16", monkeypatch) as old_dsn:
        await migrate(old_dsn)
        async with running(telegram, feed, redis_url, old_dsn) as bot:
            await people.arrive()
            await people.ann_gets_a_new_call()
            await everything_is_written_down(bot)
        before = await rows(old_dsn)
        said = database("copy", FROM_URL=old_dsn, DATABASE_URL=postgres_dsn)
        assert said.returncode == 0, said.stderr
    assert await rows(postgres_dsn) == before
    connection = await asyncpg.connect(postgres_dsn)
    assert connection.get_server_version().major == 18
    await connection.close()
    await redis_manager.transaction([("FLUSHALL",)])
    async with running(telegram, feed, redis_url, postgres_dsn):
        await people.ann_gets_a_new_call()
