from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.payments.buying.kit import Buyer, Shop, open_shop


@pytest.fixture
async def shop(redis_url: str, postgres_dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(redis_url, postgres_dsn) as shop:
        yield shop


@pytest.fixture
async def ann(shop: Shop) -> Buyer:
    return await shop.person()
