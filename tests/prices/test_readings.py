"""What is a price and what is none."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.prices.readings import MAX_PRICE_USD, MIN_PRICE_USD, TokenRef, checked_reading

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINT = TokenRef("7YygHaahdKVNtbu9GyFRnnBgf7hKzC76hnuHHfxCKRij")

anything = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.text(max_size=20)
    | st.floats().map(str)
    | st.lists(st.integers(), max_size=2)
)


@given(anything, anything, anything)
def test_whatever_comes_a_reading_can_be_reckoned_with(price: object, liquidity: object, cap: object) -> None:
    reading = checked_reading(MINT, price, at=AT, source="x", liquidity_usd=liquidity, market_cap_usd=cap)
    if reading is None:
        return
    assert MIN_PRICE_USD <= reading.price_usd <= MAX_PRICE_USD
    assert reading.liquidity_usd is None or 0 <= reading.liquidity_usd < math.inf
    assert reading.market_cap_usd is None or 0 < reading.market_cap_usd < math.inf


@pytest.mark.parametrize(
    "nothing",
    [0, -1.0, "0", "-0.1", "", " ", "NaN", "Infinity", "1e999", "abc", "1_0", "١", None, True, 1e10, 1e-19, []],
)
def test_what_is_no_price_gives_no_reading(nothing: object) -> None:
    assert checked_reading(MINT, nothing, at=AT, source="x") is None


def test_a_figure_that_makes_no_sense_costs_itself_only() -> None:
    reading = checked_reading(MINT, "0.00001499", at=AT, source="x", liquidity_usd="-97.36", market_cap_usd=1e30)
    assert reading is not None
    assert (reading.price_usd, reading.liquidity_usd, reading.market_cap_usd) == (0.00001499, None, None)


def test_case_matters_on_solana_alone() -> None:
    assert TokenRef("AbC").key != TokenRef("abc").key
    assert TokenRef("0xAbC", "ethereum").key == TokenRef("0xabc", "ethereum").key
