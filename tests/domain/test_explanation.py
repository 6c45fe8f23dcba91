from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.explanation import RuleVerdict, explain, passes
from domain.filters import FilterSet, Range
from tests.domain.strategies import call_with, calls, filter_sets, registry

FIELDS = registry(2)


def set_with(limits: Range | None = None, **more: object) -> FilterSet:
    ranges = {} if limits is None else {"field_0": limits}
    return FilterSet(user_id=1, number=1, name="", ranges=ranges, **more)  # pyright: ignore[reportArgumentType] - test data


@given(st.data())
def test_the_explanation_gives_the_verdict_that_was_given(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 4))
    filter_set, call = data.draw(filter_sets(size)), data.draw(calls(size))
    fields = registry(size)
    verdict = explain(filter_set, call, fields)
    assert verdict.passed == passes(filter_set, call, fields)
    assert sorted(rule.key for rule in verdict.rules) == sorted(filter_set.ranges)
    every_rule = all(rule.passed for rule in verdict.rules) and (verdict.channel is None or verdict.channel.passed)
    assert verdict.passed == (filter_set.enabled and every_rule)


@pytest.mark.parametrize(
    ("limits", "value", "verdict"),
    [
        (Range(1.0, 2.0), 1.0, True),
        (Range(1.0, 2.0), 2.0, True),
        (Range(1.0, 2.0), math.nextafter(1.0, 0.0), False),
        (Range(1.0, 2.0), math.nextafter(2.0, 3.0), False),
        (Range(1.0, None), math.inf, True),
        (Range(None, 2.0), math.inf, False),
        (Range(None, 2.0), -math.inf, True),
        (Range(1.0, None), None, False),
        (Range(None, 2.0), math.nan, False),
        (Range(None, None), None, False),
        (Range(None, None), 7.0, True),
        (Range(2.0, 1.0), 1.5, False),
        (Range(math.nan, None), 1.0, False),
        (Range(0.0, None), -0.0, True),
        (Range(1.0, None), 10**400, True),
        (Range(1.0, None), -(10**400), False),
        (None, None, True),
    ],
)
def test_a_rule_is_a_closed_interval(limits: Range | None, value: float | None, verdict: bool) -> None:  # noqa: FBT001 - a table
    assert passes(set_with(limits), call_with([value, None]), FIELDS) is verdict


def test_a_set_that_is_off_passes_nothing_but_is_explained() -> None:
    verdict = explain(set_with(Range(1.0), enabled=False), call_with([2.0, None]), FIELDS)
    assert not verdict.passed
    assert not verdict.enabled
    assert verdict.rules == (RuleVerdict(key="field_0", seen=2.0, range=Range(1.0), passed=True),)


def test_channels() -> None:
    chosen = frozenset({"@alpha"})
    assert passes(set_with(channels=chosen), call_with([None, None], channel="@alpha"), FIELDS)
    verdict = explain(set_with(channels=chosen), call_with([None, None], channel="@beta"), FIELDS)
    assert verdict.channel is not None
    assert (verdict.channel.seen, verdict.channel.chosen, verdict.passed) == ("@beta", chosen, False)
    assert explain(set_with(), call_with([None, None]), FIELDS).channel is None


def test_a_rule_the_registry_does_not_know_fails_last() -> None:
    filter_set = FilterSet(user_id=1, number=1, name="", ranges={"gone": Range(1.0), "field_1": Range(1.0)})
    verdict = explain(filter_set, call_with([1.0, 1.0]), FIELDS)
    assert [(rule.key, rule.passed) for rule in verdict.rules] == [("field_1", True), ("gone", False)]
