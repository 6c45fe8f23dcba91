from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from solders.pubkey import Pubkey

from managers.storage.postgres import PostgresManager
from sandbox.payments.solana.server import SolanaSandbox
from tests.payments.ledger_kit import Clock, Stores, stores_on
from tests.payments.solana_kit import Shop, new_address, shop_on


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stores(redis_url: str, postgres_manager: PostgresManager, clock: Clock) -> AsyncIterator[Stores]:
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        yield stores


@pytest.fixture
async def solana(clock: Clock) -> AsyncIterator[SolanaSandbox]:
    """A cluster whose slots pass when the test says so."""
    async with SolanaSandbox(clock=clock.timestamp) as sandbox:
        yield sandbox


@pytest.fixture
def address() -> Pubkey:
    return new_address()


@pytest.fixture
async def shop(stores: Stores, solana: SolanaSandbox, address: Pubkey) -> AsyncIterator[Shop]:
    async with shop_on(stores, solana, address) as shop:
        yield shop
