"""Presets: filter sets to start from, as the operator wrote them in `config/presets.toml`.

Rules stand there as people type them (`"20k - 300k"`, `"yes"`, `"cat, -inu"`), or as a table that says besides what
counts where the value is missing. Names and descriptions are texts: `preset.<key>`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, get_args

from msgspec import Struct

from domain.filters.registry import FIELDS, FilterField, Missing, Rule
from domain.filters.rules import parse_rule, with_policy
from domain.reading.typed import Unsure
from runtime.errors import FatalError, UserFacingError

KEY: Final = re.compile(r"[a-z0-9_]{1,24}")
"""Part of text keys and callback data."""


class Preset(Struct, frozen=True, kw_only=True):
    key: str
    name: str = ""
    """What an admin called it; empty: the text `preset.<key>`."""
    about: str = ""
    """What an admin says that it is for; empty: the text `preset.<key>.about`."""
    rules: dict[str, Rule] = {}
    """By `FilterField.key`. None at all: every call passes."""


def load_presets(text: str, fields: Sequence[FilterField] = FIELDS) -> tuple[Preset, ...]:
    """The presets in the order of the file. Raises `FatalError` naming the line or the key that is wrong."""
    by_key = {field.key: field for field in fields}
    presets: list[Preset] = []
    for key, table in read_tables(text, "presets.toml").items():
        where = f"presets.toml: [{key}]"
        refuse_unknown(table, {"rules"}, where)
        rules = table.get("rules", {})
        if not isinstance(rules, dict):
            raise FatalError(f"{where} rules: expected a table")
        presets.append(Preset(key=key, rules=_rules(cast("dict[str, Any]", rules), by_key, f"{where} rules.")))
    return tuple(presets)


def read_tables(text: str, name: str) -> dict[str, dict[str, Any]]:
    """A TOML file that holds one table per key. Raises `FatalError` naming the line or key, and the file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FatalError(f"{name}: {error}") from error
    for key, table in document.items():
        if not KEY.fullmatch(key):
            raise FatalError(f"{name}: [{key}]: a key is 1 to 24 characters of a-z, 0-9 and _")
        if not isinstance(table, dict):
            raise FatalError(f"{name}: {key}: expected a table")
    if not document:
        raise FatalError(f"{name}: holds nothing")
    return document


def refuse_unknown(table: Mapping[str, object], known: set[str], where: str) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        raise FatalError(f"{where} {unknown[0]}: unknown, expected one of {', '.join(sorted(known))}")


def _rules(table: dict[str, Any], fields: Mapping[str, FilterField], where: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for key, written in table.items():
        if key not in fields:
            raise FatalError(f"{where}{key}: there is no such filter")
        if isinstance(written, dict):
            rules[key] = _rule_with_policy(cast("dict[str, Any]", written), fields[key], f"{where}{key}")
        else:
            rules[key] = _rule(written, fields[key], f"{where}{key}")
    return rules


def _rule(typed: object, field: FilterField, where: str) -> Rule:
    if not isinstance(typed, str):
        raise FatalError(f'{where}: expected text such as "{field.example}"')
    try:
        rule = parse_rule(typed, field)
    except Unsure as doubt:
        if doubt.key != "list.words":
            raise FatalError(f'{where}: cannot read "{typed}" ({doubt.key})') from doubt
        rule = parse_rule(doubt.readings[-1], field)  # a phrase, as such files were always read
    except UserFacingError as error:
        raise FatalError(f'{where}: cannot read "{typed}" ({error.key})') from error
    if rule is None:
        raise FatalError(f"{where}: leave out a filter that is not wanted")
    return rule


def _rule_with_policy(table: Mapping[str, Any], field: FilterField, where: str) -> Rule:
    refuse_unknown(table, {"rule", "missing", "wait_minutes"}, where)
    rule = _rule(table.get("rule"), field, f"{where}.rule")
    missing: Any = table.get("missing")
    wait_minutes = table.get("wait_minutes", 0)
    if missing not in get_args(Missing):
        raise FatalError(f"{where}.missing: expected one of {', '.join(get_args(Missing))}")
    if not isinstance(wait_minutes, int) or (missing != "wait" and wait_minutes):
        raise FatalError(f"{where}.wait_minutes: a whole number, where it waits")
    try:
        return with_policy(rule, missing, wait_minutes)
    except UserFacingError as error:
        raise FatalError(f"{where}.wait_minutes: expected 1 to {error.arguments['largest']}") from error
