from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.payments.ledger_kit import Clock, Stores
from tests.payments.nowpayments.kit import House, house_on


@pytest.fixture
async def nowpayments(clock: Clock) -> AsyncIterator[NowPaymentsSandbox]:
    """Payments that stand still until the test lets money arrive; IPNs that fail come again at once."""
    async with NowPaymentsSandbox(clock=clock.timestamp, ipn_retry_s=0.0, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def manager(nowpayments: NowPaymentsSandbox, session: aiohttp.ClientSession) -> NowPaymentsManager:
    return NowPaymentsManager(
        APIRetryManager(session),
        api_key=nowpayments.api_key,
        base_url=nowpayments.url,
        email="merchant@example.com",
        password="sandbox",
    )


@pytest.fixture
async def house(nowpayments: NowPaymentsSandbox, stores: Stores) -> AsyncIterator[House]:
    """What takes payments in the bot: with notifications, and with the list of payments."""
    async with house_on(nowpayments, stores) as house:
        yield house
