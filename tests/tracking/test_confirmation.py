"""What is believed and what is not, by example."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tracking.confirmation import CONFIRM_S, GAP_S, LIQUIDITY_FRESH_S, MIN_LIQUIDITY_USD
from domain.tracking.crossings import Crossing
from domain.tracking.outcome import FALLEN_SILENT_FOR_S, cause_of_death
from domain.tracking.snapshot import UnreadableSnapshotError, dump, restore
from domain.tracking.tracker import Tracker

BEGAN = 1_800_000_000.0
RICH = 10 * MIN_LIQUIDITY_USD
THIN = MIN_LIQUIDITY_USD / 2
FEED, POLL = 1, 2


class Market:
    """One token, called at a price of 1."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.token = self.tracker.open("a", 1.0, BEGAN)
        self.entry = self.tracker.add(self.token, 7, called_at=BEGAN, price_usd=1.0, market_cap_usd=1e5)
        self.now = BEGAN

    def tick(
        self, price: float, after_s: float = 1.0, source: int = FEED, liquidity: float | None = RICH
    ) -> list[Crossing]:
        self.now += after_s
        found = self.tracker.update(self.token, price, self.now, source, liquidity)
        return [crossing for crossings in found for crossing in crossings]

    def multiples(self, *prices: float, **how: Any) -> list[float]:
        return [crossing.multiple for price in prices for crossing in self.tick(price, **how)]


def test_three_ticks_confirm_a_rung_and_those_below_it_once() -> None:
    market = Market()
    assert market.multiples(2.1, 2.3) == []
    assert market.multiples(2.2) == [1.2, 1.5, 2.0]
    assert market.multiples(1.0, 2.1, 2.1, 2.1, 2.1) == []


def test_a_wick_reaches_nothing_and_is_known_as_a_wick() -> None:
    market = Market()
    assert market.multiples(1.0, 9.0, 1.1, 8.0, 1.1, 1.1) == []
    [standing] = market.tracker.standings(market.token)
    assert (standing.peak_usd, standing.wick_usd) == (1.1, 9.0)
    assert market.tracker.state(market.token).wick_usd == 9.0


def test_two_ticks_are_enough_when_they_are_far_enough_apart() -> None:
    assert Market().multiples(2.1, 2.1, after_s=CONFIRM_S) == [1.2, 1.5, 2.0]
    assert Market().multiples(2.1, 2.1, after_s=CONFIRM_S - 1) == []


def test_a_second_source_confirms_at_once() -> None:
    market = Market()
    market.tick(2.1)
    assert [crossing.multiple for crossing in market.tick(2.2, source=POLL)] == [1.2, 1.5, 2.0]


@pytest.mark.parametrize("liquidity", [0.0, THIN])
def test_a_pool_that_cannot_pay_confirms_nothing_whoever_says_so(liquidity: float) -> None:
    market = Market()
    assert market.multiples(*[2.1] * 5, liquidity=liquidity) == []
    assert market.tick(2.2, source=POLL, liquidity=liquidity) == []
    assert market.multiples(2.1, liquidity=RICH) == [1.2, 1.5, 2.0]


def test_where_the_liquidity_is_unknown_only_a_second_source_counts() -> None:
    market = Market()
    assert [*market.tick(1.0), *market.tick(1.0, after_s=LIQUIDITY_FRESH_S, liquidity=None)] == []
    assert [c for _ in range(5) for c in market.tick(2.1, liquidity=None)] == []
    assert [crossing.multiple for crossing in market.tick(2.1, source=POLL, liquidity=None)] == [1.2, 1.5, 2.0]


def test_a_fall_is_real_without_liquidity() -> None:
    market = Market()
    assert market.multiples(0.4, 0.4, 0.4, liquidity=0.0) == [0.7, 0.5]


@pytest.mark.parametrize("factor", [1e4, 1e-4])
@pytest.mark.parametrize("liquidity", [None, THIN])
def test_an_absurd_mark_without_money_behind_it_is_put_aside(factor: float, liquidity: float | None) -> None:
    market = Market()
    market.tick(1.0)
    for source in (FEED, POLL, FEED, POLL):
        assert market.tick(factor, source=source, liquidity=liquidity) == []
    assert market.tracker.refused.absurd == 4
    state = market.tracker.state(market.token)
    assert (state.price_usd, state.liquidity_usd, state.wick_usd) == (1.0, RICH, None)


def test_a_stale_pool_that_one_source_repeats_is_not_believed_but_two_sources_are() -> None:
    market = Market()
    assert market.multiples(*[5e3] * 9) == []
    assert market.tracker.state(market.token).price_usd == 1.0
    assert market.tick(5e3, source=POLL)[-1].multiple == 1000.0
    assert market.tracker.state(market.token).price_usd == 5e3


def test_one_absurd_mark_does_not_make_the_next_good_one_absurd() -> None:
    market = Market()
    market.tick(500.0)
    market.tick(300_000.0)
    assert market.tick(1.0, liquidity=None) == []
    assert market.tracker.refused.absurd == 0
    assert market.tracker.state(market.token).price_usd == 1.0


@given(
    crash=st.floats(1e-4, 1.0),
    order=st.lists(st.sampled_from([FEED, POLL, POLL, POLL]), min_size=1, max_size=40),
    crashes_at=st.integers(0, 20),
    step_s=st.sampled_from([1.0, 20.0, 60.0, 300.0]),
    off_by=st.sampled_from([1e4, 3e3, 1e6]),
)
def test_who_stays_off_while_the_price_falls_makes_nobody_rise(
    crash: float, order: list[int], crashes_at: int, step_s: float, off_by: float
) -> None:
    """What they say comes back into proportion meanwhile, and is as wrong as before."""
    market = Market()
    market.tick(1.0)
    market.tick(off_by, source=POLL)
    for place, source in enumerate(order):
        price = crash if place >= crashes_at else 1.0
        said = market.tick(price * off_by if source == POLL else price, after_s=step_s, source=source)
        assert not [crossing for crossing in said if crossing.multiple > 1]


def test_who_was_off_is_believed_again_when_another_source_agrees() -> None:
    market = Market()
    market.multiples(1.0, 1e4, 1.0)
    assert market.multiples(2.1, 2.1, 2.1, 2.1, after_s=20.0) == []
    assert [crossing.multiple for crossing in market.tick(2.2, source=POLL)] == [1.2, 1.5, 2.0]
    assert market.multiples(3.1, 3.1, 3.1) == [3.0]


def test_who_was_off_and_is_alone_is_believed_again_after_a_while() -> None:
    market = Market()
    market.multiples(1.0, 1e4, 1.0)
    assert market.multiples(*[2.1] * 9, after_s=GAP_S / 10) == []
    assert market.multiples(*[2.1] * 4, after_s=GAP_S / 10) == [1.2, 1.5, 2.0]


def test_who_contradicts_another_source_by_ten_thousand_is_not_believed_whoever_of_them_came_first() -> None:
    market = Market()
    market.tick(1.0)
    market.tick(0.004)
    assert market.multiples(*[40.0] * 9, source=POLL, after_s=20.0) == []


@pytest.mark.parametrize("prices", [(40.0, 1e4), (1e4, 40.0)])
def test_a_wick_and_a_source_that_is_far_off_are_no_two_sources(prices: tuple[float, float]) -> None:
    market = Market()
    market.tick(1.0)
    for price in prices:
        assert market.tick(price, source=POLL if price == 1e4 else FEED) == []
    assert market.multiples(1.0, 2.1, 2.1, 2.1) == [1.2, 1.5, 2.0]


@given(st.lists(st.tuples(st.sampled_from([FEED, POLL]), st.floats(1.0, 120.0)), min_size=200, max_size=300))
@settings(max_examples=20)
def test_two_sources_that_round_otherwise_do_not_keep_a_dead_token_alive(some: list[tuple[int, float]]) -> None:
    market = Market()
    market.multiples(0.001, 0.001, 0.001)
    fell_at = market.now
    for source, after_s in some:
        market.tick(0.001 if source == FEED else 0.0010005, after_s=after_s, source=source)
    state = market.tracker.state(market.token)
    assert state.moved_at <= fell_at
    died = market.now - fell_at >= FALLEN_SILENT_FOR_S
    assert (cause_of_death(state, state.at) == "fallen") == died


def test_small_trades_add_up_to_a_move() -> None:
    market = Market()
    market.multiples(1.0, 1.0011)
    before = market.tracker.state(market.token).moved_at
    assert before == BEGAN
    market.tick(1.0022)
    assert market.tracker.state(market.token).moved_at == market.now


def test_what_was_reached_in_a_gap_is_late_and_its_peak_at_least() -> None:
    market = Market()
    market.tick(1.0)
    assert market.tick(2.1, after_s=GAP_S + 1) == []
    market.tick(2.1)
    assert [crossing.late for crossing in market.tick(2.1)] == [True] * 3
    market.multiples(3.1, 3.1)
    assert [crossing.late for crossing in market.tick(3.1)] == [False]
    [standing] = market.tracker.standings(market.token)
    assert standing.at_least


def test_candles_close_a_gap() -> None:
    market = Market()
    market.tick(1.0)
    market.tick(1.0, after_s=3 * GAP_S)
    since = market.tracker.add(market.token, 7, called_at=market.now, price_usd=1.0)
    [crossings] = market.tracker.close_gap(market.token, 2.5, BEGAN + 900, market.now)
    assert {(one.entry, one.multiple, one.late) for one in crossings} == {
        (market.entry, multiple, True) for multiple in (1.2, 1.5, 2.0)
    }
    before, after = market.tracker.standings(market.token)
    assert (before.peak_usd, before.peak_at, before.at_least) == (2.5, BEGAN + 900, False)
    assert (after.entry, after.peak_usd) == (since, 1.0)
    assert market.multiples(2.2, 2.2, 2.2) == [1.2, 1.5, 2.0]


def test_evidence_from_before_a_call_says_nothing_of_it() -> None:
    market = Market()
    market.multiples(2.1, 2.1)
    late_call = market.tracker.add(market.token, 8, called_at=BEGAN, price_usd=1.0)
    assert {crossing.entry for crossing in market.tick(2.1)} == {market.entry}
    market.tick(2.1)
    assert {crossing.entry for crossing in market.tick(2.1)} == {late_call}


def test_a_call_that_comes_long_after_it_was_made_has_a_peak_of_at_least() -> None:
    market = Market()
    market.tick(1.0, after_s=100.0)
    market.tracker.add(market.token, 8, called_at=market.now - GAP_S - 1, price_usd=1.0)
    assert [standing.at_least for standing in market.tracker.standings(market.token)] == [False, True]


def test_after_a_restart_nothing_is_told_again_and_what_happened_meanwhile_is_late() -> None:
    market = Market()
    market.multiples(2.1, 2.1, 2.1)
    data = dump(market.tracker)
    market.tracker = Tracker()
    assert restore(market.tracker, data) == ["a"]
    assert restore(market.tracker, data) == []
    assert market.multiples(2.2, 2.2, 2.2) == []
    market.tracker = Tracker()
    restore(market.tracker, data)
    market.multiples(5.2, 5.2)
    assert [(c.entry, c.multiple, c.late) for c in market.tick(5.2)] == [
        (market.entry, multiple, True) for multiple in (3.0, 4.0, 5.0)
    ]
    assert market.tracker.add(market.token, 7, called_at=market.now, price_usd=1.0) == market.entry + 1


def test_who_was_off_is_not_believed_after_a_restart_either() -> None:
    market = Market()
    market.multiples(1.0, 1e4)
    data = dump(market.tracker)
    market.tracker = Tracker()
    restore(market.tracker, data)
    assert market.tracker.is_doubted(market.token, FEED)
    assert market.multiples(1.0, 2.1, 2.1, 2.1, 2.1) == []
    assert [crossing.multiple for crossing in market.tick(2.2, source=POLL)] == [1.2, 1.5, 2.0]


def test_a_snapshot_of_before_sources_were_doubted_is_read() -> None:
    older = msgspec.msgpack.decode(dump(Market().tracker))
    del older["doubts"]
    assert restore(Tracker(), msgspec.msgpack.encode(older)) == ["a"]


def test_a_snapshot_that_was_damaged_adds_nothing() -> None:
    data = dump(Market().tracker)
    broken = [b"", data[:-1], data.replace(b"\xa7version\x01", b"\xa7version\x02"), b"\x00" * 99]
    for some in broken:
        tracker = Tracker()
        with pytest.raises(UnreadableSnapshotError):
            restore(tracker, some)
        assert not len(tracker)


def test_a_batch_with_a_token_twice_is_taken_in_order() -> None:
    market = Market()
    market.tick(1.0)
    prices = np.array([2.1, 2.1, 2.1, 1.0])
    ats, sources = market.now + np.arange(1.0, 5.0), np.full(4, FEED, dtype=np.uint16)
    found = market.tracker.update_batch(np.full(4, market.token), prices, ats, sources)
    assert [crossing.multiple for crossings in found for crossing in crossings] == [1.2, 1.5, 2.0]


def test_what_is_no_price_cannot_be_called_at() -> None:
    market = Market()
    for price in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="no price"):
            market.tracker.add(market.token, 7, called_at=BEGAN, price_usd=price)
    assert market.tracker.count == 1


def test_multiples_are_exact_where_the_ratio_is() -> None:
    tracker = Tracker()
    token = tracker.open("a", 0.001, BEGAN)
    tracker.add(token, 7, called_at=BEGAN, price_usd=0.001)
    found = [
        crossing
        for step in range(3)
        for some in tracker.update(token, 0.002, BEGAN + step, step % 2, RICH)
        for crossing in some
    ]
    assert [crossing.multiple for crossing in found] == [1.2, 1.5, 2.0]
