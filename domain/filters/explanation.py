"""The plain predicate: what a filter set says about one call, rule by rule.

`explain` is the definition. The index (`domain/matching/index.py`) must give the same answer for every set and every
call, only faster; tests prove it.

- A `Range` is a closed interval; infinities compare as numbers do. A `Choice` compares as it is. `Words` are found
  anywhere in one part of the text, both sides as they are shown.
- Where the call gives no value (`None`, NaN) the rule's policy speaks: it fails, passes, or waits. A set that waits
  does not pass: every other rule passed, and at least one looks again when its value arrives.
- A rule whose key is not in the registry, or whose kind is not that of its field, can see no value and fails
  whatever its policy: better no alert than one that ignores a rule somebody set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from domain.calls.events import Call
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Missing, Range, Rule, Unit, Words
from domain.reading.visible import compared, compared_word

Outcome = Literal["passed", "failed", "waiting"]
_KINDS: Final[dict[Unit, type[Rule]]] = {"choice": Choice, "text": Words}
_WHEN_MISSING: Final[dict[Missing, Outcome]] = {"fail": "failed", "pass": "passed", "wait": "waiting"}


class RuleVerdict(Struct, frozen=True, kw_only=True):
    key: str
    """`FilterField.key`."""
    seen: float | str | None
    """What the call said, `None` where it did not; of several names for one value, the one that the rule names."""
    rule: Rule
    outcome: Outcome
    missing: bool
    """The call says nothing about the field, so the policy spoke."""


class Verdict(Struct, frozen=True, kw_only=True):
    """`passed`: enabled, and every rule passed. `waiting`: enabled, no rule failed, and some wait."""

    outcome: Outcome
    enabled: bool
    rules: tuple[RuleVerdict, ...]
    """In the order of the registry; keys unknown to it come last."""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


def fits(rule: Rule, unit: Unit) -> bool:
    """Whether a rule is of the kind that its field takes."""
    return type(rule) is _KINDS.get(unit, Range)


def number_of(value: float | str | None) -> float | None:
    """As a float that is not NaN, or `None`."""
    if value is None:
        return None
    try:
        value = float(value)
    except OverflowError:  # a whole number beyond float64 is larger than any threshold
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
    return None if math.isnan(value) else value


def seen_number(field: FilterField, call: Call) -> float | None:
    """What `call` says about a field of numbers as a float that is not NaN, or `None`."""
    return number_of(field.value(call))


def seen_text(field: FilterField, call: Call) -> str | None:
    """What `call` says about a field of choices or text."""
    value = field.value(call)
    return None if value is None else str(value)


def seen_value(field: FilterField, call: Call) -> float | str | None:
    """What `call` says about `field`, `None` where it says nothing."""
    return seen_text(field, call) if field.unit in {"choice", "text"} else seen_number(field, call)


def seen_also(field: FilterField, call: Call) -> tuple[str, ...]:
    """What else the value of a field of choices is called."""
    return () if field.also is None else field.also(call)


def contains(limits: Range, value: float) -> bool:
    """Whether a value lies in the closed interval."""
    above = limits.minimum is None or limits.minimum <= value
    return above and (limits.maximum is None or value <= limits.maximum)


def names(rule: Choice, value: str, also: tuple[str, ...] = ()) -> bool:
    called = (value, *also)
    return rule.excluded.isdisjoint(called) and (not rule.included or not rule.included.isdisjoint(called))


def named_by(rule: Rule) -> frozenset[str]:
    """The values that a rule names."""
    return rule.included | rule.excluded if isinstance(rule, Choice) else frozenset()


def finds(included: Iterable[str], excluded: Iterable[str], text: str) -> bool:
    """Whether a text passes; all three in the form in which they are compared."""
    wanted = tuple(included)
    if wanted and not any(word in text for word in wanted):
        return False
    return not any(word in text for word in excluded)


def rule_outcome(rule: Rule, value: float | str | None, also: tuple[str, ...] = ()) -> Outcome:
    """What a rule of the field's own kind says about a value, and what else that is called; `None`: so the policy."""
    if value is None:
        return _WHEN_MISSING[rule.missing]
    if isinstance(rule, Range):
        holds = contains(rule, float(value))
    elif isinstance(rule, Choice):
        holds = names(rule, str(value), also)
    else:
        holds = finds(map(compared_word, rule.included), map(compared_word, rule.excluded), compared(str(value)))
    return "passed" if holds else "failed"


def explain(filter_set: FilterSet, call: Call, fields: Sequence[FilterField] = FIELDS) -> Verdict:
    """Judge every rule by what is known now, also after the first that failed."""
    rules = tuple(_judge(filter_set, call, fields))
    outcomes = {rule.outcome for rule in rules}
    outcome: Outcome = "passed"
    if not filter_set.enabled or "failed" in outcomes:
        outcome = "failed"
    elif "waiting" in outcomes:
        outcome = "waiting"
    return Verdict(outcome=outcome, enabled=filter_set.enabled, rules=rules)


def _judge(filter_set: FilterSet, call: Call, fields: Sequence[FilterField]) -> Iterable[RuleVerdict]:
    order = {field.key: place for place, field in enumerate(fields)}
    for key, rule in sorted(filter_set.rules.items(), key=lambda item: order.get(item[0], len(order))):
        if key not in order or not fits(rule, fields[order[key]].unit):
            yield RuleVerdict(key=key, seen=None, rule=rule, outcome="failed", missing=True)
            continue
        field = fields[order[key]]
        value, also = seen_value(field, call), seen_also(field, call)
        outcome = rule_outcome(rule, value, also)
        seen = next((name for name in also if value not in named_by(rule) and name in named_by(rule)), value)
        yield RuleVerdict(key=key, seen=seen, rule=rule, outcome=outcome, missing=value is None)
