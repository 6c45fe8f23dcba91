"""The price of SOL counts when two sources agree on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from managers.http.api import APIRetryManager
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.jupiter import SOL_MINT, JupiterManager
from runtime.errors import TransientError
from sandbox.providers.dexscreener import DexScreenerSandbox, pair
from sandbox.providers.jupiter import PriceSandbox
from services.payments.rates import HOLDS_FOR, Rates, RateUnknownError
from tests.payments.ledger_kit import Clock


@pytest.fixture
async def api() -> AsyncIterator[APIRetryManager]:
    async with aiohttp.ClientSession() as session:
        yield APIRetryManager(session)


@pytest.fixture
async def jupiter() -> AsyncIterator[PriceSandbox]:
    async with PriceSandbox(sol_usd=160.0) as sandbox:
        yield sandbox


@pytest.fixture
async def dexscreener() -> AsyncIterator[DexScreenerSandbox]:
    async with DexScreenerSandbox(sol_usd=160.0) as sandbox:
        yield sandbox


@pytest.fixture
def rates(api: APIRetryManager, jupiter: PriceSandbox, dexscreener: DexScreenerSandbox, clock: Clock) -> Rates:
    return Rates(one=JupiterManager(api, jupiter.url), other=DexScreenerManager(api, dexscreener.url), clock=clock)


@pytest.mark.parametrize(
    ("second", "rate"), [(160.0, "160"), (158.0, "159"), (156.8, "158.4"), (163.2, "161.6"), (156.7, None), (166, None)]
)
async def test_they_may_differ_by_two_percent(
    dexscreener: DexScreenerSandbox, rates: Rates, second: float, rate: str | None
) -> None:
    dexscreener.sol_usd = second
    assert await rates.of("SOL") == (None if rate is None else Decimal(rate))
    assert rates.disagreements == (rate is None)


async def test_with_one_source_gone_there_is_no_price(
    jupiter: PriceSandbox, dexscreener: DexScreenerSandbox, rates: Rates, clock: Clock
) -> None:
    dexscreener.status = 503
    with pytest.raises(RateUnknownError) as caught:
        await rates.require("SOL")
    assert caught.value.key == "payment.no_rate"
    dexscreener.status = 200
    assert await rates.require("SOL") == 160, "nothing is remembered of the failure"
    clock.now += HOLDS_FOR
    del jupiter.usd[SOL_MINT]
    assert await rates.of("SOL") is None


async def test_what_was_agreed_on_holds_for_seconds(
    jupiter: PriceSandbox, dexscreener: DexScreenerSandbox, rates: Rates, clock: Clock
) -> None:
    await rates.of("SOL")
    jupiter.usd[SOL_MINT] = dexscreener.sol_usd = 170.0
    assert await rates.of("SOL") == 160
    clock.now += HOLDS_FOR
    assert await rates.of("SOL") == 170
    assert (jupiter.requests, dexscreener.requests) == (2, 2)


async def test_a_dollar_on_the_chain_is_a_dollar(jupiter: PriceSandbox, rates: Rates) -> None:
    assert await rates.of("USDC") == 1
    assert await rates.of("BONK") is None
    assert jupiter.requests == 0


async def test_the_largest_pool_that_prices_sol_tells(api: APIRetryManager, dexscreener: DexScreenerSandbox) -> None:
    asked = DexScreenerManager(api, dexscreener.url)
    dexscreener.pairs = [
        pair("0.001", base="BONK", quote=SOL_MINT, liquidity_usd=9e9),
        pair("150.5", liquidity_usd=2e6),
        pair("160.25", liquidity_usd=3e7),
        pair("9999", liquidity_usd=99_999),
        pair("9999", liquidity_usd=None),
        pair("NaN"),
        pair("-1"),
        {**pair("9999"), "priceUsd": 9999},
        {**pair("9999"), "priceUsd": None},
    ]
    assert await asked.sol_usd() == Decimal("160.25")
    dexscreener.pairs = dexscreener.pairs[3:]
    with pytest.raises(TransientError, match="no pool"):
        await asked.sol_usd()


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_refusals_are_transient(api: APIRetryManager, dexscreener: DexScreenerSandbox, status: int) -> None:
    dexscreener.status = status
    with pytest.raises(TransientError):
        await DexScreenerManager(api, dexscreener.url).sol_usd()
