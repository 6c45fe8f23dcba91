"""Filter sets as expressions over the archive's columns; they say of each row what `explain` says of its call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl
from msgspec import Struct

from domain.filters.explanation import fits
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Range, Rule, Unit, Words
from domain.reading.visible import compared_word

NEVER = pl.lit(value=False)
ALWAYS = pl.lit(value=True)


class Condition(Struct, frozen=True):
    passes: pl.Expr
    waits: pl.Expr
    """No rule fails, and some wait for a value."""
    may_pass: pl.Expr
    """True wherever either is, and now and then elsewhere: texts, which take long, only the others look at."""
    columns: frozenset[str]


def condition_of(filter_set: FilterSet, fields: Sequence[FilterField] = FIELDS) -> Condition:
    """Return what a set says, whether it is on or not."""
    units: dict[str, Unit] = {field.key: field.unit for field in fields}
    if any(key not in units or not fits(rule, units[key]) for key, rule in filter_set.rules.items()):
        return Condition(NEVER, NEVER, NEVER, frozenset())
    rules = [(rule, _holds(pl.col(key), rule)) for key, rule in filter_set.rules.items()]
    passes = _all(holds.fill_null(rule.missing == "pass") for rule, holds in rules)
    waits = NEVER
    if any(rule.missing == "wait" for rule, _ in rules):
        waits = _all(holds.fill_null(rule.missing != "fail") for rule, holds in rules) & ~passes
    quick = [(rule, holds) for rule, holds in rules if not isinstance(rule, Words)] or rules
    may_pass = _all(holds.fill_null(rule.missing != "fail") for rule, holds in quick)
    return Condition(passes, waits, may_pass, frozenset(filter_set.rules))


def _holds(column: pl.Expr, rule: Rule) -> pl.Expr:
    """Return whether the value passes, null where there is none."""
    if isinstance(rule, Range):
        return _within(column, rule)
    if isinstance(rule, Choice):
        wanted = column.is_in(sorted(rule.included)) if rule.included else _any_value(column)
        return wanted & ~column.is_in(sorted(rule.excluded)) if rule.excluded else wanted
    wanted = _any_word(column, rule.included) if rule.included else _any_value(column)
    return wanted & ~_any_word(column, rule.excluded) if rule.excluded else wanted


def _any_value(column: pl.Expr) -> pl.Expr:
    return pl.when(column.is_not_null()).then(ALWAYS)


def _within(column: pl.Expr, limits: Range) -> pl.Expr:
    """Return whether a number is in the interval; in one with NaN for an end is none, though polars sorts NaN."""
    low, high = (None if end is None else float(end) for end in (limits.minimum, limits.maximum))
    if any(end is not None and math.isnan(end) for end in (low, high)):
        return ~_any_value(column)
    if low is None and high is None:
        return _any_value(column)
    if low is None:
        return column <= high
    return column >= low if high is None else column.is_between(low, high)


def _any_word(column: pl.Expr, words: Iterable[str]) -> pl.Expr:
    wanted = [compared_word(word) for word in words]
    return column.str.contains_any(wanted) if all(wanted) else _any_value(column)


def any_of(expressions: Iterable[pl.Expr]) -> pl.Expr:
    found = NEVER
    for one in expressions:
        found |= one
    return found


def _all(expressions: Iterable[pl.Expr]) -> pl.Expr:
    every = ALWAYS
    for one in expressions:
        every &= one
    return every
