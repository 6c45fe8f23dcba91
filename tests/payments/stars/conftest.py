from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from managers.storage.postgres import PostgresManager
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from tests.payments.ledger_kit import Clock
from tests.payments.stars.kit import Shop, customer, shop_on


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox(limits=FloodLimits.off()) as telegram:
        yield telegram


@pytest.fixture
async def shop(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock
) -> AsyncIterator[Shop]:
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        yield shop


@pytest.fixture
async def ann(telegram: TelegramSandbox) -> SandboxUser:
    return await customer(telegram)


@pytest.fixture
async def ben(telegram: TelegramSandbox) -> SandboxUser:
    return await customer(telegram, "Ben")
