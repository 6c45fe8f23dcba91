from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.events import Token
from domain.filters.explanation import Outcome, RuleVerdict, explain
from domain.filters.registry import FIELDS as REGISTRY
from domain.filters.registry import Choice, FilterField, FilterSet, Missing, Range, Rule, Unit, Words
from tests.filters.oracle import has_word, passes
from tests.filters.strategies import KINDS, call_with, calls, filter_sets, registry
from texts.sanitise import inert

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
        (Words((), ("inu",)), "Shiba I\u200bnu", False),
        (Words((), ("inu",)), "I\ufe0fn\u00adu", False),
        (Words((), ("white dog",)), "White \u2003 Dog", False),
        (Words((), ("white dog",)), "white\ndog", False),
        (Words(("cat\u200b",)), "cat", True),
        (Words(("white   dog",)), "white dog", True),
        (Words(("cat",)), "c\u0430t", False),
        (Words(("white dog",)), "white\x1edog wif", False),
        (Words(("dog wif",)), "white\x1edog wif", True),
        (Words((), ("\u200b",)), "I\u200bnu", False),
        (Words((), ("\u200b",)), "Inu", True),
    ],
)
def test_words_are_found_in_any_case_and_form(rule: Words, text: str | None, verdict: bool) -> None:  # noqa: FBT001 - a table
    assert passes(set_with(rule), call_with([text]), registry(1, ["text"])) is verdict


@pytest.mark.parametrize(
    ("name", "symbol", "passed"),
    [
        ("white", "dog wif", False),
        ("white dog", "WIF", True),
        ("wif", "white dog", True),
        ("white\x1edog", "WIF", True),
        ("white", None, False),
    ],
)
def test_name_and_symbol_are_looked_at_each_for_itself(name: str, symbol: str | None, passed: bool) -> None:  # noqa: FBT001 - a table
    call = call_with(token=Token(address="token", name=name, symbol=symbol))
    assert passes(set_with(Words(("white dog",)), "name_words"), call, REGISTRY) is passed
    assert passes(set_with(Words((), ("white dog",)), "name_words"), call, REGISTRY) is not passed


shown_text = st.text("aAb Bßﬁé\u0301\u200b\u00ad\u202e\x1e\n０", max_size=8)


@given(st.lists(shown_text, min_size=1, max_size=2), shown_text)
def test_a_word_is_found_where_the_card_shows_it(texts: list[str], word: str) -> None:
    token = Token(address="token", name=texts[0], symbol=texts[1] if len(texts) > 1 else None)
    if inert(word, 64) and any(texts):
        held = passes(set_with(Words((word,)), "name_words"), call_with(token=token), REGISTRY)
        assert held == has_word([text for text in texts if text], word)


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
