from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from managers.storage.postgres import PostgresManager
from tests.payments.ledger_kit import Clock, Stores, stores_on


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stores(redis_url: str, postgres_manager: PostgresManager, clock: Clock) -> AsyncIterator[Stores]:
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        yield stores
