from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.delivery.kit import Way, whole_way


@pytest.fixture
async def way(redis_url: str) -> AsyncIterator[Way]:
    async with whole_way(redis_url) as way:
        yield way
