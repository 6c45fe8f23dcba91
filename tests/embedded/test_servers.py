from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager
from runtime.errors import FatalError
from tests.conftest import UNSAFE_BUT_FAST

ROOT = Path(__file__).parents[2]


async def answer(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_redis_keeps_its_data_over_a_restart(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as server, RedisManager(server.url) as redis:
        await redis.set("kept", "yes")
    async with EmbeddedRedis(data_dir) as server, RedisManager(server.url) as redis:
        assert await redis.get("kept") == b"yes"


async def test_postgres_keeps_its_data_over_a_restart(data_dir: Path) -> None:
    async with EmbeddedPostgres(data_dir) as server:
        await answer(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        assert (await answer(server.dsn, "SELECT version()")).startswith("PostgreSQL 18")
    async with EmbeddedPostgres(data_dir) as server:
        assert await answer(server.dsn, "SELECT number FROM kept") == 7


async def test_a_directory_has_one_owner(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir / "r"), EmbeddedPostgres(data_dir / "p", settings=UNSAFE_BUT_FAST):
        with pytest.raises(FatalError, match="A bot is running already"):
            await EmbeddedRedis(data_dir / "r").__aenter__()
        with pytest.raises(FatalError, match="A bot is running already"):
            await EmbeddedPostgres(data_dir / "p").__aenter__()


async def test_long_and_odd_paths(data_dir: Path) -> None:
    odd = data_dir / ("a long % path with 'signs' " * 4)
    async with (
        EmbeddedRedis(odd / "redis") as redis_server,
        EmbeddedPostgres(odd / "postgres", settings=UNSAFE_BUT_FAST) as postgres_server,
        RedisManager(redis_server.url) as redis,
    ):
        assert await redis.ping() > 0
        assert await answer(postgres_server.dsn, "SELECT 1") == 1


async def test_odd_short_paths(data_dir: Path) -> None:
    odd = data_dir / "a % b"
    async with (
        EmbeddedRedis(odd / "r") as redis_server,
        EmbeddedPostgres(odd / "p", settings=UNSAFE_BUT_FAST) as postgres_server,
        RedisManager(redis_server.url) as redis,
    ):
        assert await redis.ping() > 0
        assert await answer(postgres_server.dsn, "SELECT 1") == 1


async def test_what_cannot_start_says_why(data_dir: Path) -> None:
    (data_dir / "appendonlydir").write_text("not a directory")
    with pytest.raises(FatalError, match="did not start"):
        await EmbeddedRedis(data_dir).__aenter__()
    with pytest.raises(FatalError, match="no_such_setting"):
        await EmbeddedPostgres(data_dir, settings={"no_such_setting": "1"}).__aenter__()


OWNER = """
import json, sys, time
from pathlib import Path
from typing import Any
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
data = Path(sys.argv[1])
redis, postgres = EmbeddedRedis(data / "redis"), EmbeddedPostgres(data / "postgres")
redis.start()
postgres.start()
print(json.dumps([redis.pid, postgres.pid, redis.url, postgres.dsn]), flush=True)
time.sleep(600)
"""


def start_owner(data_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def what_it_says(owner: subprocess.Popen[str]) -> tuple[int, int, str, str]:
    assert owner.stdout is not None
    said = next(line for line in owner.stdout if line.startswith("["))
    return msgspec.json.decode(said, type=tuple[int, int, str, str])


def wait_until_gone(*paths: Path) -> None:
    while any(path.exists() for path in paths):
        time.sleep(0.01)


async def test_servers_of_a_killed_owner_are_replaced_and_lose_nothing(data_dir: Path) -> None:
    with start_owner(data_dir) as owner:
        redis_pid, postgres_pid, url, dsn = what_it_says(owner)
        # Ctrl-C in the terminal goes to the owner's group: the servers are not in it.
        assert os.getpgid(redis_pid) != os.getpgid(owner.pid)
        assert os.getpgid(postgres_pid) != os.getpgid(owner.pid)
        async with RedisManager(url) as redis:
            await redis.set("kept", "yes")
        await answer(dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        owner.send_signal(signal.SIGKILL)
    async with (
        EmbeddedRedis(data_dir / "redis") as redis_server,
        EmbeddedPostgres(data_dir / "postgres") as postgres_server,
        RedisManager(redis_server.url) as redis,
    ):
        assert {redis_server.pid, postgres_server.pid}.isdisjoint({redis_pid, postgres_pid})
        assert await redis.get("kept") == b"yes"
        assert await answer(postgres_server.dsn, "SELECT number FROM kept") == 7


async def test_servers_of_a_killed_owner_go_by_themselves(data_dir: Path) -> None:
    with start_owner(data_dir) as owner:
        _, _, url, _ = what_it_says(owner)
        owner.send_signal(signal.SIGKILL)
    socket_path = Path(url.removeprefix("unix://"))
    postmaster = data_dir / "postgres" / "cluster" / "postmaster.pid"
    await asyncio.to_thread(wait_until_gone, socket_path, postmaster)


async def test_a_killed_server_starts_again(data_dir: Path) -> None:
    """Its pid file is still there, and by now the pid may be somebody else's."""
    async with EmbeddedPostgres(data_dir) as server:
        await answer(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        os.kill(server.pid, signal.SIGKILL)
    note = data_dir / "cluster" / "postmaster.pid"
    lines = note.read_text().splitlines()
    note.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    async with EmbeddedPostgres(data_dir) as server:
        assert await answer(server.dsn, "SELECT number FROM kept") == 7
