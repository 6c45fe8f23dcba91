from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from managers.storage.postgres import PostgresManager
from tests.delivery.kit import whole_way
from tests.reports.kit import Reports, reports_on


@pytest.fixture
async def reports(redis_url: str, postgres_manager: PostgresManager) -> AsyncIterator[Reports]:
    async with whole_way(redis_url) as way:
        yield reports_on(way, postgres_manager)
