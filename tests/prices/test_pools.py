"""Which pool tells the price: wrong sides, curves that were left, pools that anybody may have made."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.prices.pools import DAY_S, HOUR_S, MINUTES_5_S, Pool, reading_of
from domain.prices.readings import TokenRef

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
SOL = "So11111111111111111111111111111111111111112"
MINT = TokenRef("2g4LS3y2myPe6vj9wTvoBE1wKqxvhnZPoZA9QU9upump")


def a_pool(name: str, price_usd: float, **figures: Any) -> Pool:
    plain = Pool(address=name, dex="pumpswap", base=MINT.address, quote=SOL, base_usd=price_usd)
    return replace(plain, **figures)


def chosen(*pools: Pool) -> str | None:
    reading = reading_of(MINT, pools, source="test", at=AT)
    return None if reading is None else reading.pool


def curve(**figures: Any) -> Pool:
    return a_pool("curve", 0.295, **{"dex": "pumpfun", "market_cap_usd": 42_000.0} | figures)


def test_a_curve_left_at_migration_does_not_tell_the_price() -> None:
    leftover = curve(liquidity_usd=1_467_997.0, market_cap_usd=295_307_085.0)
    live = a_pool("live", 2.333e-6, liquidity_usd=2_326.0, market_cap_usd=2_333.0, quiet_s=HOUR_S)
    reading = reading_of(MINT, [leftover, live], source="test", at=AT)
    assert reading is not None
    assert (reading.price_usd, reading.pool, reading.market_cap_usd) == (2.333e-6, "live", 2_333.0)
    assert chosen(leftover) is None


def test_a_curve_that_is_all_there_is_tells_it() -> None:
    assert chosen(curve(liquidity_usd=18_000.0, quiet_s=HOUR_S)) == "curve"
    assert chosen(curve()) == "curve"


@pytest.mark.parametrize(
    ("curve_quiet_s", "exchange_quiet_s", "liquidity_usd", "expected"),
    [
        (MINUTES_5_S, MINUTES_5_S, 12_000.0, "pool"),  # migrated a moment ago
        (MINUTES_5_S, MINUTES_5_S, 40.0, "curve"),  # somebody's own pool beside a living curve
        (MINUTES_5_S, HOUR_S, 1e6, "curve"),  # nobody trades there
        (HOUR_S, HOUR_S, 40.0, "pool"),  # migrated and dead soon after
        (DAY_S, DAY_S, None, "pool"),
        (math.inf, math.inf, 2_000.0, "pool"),
    ],
)
def test_curve_or_exchange(
    curve_quiet_s: float, exchange_quiet_s: float, liquidity_usd: float | None, expected: str
) -> None:
    exchange = a_pool("pool", 1.0, quiet_s=exchange_quiet_s, liquidity_usd=liquidity_usd)
    assert chosen(curve(quiet_s=curve_quiet_s, liquidity_usd=1e9), exchange) == expected


@pytest.mark.parametrize("dex", ["pump-fun", "pumpfun", "meteora-dbc", "four.meme", "LaunchLab"])
def test_curves_are_known_however_they_are_written(dex: str) -> None:
    assert chosen(a_pool("curve", 9.0, dex=dex, liquidity_usd=1e9), a_pool("live", 1.0, liquidity_usd=1.0)) == "live"


def test_among_exchanges_what_is_traded_counts_then_what_stands_behind_it() -> None:
    deep = a_pool("deep", 1.0, liquidity_usd=50_000.0, quiet_s=MINUTES_5_S)
    dust = a_pool("dust", 99.0, liquidity_usd=5.0, quiet_s=MINUTES_5_S)
    left = a_pool("left", 7.0, liquidity_usd=400_000.0, quiet_s=DAY_S)
    silent = a_pool("silent", 8.0, liquidity_usd=900_000.0)
    assert chosen(dust, left, deep, silent) == "deep"
    assert chosen(dust, left, silent) == "left"
    assert chosen(dust, silent) == "silent"


def test_what_is_paid_with_the_token_prices_something_else() -> None:
    turned = a_pool("turned", 165.0, base=SOL, quote=MINT.address, base_in_quote=82_500_000.0, liquidity_usd=9_000.0)
    assert chosen(turned) is None  # nothing bears out what it would come to
    borne_out = a_pool(
        "turned",
        165.0,
        base=SOL,
        quote=MINT.address,
        base_in_quote=82_500_000.0,
        base_reserve=30.0,
        quote_reserve=2.4e9,
        market_cap_usd=8e10,
    )
    reading = reading_of(MINT, [borne_out], source="test", at=AT)
    assert reading is not None
    assert reading.price_usd == pytest.approx(2e-6)
    assert reading.market_cap_usd is None  # that one is SOL's
    assert chosen(borne_out, a_pool("own", 2.1e-6)) == "own"


def test_a_curve_may_be_left_for_a_pool_that_prices_what_the_token_is_paid_in() -> None:
    turned = a_pool("turned", 165.0, base=SOL, quote=MINT.address, base_in_quote=16_500.0, quiet_s=MINUTES_5_S)
    turned = replace(turned, base_reserve=100.0, quote_reserve=1_650_000.0, liquidity_usd=33_000.0)
    reading = reading_of(MINT, [curve(liquidity_usd=25.0, quiet_s=DAY_S), turned], source="test", at=AT)
    assert reading is not None
    assert (reading.pool, reading.price_usd, reading.liquidity_usd) == ("turned", pytest.approx(0.01), 33_000.0)
    assert chosen(curve(quiet_s=MINUTES_5_S), replace(turned, quiet_s=DAY_S)) == "curve", "nobody trades there"


def test_a_price_in_something_else_is_not_converted_by_it() -> None:
    in_sol = a_pool(
        "turned", 165.0, base=SOL, quote=MINT.address, base_in_quote=1.0, base_reserve=30.0, quote_reserve=2.4e9
    )
    assert chosen(in_sol) is None


def test_a_pool_of_others_tells_nothing() -> None:
    assert chosen(a_pool("foreign", 1.0, base=MINT.address.lower())) is None
    assert chosen() is None
