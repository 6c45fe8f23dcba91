from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.statistics import wilson_lower_percent


@pytest.mark.parametrize(
    ("wins", "n", "percent"),
    [
        (81, 263, 25.53),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 0.2553
        (15, 148, 6.24),  # the same: 0.0624
        (0, 20, 0.0),  # the same: 0.0000
        (1, 29, 0.61),  # the same: 0.0061
        (8, 10, 49.02),
        (80, 100, 71.12),
        (1, 1, 20.65),
    ],
)
def test_known_bounds(wins: int, n: int, percent: float) -> None:
    assert wilson_lower_percent(wins, n) == pytest.approx(percent, abs=0.005)


def test_nothing_is_known_of_a_channel_that_never_called() -> None:
    assert wilson_lower_percent(0, 0) is None


@pytest.mark.parametrize(("wins", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_records_are_refused(wins: int, n: int) -> None:
    with pytest.raises(ValueError, match="wins"):
        wilson_lower_percent(wins, n)


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bound_is_below_the_rate_and_rises_with_the_sample(record: tuple[int, int]) -> None:
    wins, n = record
    low, more = wilson_lower_percent(wins, n), wilson_lower_percent(10 * wins, 10 * n)
    assert low is not None
    assert more is not None
    assert 0 <= low <= 100 * wins / n
    assert low <= more + 1e-9
