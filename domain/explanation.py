"""The plain predicate: what a filter set says about one call, rule by rule.

`passes` is the definition. The index (`domain/index.py`) must give the same answer for every set and every call,
only faster, and `explain` must add up to the same verdict; tests prove both.

- A rule is a closed interval. A value the call does not give (`None`, NaN) fails a rule that is set; infinities
  compare as numbers do.
- A rule whose key is not in the registry can see no value, so it fails: better no alert than one that ignores a
  rule somebody set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from domain.calls import Call
from domain.filters import FIELDS, FilterField, FilterSet, Range


class RuleVerdict(Struct, frozen=True, kw_only=True):
    key: str
    """`FilterField.key`."""
    seen: float | None
    """What the call said, `None` where it did not."""
    range: Range
    passed: bool


class ChannelVerdict(Struct, frozen=True, kw_only=True):
    seen: str
    """The channel that called."""
    chosen: frozenset[str]
    """Never empty: a set that listens to every channel has no channel rule."""
    passed: bool


class Verdict(Struct, frozen=True, kw_only=True):
    """`passed` is what `passes` says: enabled, and no rule failed."""

    passed: bool
    enabled: bool
    channel: ChannelVerdict | None
    rules: tuple[RuleVerdict, ...]
    """In the order of the registry; keys unknown to it come last."""


def seen_value(field: FilterField, call: Call) -> float | None:
    """What `call` says about `field` as a float that is not NaN, or `None`."""
    value = field.value(call)
    if value is None:
        return None
    try:
        value = float(value)
    except OverflowError:  # a whole number beyond float64 is larger than any threshold
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(value) else value


def contains(limits: Range, value: float | None) -> bool:
    """Whether a value lies in the closed interval; no value lies in none."""
    if value is None:
        return False
    above = limits.minimum is None or limits.minimum <= value
    return above and (limits.maximum is None or value <= limits.maximum)


def passes(filter_set: FilterSet, call: Call, fields: Sequence[FilterField] = FIELDS) -> bool:
    """Whether `call` is one that this filter set asks for."""
    if not filter_set.enabled:
        return False
    if filter_set.channels and call.channel.id not in filter_set.channels:
        return False
    known = {field.key: field for field in fields}
    for key, limits in filter_set.ranges.items():
        field = known.get(key)
        if field is None or not contains(limits, seen_value(field, call)):
            return False
    return True


def explain(filter_set: FilterSet, call: Call, fields: Sequence[FilterField] = FIELDS) -> Verdict:
    """The same verdict as `passes`, with every rule and what it saw, also after the first that failed."""
    order = {field.key: place for place, field in enumerate(fields)}
    rules: list[RuleVerdict] = []
    for key, limits in sorted(filter_set.ranges.items(), key=lambda rule: order.get(rule[0], len(order))):
        seen = seen_value(fields[order[key]], call) if key in order else None
        rules.append(RuleVerdict(key=key, seen=seen, range=limits, passed=contains(limits, seen)))
    channel = None
    if filter_set.channels:
        heard = call.channel.id in filter_set.channels
        channel = ChannelVerdict(seen=call.channel.id, chosen=filter_set.channels, passed=heard)
    passed = filter_set.enabled and (channel is None or channel.passed) and all(rule.passed for rule in rules)
    return Verdict(passed=passed, enabled=filter_set.enabled, channel=channel, rules=tuple(rules))
