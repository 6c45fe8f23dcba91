"""A plan that holds fewer sets pauses the youngest, deletes none, and a larger one turns exactly those on again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.filters.registry import FilterSet, Range, Rule
from domain.subscribers.limits import fitted, paused_between, resumed_between

RULES: dict[str, Rule] = {"holders": Range(10.0)}


@st.composite
def some_sets(draw: st.DrawFn) -> tuple[FilterSet, ...]:
    """As somebody made them: none is paused."""
    on = draw(st.lists(st.booleans(), max_size=8))
    return tuple(
        FilterSet(user_id=1, number=number, name=f"set {number}", rules=RULES, enabled=enabled)
        for number, enabled in enumerate(on, start=1)
    )


limits = st.integers(1, 9)


def numbers_on(sets: tuple[FilterSet, ...]) -> list[int]:
    return [one.number for one in sets if one.enabled]


@given(some_sets(), limits)
def test_the_oldest_stay_on_and_nothing_is_deleted(sets: tuple[FilterSet, ...], limit: int) -> None:
    after = fitted(sets, limit)
    assert numbers_on(after) == numbers_on(sets)[:limit]
    assert [(one.number, one.name, one.rules) for one in after] == [(s.number, s.name, s.rules) for s in sets]
    assert [one.number for one in paused_between(sets, after)] == numbers_on(sets)[limit:]
    assert fitted(after, limit) == after


@given(some_sets(), st.lists(limits, max_size=4))
def test_a_larger_plan_turns_exactly_the_paused_on_again(sets: tuple[FilterSet, ...], way_there: list[int]) -> None:
    after = sets
    for limit in way_there:
        before, after = after, fitted(after, limit)
        assert len(numbers_on(after)) == min(limit, len(numbers_on(sets)))
        resumed = resumed_between(before, after)
        assert {one.number for one in resumed} == set(numbers_on(after)) - set(numbers_on(before))
    assert fitted(after, 9) == sets


def test_what_somebody_turned_off_stays_off() -> None:
    on, off = (FilterSet(user_id=1, number=n, name="", enabled=n == 1) for n in (1, 2))
    assert fitted((on, off), 9) == (on, off)
