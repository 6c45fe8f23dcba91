"""Conditions as they are typed, carried by buttons, and met."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tracking.confirmation import CONFIRM_S, CONFIRM_TICKS, LIQUIDITY_FRESH_S, MIN_LIQUIDITY_USD, NEAR
from domain.watches.conditions import MAX_MULTIPLE, MAX_VALUE, MIN_MULTIPLE, MIN_VALUE, Condition, Figures
from domain.watches.crossing import REARMS_BY, judge
from domain.watches.evidence import Evidence, Levels, Reading
from domain.watches.reading import read_conditions
from handlers.watches.buttons import BeginWatch
from runtime.errors import UserFacingError
from tests.texts.hostile import hostile_text

ADDRESS = "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"
NOW = Figures(price_usd=0.01, market_cap_usd=500_000.0)

amounts = st.floats(MIN_VALUE, MAX_VALUE)
conditions = st.one_of(
    st.builds(
        Condition,
        subject=st.sampled_from(["price", "market_cap"]),
        side=st.sampled_from(["above", "below"]),
        value=amounts,
        each_time=st.booleans(),
    ),
    st.builds(
        Condition,
        subject=st.just("multiple"),
        side=st.just("above"),
        value=st.floats(1.001, MAX_MULTIPLE),
        each_time=st.booleans(),
    ),
    st.builds(
        Condition,
        subject=st.just("multiple"),
        side=st.just("below"),
        value=st.floats(MIN_MULTIPLE, 0.999),
        each_time=st.booleans(),
    ),
)


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        ("2x", ["ma2o"]),
        ("x5 each time", ["ma5e"]),
        ("-50%", ["mb0.5o"]),
        ("−50 %", ["mb0.5o"]),
        ("+30%", ["ma1.3o"]),
        ("down 30%", ["mb0.7o"]),
        ("50%", ["ma1.5o", "mb0.5o"]),
        ("0.5x", ["mb0.5o"]),
        ("mc > 1M", ["ca1000000o"]),
        ("market cap below 20k, once", ["cb20000o"]),
        ("mcap 1,5M", ["ca1500000o"]),
        ("mc 100k", ["cb100000o"]),
        ("price < 0.001", ["pb0.001o"]),
        ("price 0.0₇123", ["pb1.23e-08o"]),
        ("price down to $0.005", ["pb0.005o"]),
        ("reaches 2x", ["ma2o"]),
        ("mc > 20.000", ["ca20000o", "ca20o"]),
        ("mc below 50", ["cb50000o", "cb50o"]),
        ("mc below $50", ["cb50o"]),
        ("1M", ["ca1000000o", "pa1000000o"]),
    ],
)
def test_what_people_type(typed: str, codes: list[str]) -> None:
    assert [one.code for one in read_conditions(typed, NOW)] == codes


@pytest.mark.parametrize("typed", ["", "abc", "1x", "-100%", "mc -3", "price 0", "mc 1M - 2M", "below 2x", "p < 1e"])
def test_what_is_none_is_refused(typed: str) -> None:
    with pytest.raises(UserFacingError) as refused:
        read_conditions(typed, NOW)
    assert refused.value.key in {"watch.unreadable", "watch.never"}


def test_where_nobody_knows_what_it_costs_both_ways_are_meant() -> None:
    assert [one.side for one in read_conditions("mc 1M", Figures())] == ["above", "below"]


@given(st.one_of(hostile_text, st.text("mcpricex$%<>+-.,0123456789 kMB", max_size=24)))
def test_whatever_is_typed_is_read_or_refused(typed: str) -> None:
    try:
        found = read_conditions(typed, NOW)
    except UserFacingError:
        return
    assert found
    for one in found:
        assert one.is_sound
        assert Condition.of_code(one.code) == one


@given(conditions)
def test_a_button_carries_every_condition(condition: Condition) -> None:
    shown = BeginWatch(ADDRESS, condition.code).pack()
    read = Condition.of_code(BeginWatch.unpack(shown).code)
    assert math.isclose(read.value, condition.value, rel_tol=1e-8)
    assert (read.subject, read.side, read.each_time) == (condition.subject, condition.side, condition.each_time)


@given(st.text("mpcabeo.-0123456789nif", max_size=20))
def test_a_button_of_somebody_else_is_stale_or_ours(code: str) -> None:
    with suppress(UserFacingError):
        assert Condition.of_code(code).code == code


readings = st.lists(
    st.tuples(
        st.sampled_from([0.0, math.nan, -1.0, 0.4, 0.9, 1.0, 1.1, 1.9, 2.0, 2.1, 3.0, 2_000.0, 1e-5]),
        st.sampled_from([-5.0, 0.0, 1.0, 20.0, 40.0, 900.0]),
        st.integers(0, 1),
        st.sampled_from([None, 100.0, 2 * MIN_LIQUIDITY_USD]),
    ),
    max_size=40,
)
"""Price, seconds since the one before, source and liquidity."""


def confirmed(seen: list[tuple[float, float, int]], target: float) -> bool:
    """Plainly: the latest prices stand at or above the target, and there are enough of them."""
    end: list[tuple[float, float, int]] = []
    for one in reversed(seen):
        if one[0] < target:
            break
        end.append(one)
    span = end[0][1] - end[-1][1] if end else 0.0
    return len(end) >= CONFIRM_TICKS or (len(end) > 1 and (span >= CONFIRM_S or len({one[2] for one in end}) > 1))


@given(readings)
def test_nothing_is_met_that_prices_do_not_stand_for(some: list[tuple[float, float, int, float | None]]) -> None:
    evidence, at, armed = Evidence(), 1_000.0, True
    seen: list[tuple[float, float, int]] = []
    met: list[str] = []
    for price, after_s, source, liquidity in some:
        at += after_s
        before = evidence.at, evidence.price_usd, evidence.source
        levels = evidence.take(Reading(price, at, source, liquidity))
        if (evidence.at, evidence.price_usd, evidence.source) != before:
            seen.append((price, at, source))
        found = judge("above", 2.0, levels, armed=armed)
        if found is None:
            continue
        change, level = found
        armed = change == "armed"
        met.append(change)
        if change == "met":
            assert confirmed(seen, 2.0)
            assert level.price >= 2.0 * (1 - 1e-9)
            known = at - evidence.liquidity_at <= LIQUIDITY_FRESH_S
            assert not known or evidence.liquidity_usd is None or evidence.liquidity_usd >= MIN_LIQUIDITY_USD
        else:
            assert level.price <= 2.0 * (1 - REARMS_BY)
    assert met[:1] in ([], ["met"])
    assert all(one != other for one, other in pairwise(met)), "in between it has to go back"


@given(st.lists(st.sampled_from([0.5, 1.0, 1.9, 1.95, 2.0, 2.1, 4.0]), max_size=30))
def test_prices_that_are_said_often_enough_meet_it_exactly_when_they_have_gone_back(prices: list[float]) -> None:
    evidence, armed, met, at = Evidence(liquidity_usd=30_000.0, liquidity_at=1e12), True, 0, 1_000.0
    expected, can_be_met = 0, True
    for price in prices:
        for _ in range(CONFIRM_TICKS):
            at += 1.0
            found = judge("above", 2.0, evidence.take(Reading(price, at, 0)), armed=armed)
            if found is not None:
                armed = found[0] == "armed"
                met += found[0] == "met"
        if can_be_met and price >= 2.0:
            expected, can_be_met = expected + 1, False
        elif not can_be_met and price <= 2.0 * (1 - REARMS_BY):
            can_be_met = True
    assert met == expected


def test_a_market_cap_that_is_off_once_moves_nothing() -> None:
    evidence = Evidence()
    for at, cap in ((1.0, 1e6), (2.0, 1e6), (3.0, 1e10), (4.0, 1e6)):
        evidence.take(Reading(1.0, at, 0, None, cap))
        assert evidence.supply == 1e6
    for at in (5.0, 6.0):
        evidence.take(Reading(1.0, at, 0, None, 2e6))
    assert evidence.supply == 2e6, "said twice"


def test_nothing_is_confirmed_without_a_reading() -> None:
    assert judge("below", 1.0, Levels(None, None, None), armed=True) is None


@given(st.floats(1e-4, 1.0), st.lists(st.tuples(st.integers(0, 1), st.sampled_from([1.0, 20.0, 300.0])), max_size=30))
def test_a_source_that_stays_off_while_the_price_falls_carries_it_no_farther_than_prices_agree(
    crash: float, some: list[tuple[int, float]]
) -> None:
    """The price was 1.0. A fall that brings what is off near it looks like a rise by so much, and nobody can tell."""
    evidence, at = Evidence(), 1_000.0
    for price, source in ((1.0, 0), (1.0, 0), (1e4, 1)):
        evidence.take(Reading(price, at := at + 1, source, 30_000.0))
    for place, (source, after_s) in enumerate(some):
        price = crash if place >= 3 else 1.0
        levels = evidence.take(Reading(price * (1e4 if source else 1), at := at + after_s, source, 30_000.0))
        assert levels.risen is None or levels.risen.price <= NEAR
