from __future__ import annotations

import math
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.statistics import Z_95
from domain.tracking.ladder import DOWNS, MILESTONES, UPS, next_milestone, steps_up_to
from domain.tracking.outcome import Outcome, cause_of_death, outcome, reachable_multiple
from domain.tracking.records import MIN_TOKENS, rate, record, wins
from domain.tracking.standing import Standing, TokenState

HOUR, DAY = 3_600, 86_400
NOW = 1_800_000_000.0


def call(token: str, *, peak: float = 1.0, age: float = 10 * DAY, **more: Any) -> Outcome:
    at = NOW - age
    return Outcome(token=token, channel=1, called_at=at, price_usd=1.0, peak_multiple=peak, peak_after_s=60.0, **more)


outcomes = st.lists(
    st.builds(
        call,
        st.sampled_from("abcdefghij"),
        peak=st.floats(1, 1e4),
        age=st.floats(0, 60 * DAY),
        ended_at=st.sampled_from([None, NOW - 9 * DAY]),
        ending=st.sampled_from([None, "age", "liquidity"]),
        reachable_multiple=st.one_of(st.none(), st.floats(0, 1e4)),
        returns=st.dictionaries(st.sampled_from([HOUR, DAY]), st.floats(0, 100)),
    ),
    max_size=40,
)


@given(st.integers(0, 500), st.integers(0, 500))
def test_both_ends_of_the_interval_solve_wilsons_equation(hits: int, misses: int) -> None:
    n = hits + misses
    found = rate(hits, n)
    if not n:
        assert found is None
        return
    assert found
    assert 0 <= found.low_percent <= found.percent <= found.high_percent <= 100
    for end in (found.low_percent / 100, found.high_percent / 100):
        assert abs(hits / n - end) == pytest.approx(Z_95 * math.sqrt(end * (1 - end) / n), abs=1e-9)


@given(outcomes, st.sampled_from([None, 30.0 * DAY, 7.0 * DAY]))
def test_a_record_says_what_a_plain_count_says(calls: list[Outcome], window_s: float | None) -> None:
    inside = [c for c in calls if window_s is None or c.called_at > NOW - window_s]
    first: dict[str, float] = {}
    for some in sorted(inside, key=lambda c: c.called_at):
        first.setdefault(some.token, some.called_at)
    found = record(calls, as_of=NOW, window_s=window_s)
    assert (found.calls, found.tokens) == (len(inside), len(first))
    if found.tokens < MIN_TOKENS:
        assert (found.wins, found.died, found.median_multiple, found.best_multiple, found.returns) == (
            *(None,) * 4,
            {},
        )
        return
    assert found.wins
    assert found.died
    assert found.worst_multiple is not None
    assert found.median_multiple is not None
    assert found.best_multiple is not None
    assert found.wins.n == found.died.n == found.tokens
    assert found.worst_multiple <= found.median_multiple <= found.best_multiple
    assert 0 <= found.open <= found.tokens


@given(outcomes, outcomes)
def test_what_comes_after_the_moment_changes_nothing(calls: list[Outcome], later: list[Outcome]) -> None:
    future = [replace(some, called_at=some.called_at + 100 * DAY) for some in later]
    assert record([*calls, *future], as_of=NOW) == record(calls, as_of=NOW)


@given(outcomes)
def test_what_is_reachable_is_told_beside_a_peak_of_the_same_tokens_and_is_not_above_it(calls: list[Outcome]) -> None:
    found = record(calls, as_of=NOW)
    peak, reachable = found.median_reachable_peak, found.median_reachable_multiple
    assert (peak is None) is (reachable is None)
    assert peak is None or reachable is None or reachable <= peak
    assert all((some.counted_reachable or 0) <= some.peak_multiple for some in calls)


def test_reposts_add_nothing_and_the_first_call_counts() -> None:
    calls = [call(token, peak=1.0) for token in "abcde"]
    reposts = [call(token, peak=50.0, age=9 * DAY) for token in "abcde"]
    found = record([*reposts, *calls], as_of=NOW)
    assert (found.calls, found.tokens, found.best_multiple) == (10, 5, 1.0)
    assert found.wins == rate(0, 5)


def test_open_and_dead_calls_count_as_they_stand() -> None:
    dead = [call(token, peak=1.0, ended_at=NOW - 9 * DAY, ending="liquidity") for token in "abc"]
    still_open = [call(token, peak=3.0) for token in "de"]
    found = record([*dead, *still_open], as_of=NOW, base=wins([3.0, 1.0, 1.0, 1.0, 1.0]))
    assert (found.open, found.wins, found.died) == (2, rate(2, 5), rate(3, 5))
    assert (found.median_multiple, found.average_multiple) == (1.0, pytest.approx(9 / 5))
    assert found.base_percent == 20.0


def test_a_token_that_died_is_worth_nothing_later_and_one_without_a_price_is_left_out() -> None:
    priced = [call(token, returns={HOUR: 2.0, DAY: 4.0}) for token in "abcd"]
    died = call("e", returns={HOUR: 0.5}, ended_at=NOW - 9.5 * DAY, ending="silence")
    unpriced, young = call("f"), call("g", age=HOUR / 2)
    found = record([*priced, died, unpriced, young], as_of=NOW).returns
    assert (found[HOUR].n, found[HOUR].median_multiple, found[HOUR].average_multiple) == (5, 2.0, 1.7)
    assert (found[DAY].n, found[DAY].average_multiple) == (5, median([4.0]) * 4 / 5)


@given(st.floats(1, 1000), st.floats(100, 1e7), st.floats(100, 1e7))
def test_nobody_reaches_more_than_the_prices_say_and_more_money_in_the_pool_helps(
    multiple: float, entry_liquidity: float, peak_liquidity: float
) -> None:
    found = reachable_multiple(1.0, multiple, entry_liquidity_usd=entry_liquidity, peak_liquidity_usd=peak_liquidity)
    better = reachable_multiple(
        1.0, multiple, entry_liquidity_usd=2 * entry_liquidity, peak_liquidity_usd=2 * peak_liquidity
    )
    assert 0 < found < better < multiple
    assert reachable_multiple(1.0, multiple, entry_liquidity_usd=1e15, peak_liquidity_usd=1e15) == pytest.approx(
        multiple
    )
    assert reachable_multiple(1.0, multiple, entry_liquidity_usd=entry_liquidity, peak_liquidity_usd=0.0) == 0.0


def state(**changes: Any) -> TokenState:
    alive = TokenState(1.0, NOW, NOW, 1e5, NOW, None, 2.0, NOW - DAY, None, 0.0, None)
    return alive._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "asked_at", "cause"),
    [
        ({}, NOW, None),
        ({"thin_since": NOW - 60}, NOW, None),
        ({"thin_since": NOW - HOUR}, NOW, "liquidity"),
        ({"thin_since": NOW - HOUR, "liquidity_at": NOW - HOUR}, NOW, None),
        ({"ath_usd": 100.0}, NOW + 60, None),
        ({"ath_usd": 100.0}, NOW + HOUR, "fallen"),
        ({"ath_usd": 99.0}, NOW + HOUR, None),
        ({}, NOW + DAY - 1, None),
        ({}, NOW + DAY, "silence"),
    ],
)
def test_what_kills_a_token(changes: dict[str, object], asked_at: float, cause: str | None) -> None:
    assert cause_of_death(state(**changes), asked_at) == cause


def test_an_outcome_is_told_in_multiples_of_the_call() -> None:
    standing = Standing(3, 7, NOW, 2.0, None, 9.0, NOW + 60, at_least=True, wick_usd=20.0)
    found = outcome("a", standing, ended_at=NOW + DAY, ending="age")
    assert (found.peak_multiple, found.peak_after_s, found.wick_multiple) == (4.5, 60.0, 10.0)
    assert found.at_least
    assert not found.died


def test_the_ladder_climbs_and_its_milestones_are_rungs() -> None:
    assert list(UPS) == sorted(UPS)
    assert list(DOWNS) == sorted(DOWNS, reverse=True)
    assert set(UPS) >= MILESTONES
    assert [steps_up_to(m) for m in (1.0, 1.2, 2.5, 1e9, 0.7, 0.6, 0.0)] == [0, 1, 3, len(UPS), 1, 1, len(DOWNS)]
    assert [next_milestone(m) for m in (1.0, 2.0, 60.0, 1000.0)] == [2.0, 3.0, 100.0, None]
