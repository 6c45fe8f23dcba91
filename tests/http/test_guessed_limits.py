"""A limit that nobody documents: it gives way when a host says that it was too much, and grows back."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.http.answers import TooManyError
from managers.http.api import APIRetryManager
from managers.http.request_budget import Budget, Limit
from tests.http.test_api import Clock, Server, server

__all__ = ["server"]

GUESS = Limit(30, 60.0)


def used(budget: Budget, *, too_much: bool) -> bool:
    """Ask once where there is room; whether there was."""
    if budget.wait_s() > 0:
        return False
    with budget.slot() as slot:
        if too_much:
            budget.was_too_much(slot)
    return True


def test_it_is_halved_and_has_one_more_after_each_period():
    clock = Clock()
    budget = Budget(clock)
    budget.declare(GUESS, is_guess=True)
    assert used(budget, too_much=True)
    assert budget.slots() == 15
    clock.now_s += 59
    assert budget.slots() == 15
    clock.now_s += 1
    assert budget.slots() == 16
    clock.now_s += 60 * 13
    assert budget.slots() == 29
    clock.now_s += 60 * 100
    assert budget.slots() == GUESS.slots


def test_what_was_under_way_already_halves_it_once():
    clock = Clock()
    budget = Budget(clock)
    budget.declare(GUESS, is_guess=True)
    with budget.slot() as one, budget.slot() as two, budget.slot() as three:
        clock.now_s += 0.5
        for slot in (one, two, three):
            budget.was_too_much(slot)
    assert budget.slots() == 15
    clock.now_s += 60
    with budget.slot() as another:
        clock.now_s += 0.1
        budget.was_too_much(another)
    assert budget.slots() == 8


def test_one_that_is_documented_stays_what_it_is():
    budget = Budget(Clock())
    budget.declare(GUESS, is_guess=False)
    assert used(budget, too_much=True)
    assert budget.slots() == GUESS.slots


@given(st.lists(st.tuples(st.floats(0, 300), st.booleans()), max_size=60))
def test_it_stays_between_one_and_what_was_guessed(befalls: list[tuple[float, bool]]):
    clock = Clock()
    budget = Budget(clock)
    budget.declare(GUESS, is_guess=True)
    for pause_s, too_much in befalls:
        earlier_s = clock.now_s
        clock.now_s += pause_s
        before = budget.slots()
        asked = used(budget, too_much=too_much)
        assert 1 <= budget.slots() <= GUESS.slots
        assert budget.free() <= budget.slots()
        if asked and too_much and clock.now_s > earlier_s:
            assert budget.slots() == max(1, before // 2)
    clock.now_s += GUESS.slots * GUESS.period_s
    assert budget.free() == GUESS.slots


async def test_what_a_200_says_counts_like_a_429(server: Server, session: aiohttp.ClientSession):
    clock = Clock()
    api = APIRetryManager(session, clock=clock)
    api.limit(server.url, GUESS, is_guess=True)
    server.will(200)
    with pytest.raises(TooManyError, match="too many"):
        await api.get(server.url, timeout_s=2, attempts=1, says_too_many=lambda body: body == b"fine")
    assert api.room(server.url).requests == 0
    clock.now_s += GUESS.period_s / GUESS.slots
    assert api.room(server.url).requests == GUESS.slots // 2 - 1
    assert await api.get(server.url, timeout_s=2, says_too_many=lambda body: body == b"other") == b"fine"


@given(st.integers(1, 60), st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_processes_that_share_a_limit_keep_it_together(slots: int, weights: list[int]):
    """Counted over so long that even the smallest share has had many turns."""
    clock, limit = Clock(), Limit(slots, 60.0)
    budgets = [Budget(clock, lambda own=own: own / sum(weights)) for own in weights]
    for budget in budgets:
        budget.declare(limit, is_guess=False)
    periods, asked = 200, 0
    for _ in range(periods):
        for budget in budgets:
            while budget.wait_s() <= 0:
                with budget.slot() as slot:
                    slot.arrived_by = clock.now_s
                asked += 1
        clock.now_s += limit.period_s
    assert asked <= slots * periods + len(budgets)
    assert all(budget.slots() >= 1 for budget in budgets)
