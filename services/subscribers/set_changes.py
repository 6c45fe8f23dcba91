"""Changes of one filter set, as its owner makes them. Whoever changes a rule themselves follows no preset any more."""

from __future__ import annotations

from typing import Final, Literal

from msgspec.structs import replace

from domain.filters.lists import MAX_CHOICES
from domain.filters.registry import FIELDS, Choice, FilterSet, Missing, Rule
from domain.filters.rules import with_policy
from domain.subscribers.subscriber import Subscriber
from runtime.errors import UserFacingError
from texts.markup import utf16_length
from texts.sanitise import inert

FIELD_KEYS: Final = frozenset(field.key for field in FIELDS)
CHANNEL: Final = "channel"
"""The field whose values are chosen from a list."""
MAX_NAME_UTF16: Final = 32
Standing = Literal["in", "out", "off"]
"""Of a value in a choice: wanted, excluded, neither."""
NEXT: Final[dict[Standing, Standing]] = {"off": "in", "in": "out", "out": "off"}
"""What a tap makes of it."""


def set_of(subscriber: Subscriber, number: int) -> FilterSet:
    """Find a set that a button of any age names, or raise `UserFacingError("filter_set.unknown")`."""
    filter_set = subscriber.filter_set(number)
    if filter_set is None:
        raise UserFacingError("filter_set.unknown")
    return filter_set


def set_name(typed: str) -> str:
    """Return the visible part of what somebody typed as a name, or raise `set.name_empty` or `set.name_long`."""
    name = inert(typed, 2 * MAX_NAME_UTF16, copyable=True)
    if not name:
        raise UserFacingError("set.name_empty", limit=MAX_NAME_UTF16)
    if utf16_length(name) > MAX_NAME_UTF16:
        raise UserFacingError("set.name_long", typed=name, limit=MAX_NAME_UTF16)
    return name


def with_rule(filter_set: FilterSet, field_key: str, rule: Rule | None) -> FilterSet:
    """Set or clear one rule. The first rule of an empty set turns it on: only now does it say anything."""
    rules = {key: kept for key, kept in filter_set.rules.items() if key != field_key}
    if rule is not None:
        rules[field_key] = rule
    if rules == filter_set.rules:
        return filter_set
    enabled = filter_set.enabled or not filter_set.rules
    return replace(filter_set, rules=rules, enabled=enabled, follows=None)


def with_missing(filter_set: FilterSet, field_key: str, missing: Missing, wait_minutes: int) -> FilterSet:
    """Say what a rule does about a call without a value, or raise `rule.unknown` where there is no rule."""
    rule = filter_set.rules.get(field_key)
    if rule is None:
        raise UserFacingError("rule.unknown")
    return with_rule(filter_set, field_key, with_policy(rule, missing, wait_minutes))


def standing_of(rule: Rule | None, value: str) -> Standing:
    if not isinstance(rule, Choice):
        return "off"
    return "in" if value in rule.included else "out" if value in rule.excluded else "off"


def with_value(filter_set: FilterSet, field_key: str, value: str, becomes: Standing) -> FilterSet:
    """Want or exclude a value of a choice, or a channel, beside the others; or neither."""
    rule = filter_set.rules.get(field_key)
    turned = _turned(rule if isinstance(rule, Choice) else Choice(), value, becomes)
    return with_rule(filter_set, field_key, turned if turned.included or turned.excluded else None)


def check_size(rule: Rule | None) -> None:
    """Raise `choice.too_many` for a rule that names more than one can."""
    if isinstance(rule, Choice) and len(rule.included | rule.excluded) > MAX_CHOICES:
        raise UserFacingError("choice.too_many", limit=MAX_CHOICES)


def _turned(rule: Choice, value: str, becomes: Standing) -> Choice:
    included, excluded = rule.included - {value}, rule.excluded - {value}
    if becomes == "in":
        included |= {value}
    elif becomes == "out":
        excluded |= {value}
    turned = replace(rule, included=included, excluded=excluded)
    if becomes == "in":
        check_size(turned)
    return turned
