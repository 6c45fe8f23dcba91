from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from managers.http.api import APIRetryManager
from managers.providers.jupiter import SOL_MINT, JupiterManager, SolPrice
from runtime.errors import TransientError
from sandbox.providers.jupiter import PriceSandbox
from tests.feed.support import address


@pytest.fixture
async def prices() -> AsyncIterator[PriceSandbox]:
    async with PriceSandbox(sol_usd=180.0) as sandbox:
        yield sandbox


@pytest.fixture
def jupiter(prices: PriceSandbox, api_manager: APIRetryManager) -> JupiterManager:
    return JupiterManager(api_manager, prices.url)


async def test_prices_come_in_pages_of_fifty_and_the_unknown_is_absent(prices: PriceSandbox, jupiter: JupiterManager):
    mints = [address(number) for number in range(1, 121)]
    prices.usd |= {mint: number / 1_000 for number, mint in enumerate(mints[:119], start=1)}
    assert await jupiter.prices_usd([*mints, mints[0]]) == {
        mint: number / 1_000 for number, mint in enumerate(mints[:119], start=1)
    }
    assert prices.requests == 3
    assert await jupiter.prices_usd([]) == {}


@pytest.mark.parametrize("nonsense", [0.0, -5.0, None, "12", True, 10**400])
async def test_a_price_that_is_none_is_absent(prices: PriceSandbox, jupiter: JupiterManager, nonsense: float):
    prices.usd[address(1)] = nonsense
    assert await jupiter.prices_usd([address(1), SOL_MINT]) == {SOL_MINT: 180.0}


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_refusals_are_transient(prices: PriceSandbox, jupiter: JupiterManager, status: int):
    prices.status = status
    with pytest.raises(TransientError, match=str(status)):
        await jupiter.prices_usd([SOL_MINT])


async def test_an_absent_server_is_transient(api_manager: APIRetryManager, unused_tcp_port: int):
    jupiter = JupiterManager(api_manager, f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(TransientError):
        await jupiter.prices_usd([SOL_MINT])


async def test_the_price_of_sol_is_kept_for_ten_minutes(prices: PriceSandbox, jupiter: JupiterManager):
    now = datetime(2026, 11, 20, tzinfo=UTC)
    sol = SolPrice(jupiter, clock=lambda: now)
    assert sol.value() is None
    await sol.refresh()
    assert sol.value() == 180.0
    now += timedelta(minutes=10)
    assert sol.value() == 180.0
    prices.status = 500
    with pytest.raises(TransientError):
        await sol.refresh()
    assert sol.value() == 180.0
    now += timedelta(seconds=1)
    assert sol.value() is None
    prices.status = 200
    del prices.usd[SOL_MINT]
    with pytest.raises(TransientError):
        await sol.refresh()
