"""Real servers for everybody: one Redis and one PostgreSQL per test process, clean ones per test."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from tests.databases import Databases

# Throw-away data: a test may kill the server, but nobody pulls the plug of the machine.
UNSAFE_BUT_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
}

# How long an example takes is the machine's business. What is checked before a change lands is the same every time;
# new examples are looked for by `make explore`, and what it finds becomes an `@example`.
settings.register_profile("tests", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=400)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="what is `thorough`, too; fault scenarios at full size")


def pytest_configure(config: pytest.Config) -> None:
    # Tests tap as fast as they can; those about that set it themselves. Processes inherit it.
    os.environ["DOUBLE_TAP_S"] = "0"
    config.addinivalue_line("markers", "thorough: takes long, and only `make faults` plays it")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_full(config):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("thorough") is None]


def is_full(config: pytest.Config) -> bool:
    return bool(config.getoption("--full"))


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """No test talks to the world."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> Any:
        _refuse_the_world(self, address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> Any:
        _refuse_the_world(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


def _refuse_the_world(connecting: socket.socket, address: Any) -> None:
    if connecting.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(address[0])
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise AssertionError(f"a test connects to {address}: only loopback is allowed")


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    # Not pytest's own: its long paths do not fit a Unix socket.
    directory = Path(tempfile.mkdtemp(prefix="bot-tests-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def redis_server(servers_dir: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(servers_dir / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(servers_dir / "postgres", settings=UNSAFE_BUT_FAST)
    server.start()
    asyncio.run(Databases(server).make_template())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedPostgres) -> Databases:
    return Databases(postgres_server)


@pytest.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    """A Redis with nothing in it."""
    async with RedisManager(redis_server.url) as manager:
        await manager.transaction([("FLUSHALL",), ("SCRIPT", "FLUSH")])
    return redis_server.url


@pytest.fixture
async def postgres_dsn(databases: Databases) -> AsyncIterator[str]:
    """A database with the schema and nothing in it."""
    async with databases.one() as dsn:
        yield dsn


@pytest.fixture
async def redis_manager(redis_url: str) -> AsyncIterator[RedisManager]:
    async with RedisManager(redis_url) as manager:
        yield manager


@pytest.fixture
async def postgres_manager(postgres_dsn: str) -> AsyncIterator[PostgresManager]:
    async with PostgresManager(postgres_dsn, min_connections=1, max_connections=5) as manager:
        yield manager
