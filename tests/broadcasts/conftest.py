from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from managers.storage.postgres import PostgresManager
from tests.admin.people.conftest import house, owner, support
from tests.broadcasts.kit import Broadcasts, broadcasts_on
from tests.delivery.kit import whole_way

__all__ = ["house", "owner", "support"]


@pytest.fixture
async def broadcasts(redis_url: str, postgres_manager: PostgresManager) -> AsyncIterator[Broadcasts]:
    async with whole_way(redis_url) as way:
        yield broadcasts_on(way, postgres_manager)
