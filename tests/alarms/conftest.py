from __future__ import annotations

import pytest

from embedded.valkey import EmbeddedRedis
from tests.alarms.kit import Servers
from tests.e2e.conftest import data_dir

__all__ = ["data_dir"]


@pytest.fixture
async def servers(redis_server: EmbeddedRedis, redis_url: str, postgres_dsn: str) -> Servers:
    return Servers(redis=redis_server, redis_url=redis_url, dsn=postgres_dsn)
