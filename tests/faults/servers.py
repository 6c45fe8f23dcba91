"""A Redis and a PostgreSQL of the tests' own, which may be killed, frozen and started again on the same data."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import asyncpg
import psutil

from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager
from migrations import migrate
from tests.conftest import UNSAFE_BUT_FAST

TEMPLATE = "migrated"
_GONE_WITHIN_S = 30.0


class _Breakable:
    """What both servers let be done to them. Everything blocks; the asynchronous forms leave the loop alone."""

    def __init__(self, server: EmbeddedRedis | EmbeddedPostgres, *, deadly: signal.Signals) -> None:
        self._server = server
        self._deadly = deadly
        self._frozen: list[psutil.Process] = []
        self.runs = False

    def start(self) -> None:
        if not self.runs:
            self._server.start()
            self.runs = True

    def stop(self) -> None:
        self.thaw()
        self._server.stop()
        self.runs = False

    async def restart(self) -> None:
        """Start it again, on the data it had."""
        await asyncio.to_thread(self.start)

    async def kill(self) -> None:
        """End it at once, without a word to anybody; returns when it is gone."""
        await asyncio.to_thread(self._kill)

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open and bring nothing (SIGSTOP)."""
        parent = psutil.Process(self._server.pid)
        self._frozen = [parent, *parent.children(recursive=True)]
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen = []

    def _kill(self) -> None:
        process = psutil.Process(self._server.pid)
        os.kill(process.pid, self._deadly)
        self.thaw()
        deadline = time.monotonic() + _GONE_WITHIN_S
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.005)
        self._server.stop()  # takes note that it is gone, and frees the directory
        self.runs = False


class BreakableRedis(_Breakable):
    def __init__(self, data_dir: Path) -> None:
        self._redis = EmbeddedRedis(data_dir)
        super().__init__(self._redis, deadly=signal.SIGKILL)

    @property
    def url(self) -> str:
        return self._redis.url

    async def empty(self) -> None:
        """FLUSHALL, scripts too: what an operator's slip of the finger does."""
        async with RedisManager(self.url) as redis:
            await redis.transaction([("FLUSHALL",), ("SCRIPT", "FLUSH")])


class BreakablePostgres(_Breakable):
    """Killed as by `pg_ctl stop -m immediate`: every process ends where it stands, recovery follows at the start."""

    def __init__(self, data_dir: Path) -> None:
        self._postgres = EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST)
        super().__init__(self._postgres, deadly=signal.SIGQUIT)
        self._databases = 0

    @property
    def dsn(self) -> str:
        return self._postgres.dsn

    def dsn_of(self, database: str) -> str:
        return self._postgres.dsn_of(database)

    async def make_template(self) -> None:
        await self._administer(f"CREATE DATABASE {TEMPLATE}")
        await migrate(self.dsn_of(TEMPLATE))

    async def create_database(self) -> str:
        """Make a database with the schema and nothing in it; returns its name."""
        self._databases += 1
        name = f"faults_{self._databases}"
        await self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    async def recreate_database(self, name: str) -> None:
        """Leave nothing of it, not even the schema: what `dropdb` and `createdb` do."""
        await self.drop_database(name)
        await self._administer(f"CREATE DATABASE {name}")

    async def drop_database(self, name: str) -> None:
        await self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
