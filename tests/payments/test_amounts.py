from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payments.amounts import (
    CENT,
    MAX_DISTINCT_AMOUNTS,
    SOL,
    STARS,
    USDC,
    Asset,
    distinct,
    distinct_amounts,
    from_units,
    price_in,
    show,
    show_paid,
    to_units,
)

prices = st.decimals("1.00", "100000.00", places=2)
rates = st.decimals("0.5", "10000", places=6)
indices = st.integers(0, MAX_DISTINCT_AMOUNTS - 1)


@given(st.integers(0, 10**18), st.sampled_from([SOL, USDC, STARS]))
def test_base_units_there_and_back(units: int, asset: Asset) -> None:
    assert to_units(from_units(units, asset), asset) == units
    assert Decimal(show(from_units(units, asset))) == from_units(units, asset)
    assert "E" not in show(from_units(units, asset))


def test_an_amount_with_too_many_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="6 decimals"):
        to_units(Decimal("0.0000001"), USDC)


@given(prices, rates, indices)
def test_an_amount_of_its_own_is_worth_less_than_a_cent_more(price: Decimal, rate: Decimal, index: int) -> None:
    amount = price_in(price, SOL, rate)
    own = distinct(amount, SOL, rate, index % distinct_amounts(SOL, rate))
    assert amount <= own < amount + CENT / rate
    assert price <= amount * rate < price + rate * from_units(1, SOL)
    assert to_units(own, SOL)


@given(prices, st.lists(indices, unique=True, min_size=2, max_size=50))
def test_no_two_amounts_are_the_same(price: Decimal, several: list[int]) -> None:
    one_usd = Decimal(1)
    amounts = {distinct(price_in(price, USDC, one_usd), USDC, one_usd, index) for index in several}
    assert len(amounts) == len(several)


def test_as_many_as_a_cent_has_units() -> None:
    assert distinct_amounts(USDC, Decimal(1)) == MAX_DISTINCT_AMOUNTS
    assert distinct_amounts(SOL, Decimal(2000)) == 5_000
    assert distinct_amounts(STARS, Decimal("0.013")) == 0
    with pytest.raises(ValueError, match="not below 5000"):
        distinct(Decimal(1), SOL, Decimal(2000), 5_000)


def test_stars_are_read_in_groups_of_three_digits_and_what_is_copied_is_not() -> None:
    assert show_paid(Decimal(24_400), STARS.code) == "24,400"
    assert show_paid(Decimal("24400.50"), SOL.code) == "24400.5"
