from __future__ import annotations

import pytest

from domain.filters.presets import Preset
from domain.filters.registry import Range
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from tests.why.support import World

CAREFUL = Preset(key="careful", rules={"holders": Range(minimum=100.0)})


@pytest.fixture
def world(redis_manager: RedisManager, postgres_manager: PostgresManager) -> World:
    return World(redis_manager, postgres_manager, presets=(CAREFUL,))
