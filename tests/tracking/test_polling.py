from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tracking.polling import DEAD_S, LIVE_S, NEAR_S, Pace, PollPlanner, pace_of

NOW = 1_800_000_000.0
EVERY_S = 2.0


def play(planner: PollPlanner, seconds: float, per_s: float) -> dict[int, list[float]]:
    """When each token was asked for."""
    asked: dict[int, list[float]] = {}
    for step in range(int(seconds / EVERY_S)):
        now = NOW + step * EVERY_S
        plan = planner.plan(now, round(per_s * EVERY_S))
        assert len(plan) == len(set(plan)) <= round(per_s * EVERY_S)
        for token in plan:
            asked.setdefault(token, []).append(now)
    return asked


def longest(times: list[float], end: float) -> float:
    return max(np.diff([*times, end]), default=0.0)


@given(live=st.integers(1, 400), near=st.integers(0, 60), dead=st.integers(0, 200), spare=st.floats(1.0, 4.0))
@settings(max_examples=30)
def test_while_the_budget_suffices_no_live_token_waits_longer_than_its_bound(
    live: int, near: int, dead: int, spare: float
) -> None:
    demand = (live + near) / LIVE_S + dead / DEAD_S
    per_s = np.ceil(demand * spare * EVERY_S + 1) / EVERY_S
    planner = PollPlanner(per_s)
    paces: tuple[tuple[Pace, int], ...] = (("live", live), ("near", near), ("dead", dead))
    first = 0
    for pace, count in paces:
        for token in range(first, first + count):
            planner.put(token, pace, NOW)
        first += count
    assert planner.stretch == 1.0
    seconds = 5 * LIVE_S
    asked = play(planner, seconds, per_s)
    for token in range(live + near):
        # All are new at once, so a first round takes as long as it takes.
        assert longest(asked[token], NOW + seconds) <= LIVE_S + 2 * EVERY_S


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_what_the_budget_lacks_all_wait_for_alike_and_it_is_told(share: float) -> None:
    tokens = 720
    planner = PollPlanner(share * tokens / LIVE_S)
    for token in range(tokens):
        planner.put(token, "near" if token % 3 else "live", NOW)
    assert planner.stretch == pytest.approx(1 / share)
    seconds = 20 * LIVE_S
    asked = play(planner, seconds, planner.per_s)
    waits = [longest(asked[token][1:], NOW + seconds) for token in range(tokens)]
    assert max(waits) <= LIVE_S * planner.stretch + 2 * EVERY_S
    assert max(waits) - min(waits) <= 0.2 * LIVE_S * planner.stretch


def test_near_ones_get_what_is_left_over_and_dead_ones_hardly_anything() -> None:
    planner = PollPlanner(10.0)
    for token in range(300):
        planner.put(token, "dead" if token < 100 else "near" if token < 120 else "live", NOW)
    asked = play(planner, 3600.0, 10.0)
    assert all(len(asked.get(token, ())) <= 1 for token in range(100))
    assert all(longest(asked[token], NOW + 3600) <= NEAR_S + EVERY_S for token in range(100, 120))
    assert all(longest(asked[token], NOW + 3600) <= LIVE_S for token in range(120, 300))


def test_what_was_removed_is_not_asked_and_what_failed_is_asked_again() -> None:
    planner = PollPlanner(1.0)
    for token in range(3):
        planner.put(token, "live", NOW)
    planner.remove(1)
    assert sorted(planner.plan(NOW, 9)) == [0, 2]
    assert planner.plan(NOW + 1, 9) == []
    planner.failed([2])
    assert planner.plan(NOW + 1, 9) == [2]
    planner.put(1, "live", NOW + 1)
    planner.answered([1], NOW + 1)
    assert planner.plan(NOW + 2, 9) == []


def test_a_pace_changes_without_asking_anew() -> None:
    planner = PollPlanner(1.0)
    planner.put(0, "live", NOW)
    assert planner.plan(NOW, 1) == [0]
    planner.put(0, "near", NOW + 1)
    assert planner.plan(NOW + 1, 1) == []
    assert planner.plan(NOW + NEAR_S, 1) == [0]
    assert [pace_of(1.0, 1.05, dead=False), pace_of(1.0, 1.5, dead=False), pace_of(1.0, 1.05, dead=True)] == [
        "near",
        "live",
        "dead",
    ]


def test_without_room_nobody_is_asked_and_a_clock_set_back_asks_again() -> None:
    planner = PollPlanner(per_s=10)
    for token in range(50):
        planner.put(token, "live", 0.0)
    assert planner.plan(10_000.0, 0) == []
    assert len(planner.plan(10_000.0, 50)) == 50
    assert planner.plan(10_000.0, 50) == []
    assert len(planner.plan(6_400.0, 50)) == 50
