"""A process on the alert's whole way, behind a proxy that can take Redis away from it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from managers.storage.postgres import PostgresManager
from tests.claims.alert_path import Process, process_on
from tests.faults.proxy import FaultProxy


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        yield Path(directory)


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
async def process(proxy: FaultProxy, postgres_manager: PostgresManager, path: Path) -> AsyncIterator[Process]:
    async with process_on(proxy.redis_url, postgres_manager, path) as process:
        await process.start()
        yield process
