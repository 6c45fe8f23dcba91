"""A desk on fresh stores."""

from __future__ import annotations

import pytest

from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from tests.watches.kit import WatchDesk


@pytest.fixture
async def desk(redis_manager: RedisManager, postgres_manager: PostgresManager) -> WatchDesk:
    """Prices are followed here, and Ann is somebody."""
    desk = WatchDesk(redis_manager, postgres_manager)
    await desk.subscribe(1)
    await desk.tracking.take_over()
    return desk
