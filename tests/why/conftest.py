from __future__ import annotations

import pytest

from domain.filters.presets import Preset
from domain.filters.registry import Range
from managers.postgres import PostgresManager
from managers.redis import RedisManager
from tests.why.support import World

CAREFUL = Preset(key="careful", rules={"holders": Range(minimum=100.0)})


@pytest.fixture
def world(redis_manager: RedisManager, postgres_manager: PostgresManager) -> World:
    return World(redis_manager, postgres_manager, presets=(CAREFUL,))
