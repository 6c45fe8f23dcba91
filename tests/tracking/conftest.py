"""A desk on fresh stores."""

from __future__ import annotations

import pytest

from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from tests.tracking.kit import Desk


@pytest.fixture
async def desk(redis_manager: RedisManager, postgres_manager: PostgresManager) -> Desk:
    return Desk(redis_manager, postgres_manager)
