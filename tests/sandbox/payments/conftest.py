from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from solana.rpc.async_api import AsyncClient

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana.server import SolanaSandbox
from tests.sandbox.payments.nowpayments_kit import Client, Merchant
from tests.sandbox.payments.solana_kit import Rpc


@pytest.fixture
async def solana() -> AsyncIterator[SolanaSandbox]:
    """A cluster whose slots pass when the test says so."""
    async with SolanaSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def client(solana: SolanaSandbox) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(solana.url) as client:
        yield client


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def rpc(solana: SolanaSandbox, session: aiohttp.ClientSession) -> Rpc:
    return Rpc(solana.url, session)


@pytest.fixture
async def nowpayments() -> AsyncIterator[NowPaymentsSandbox]:
    """Payments that stand still until the test lets money arrive."""
    async with NowPaymentsSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def merchant_api(nowpayments: NowPaymentsSandbox, session: aiohttp.ClientSession) -> Client:
    return Client(nowpayments, session)


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with Merchant() as merchant:
        yield merchant
