"""Rules as people type and read them: `1.5k`, `$40,000`, `-20% - 200%`, `1d 6h`, `yes`, `cat, -inu`.

`parse_rule(show_rule(r, field), field) == r` for every rule r that was read. The words accepted here are grammar, not
sentences: what people are told is in `texts/`, under the keys of the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import msgspec

from domain.filters.lists import Unreadable, read_choice, read_words, show_list
from domain.filters.ranges import read_range, show_range
from domain.filters.registry import IN_THOUSANDS, MAX_WAIT_MINUTES, Choice, FilterField, FilterSet, Missing, Rule, Words
from domain.filters.values import Known
from domain.reading.typed import Unsure, clip
from runtime.errors import UserFacingError

_VOLUME: Final = r"vol(?:ume)?"
_NAMES: Final = {
    "market_cap_usd": r"market ?cap|m ?cap|mc|cap",
    "fdv_usd": r"fdv",
    "price_usd": r"price",
    "liquidity_usd": r"liq(?:uidity)?",
    "liquidity_share": r"liq(?:uidity)?",
    "volume_5m_usd": _VOLUME,
    "volume_1h_usd": _VOLUME,
    "volume_24h_usd": _VOLUME,
    "holders": r"holders?",
    "top10_percent": r"top ?10",
    "risk_score": r"risk|score",
    "token_age_s": r"age|old",
    "calling_channels": r"channels?|callers?",
    "channel_calls": r"calls?",
    "channel_calls_30d": r"calls?",
}
"""What people call a figure beside its numbers."""
_NAME_OF: Final = {key: re.compile(rf"\b(?:{names})\b:?") for key, names in _NAMES.items()}


def parse_rule(text: str, field: FilterField, known: Sequence[Known] | None = None) -> Rule | None:
    """A rule that fails where the value is missing, or `None` where the person wants none (`any`, `off`, `none`).

    Numbers: `20k - 2M`, `20k..2M`, `20k to 2M`; `20k -`, `>20k`, `min 20k`, `20k+`; `- 3h`, `-2M`, `<3h`, `max 3h`. One
    number alone is the minimum, of a duration the maximum; both ends belong to the range. What the figure is called may
    stand with it: `8k - 60k mc`, `holders > 500`, `less than 2h old`. In a change a dash that
    touches a number at its beginning is a sign. Flags: `yes`, `no`. Choices and words: see `domain.filters.lists`;
    values of choices get the names by which they are `known`, which are the field's own where none are given.

    Raises `UserFacingError` with `typed` and `expected` (an example): `number.unreadable`, `number.negative`,
    `number.out_of_range` (`largest`), `range.unreadable`,
    `range.upside_down` (with `minimum` and `maximum` as shown), `flag.unreadable`, `list.unreadable` (no item),
    `list.too_many` (`largest`), `list.too_long` (`item`, `largest`), `list.contradiction` (`item`). Raises `Unsure`,
    with readings that can be parsed: `number.which` (`grouped`, `decimal`), `duration.no_unit` (`examples`),
    `number.thousands` (`thousands`, `dollars`), `list.which`, `list.words`.
    """
    try:
        if field.unit == "choice":
            in_lower_case = field.group == "origin"
            return read_choice(text, field.known if known is None else known, in_lower_case=in_lower_case)
        if field.unit == "text":
            return read_words(text)
        name = _NAME_OF.get(field.key)
        return read_range(text, field.unit, in_thousands=field.key in IN_THOUSANDS, name=name)
    except Unsure as doubt:
        raise Unsure(doubt.key, doubt.readings, typed=clip(text), expected=field.example, **doubt.arguments) from None
    except Unreadable as error:
        raise UserFacingError(error.key, typed=clip(text), expected=field.example, **error.arguments) from None


def show_rule(rule: Rule | None, field: FilterField) -> str:
    """`$20k – $2M`, `≥ 40%`, `≤ 3h`, `yes`, `cat, "one, two", -inu`, `any`; `parse_rule` reads it back.

    The policy for missing values is not part of it.
    """
    if isinstance(rule, Choice):
        return show_list(sorted(rule.included), sorted(rule.excluded)) or "any"
    if isinstance(rule, Words):
        return show_list(rule.included, rule.excluded) or "any"
    return show_range(rule, field.unit)


def with_policy(rule: Rule, missing: Missing, wait_minutes: int = 0) -> Rule:
    """The same rule with another policy for missing values; `wait_minutes` is ignored unless it waits.

    Raises `UserFacingError` `wait.out_of_range` (with `largest`) for a wait that is not 1 to 60 minutes.
    """
    if missing != "wait":
        wait_minutes = 0
    elif not 1 <= wait_minutes <= MAX_WAIT_MINUTES:
        raise UserFacingError("wait.out_of_range", typed=str(wait_minutes), expected="10", largest=MAX_WAIT_MINUTES)
    return msgspec.structs.replace(rule, missing=missing, wait_minutes=wait_minutes)


def without_channels(filter_set: FilterSet, channel_ids: Iterable[str]) -> FilterSet:
    """The set as it would be with these channels excluded by a rule."""
    rule = filter_set.rules.get("channel")
    chosen = rule if isinstance(rule, Choice) else Choice()
    narrowed = msgspec.structs.replace(chosen, excluded=chosen.excluded | frozenset(channel_ids))
    return msgspec.structs.replace(filter_set, rules={**filter_set.rules, "channel": narrowed})


def naming_all(filter_set: FilterSet, ids_of: Callable[[str], Iterable[str]]) -> FilterSet:
    """The set as it would be if it named each channel by all its ids."""
    rule = filter_set.rules.get("channel")
    if not isinstance(rule, Choice):
        return filter_set
    included, excluded = (
        frozenset(chain.from_iterable(map(ids_of, named))) for named in (rule.included, rule.excluded)
    )
    named = msgspec.structs.replace(rule, included=included, excluded=excluded)
    return msgspec.structs.replace(filter_set, rules={**filter_set.rules, "channel": named})
