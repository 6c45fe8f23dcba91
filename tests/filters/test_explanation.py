from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.filters.explanation import Outcome, RuleVerdict, explain
from domain.filters.registry import Choice, FilterField, FilterSet, Missing, Range, Rule, Unit, Words
from tests.filters.oracle import passes
from tests.filters.strategies import KINDS, call_with, calls, filter_sets, registry

FIELDS = registry(2)
ANY_KIND = registry(5, KINDS)


def set_with(rule: Rule | None = None, key: str = "field_0", *, enabled: bool = True) -> FilterSet:
    return FilterSet(user_id=1, number=1, name="", rules={} if rule is None else {key: rule}, enabled=enabled)


@given(st.data())
def test_the_explanation_gives_the_verdict_that_was_given(data: st.DataObject) -> None:
    fields = registry(data.draw(st.integers(0, 5)), KINDS)
    filter_set, call = data.draw(filter_sets(fields)), data.draw(calls(fields))
    verdict = explain(filter_set, call, fields)
    assert sorted(rule.key for rule in verdict.rules) == sorted(filter_set.rules)
    assert verdict.passed == (filter_set.enabled and all(rule.outcome == "passed" for rule in verdict.rules))
    nothing_fails = filter_set.enabled and all(rule.outcome != "failed" for rule in verdict.rules)
    assert (verdict.outcome == "waiting") == (nothing_fails and not verdict.passed)


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
        (Range(-20.0, -10.0), -15.0, True),
        (Range(1.0, None), True, True),
        (Range(1.0, None), False, False),
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
def test_a_range_is_a_closed_interval(limits: Range | None, value: float | None, verdict: bool) -> None:  # noqa: FBT001 - a table
    assert passes(set_with(limits), call_with([value, None]), FIELDS) is verdict


@pytest.mark.parametrize(
    ("rule", "value", "verdict"),
    [
        (Choice(frozenset("ab")), "a", True),
        (Choice(frozenset("ab")), "c", False),
        (Choice(frozenset("ab")), "A", False),
        (Choice(frozenset(), frozenset("a")), "a", False),
        (Choice(frozenset(), frozenset("a")), "b", True),
        (Choice(frozenset("ab"), frozenset("a")), "a", False),
        (Choice(frozenset("ab"), frozenset("a")), "b", True),
        (Choice(frozenset("a")), None, False),
        (Choice(), "anything", True),
    ],
)
def test_a_choice_is_compared_as_it_is(rule: Choice, value: str | None, verdict: bool) -> None:  # noqa: FBT001 - a table
    assert passes(set_with(rule), call_with([value]), registry(1, ["choice"])) is verdict


@pytest.mark.parametrize(
    ("rule", "text", "verdict"),
    [
        (Words(("cat",)), "Bobcat", True),
        (Words(("CAT", "dog")), "hot Dog", True),
        (Words(("cat",)), "dog", False),
        (Words(("cat",), ("inu",)), "cat INU", False),
        (Words((), ("inu",)), "", True),
        (Words(("ｃａｔ",)), "CAT", True),
        (Words(("strasse",)), "Straße", True),
        (Words(("fi",)), "ﬁne", True),
        (Words(("white dog",)), "the white dog", True),
        (Words(("cat",)), None, False),
    ],
)
def test_words_are_found_in_any_case_and_form(rule: Words, text: str | None, verdict: bool) -> None:  # noqa: FBT001 - a table
    assert passes(set_with(rule), call_with([text]), registry(1, ["text"])) is verdict


@pytest.mark.parametrize(("missing", "outcome"), [("fail", "failed"), ("pass", "passed"), ("wait", "waiting")])
@pytest.mark.parametrize("kind", [Range, Choice, Words])
def test_the_policy_speaks_where_the_value_is_missing(kind: type[Rule], missing: Missing, outcome: Outcome) -> None:
    units: dict[type[Rule], Unit] = {Range: "change", Choice: "choice", Words: "text"}
    fields: tuple[FilterField, ...] = registry(1, [units[kind]])
    rule = kind(missing=missing, wait_minutes=5 if missing == "wait" else 0)
    verdict = explain(set_with(rule), call_with([None]), fields)
    assert verdict.outcome == outcome
    assert verdict.rules == (RuleVerdict(key="field_0", seen=None, rule=rule, outcome=outcome, missing=True),)
    assert passes(set_with(rule), call_with([None]), fields) is (outcome == "passed")


def test_a_set_that_fails_does_not_wait() -> None:
    rules: dict[str, Rule] = {"field_0": Range(1.0, missing="wait", wait_minutes=5), "field_1": Range(5.0)}
    filter_set = FilterSet(user_id=1, number=1, name="", rules=rules)
    assert explain(filter_set, call_with([None, 4.0]), FIELDS).outcome == "failed"
    assert explain(filter_set, call_with([None, 5.0]), FIELDS).outcome == "waiting"


def test_a_set_that_is_off_passes_nothing_but_is_explained() -> None:
    verdict = explain(set_with(Range(1.0), enabled=False), call_with([2.0, None]), FIELDS)
    assert (verdict.outcome, verdict.passed, verdict.enabled) == ("failed", False, False)
    passed = RuleVerdict(key="field_0", seen=2.0, rule=Range(1.0), outcome="passed", missing=False)
    assert verdict.rules == (passed,)


def test_a_rule_nothing_can_see_fails_last_whatever_its_policy() -> None:
    rules: dict[str, Rule] = {"gone": Range(1.0, missing="pass"), "field_1": Range(1.0)}
    filter_set = FilterSet(user_id=1, number=1, name="", rules=rules)
    verdict = explain(filter_set, call_with([1.0, 1.0]), FIELDS)
    assert [(rule.key, rule.outcome) for rule in verdict.rules] == [("field_1", "passed"), ("gone", "failed")]


def test_a_rule_of_another_kind_than_its_field_fails() -> None:
    assert not passes(set_with(Range(missing="pass"), "channel"), call_with([1.0, 1.0]), FIELDS)
    assert not passes(set_with(Words(("1",), missing="pass")), call_with([1.0, 1.0]), FIELDS)
