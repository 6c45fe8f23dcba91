from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.payments.forged.kit import Scene, scene_on
from tests.payments.forged.processor import SECRET


@pytest.fixture
async def scene(redis_url: str, postgres_dsn: str) -> AsyncIterator[Scene]:
    async with scene_on(redis_url, postgres_dsn, ipn_secret=SECRET) as scene:
        yield scene
