"""Presets: filter sets to start from, as the operator wrote them in `config/presets.toml`.

Ranges stand there as people type them (`"20k - 300k"`). Names and descriptions are texts: `preset.<key>`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from msgspec import Struct

from domain.errors import FatalError, UserFacingError
from domain.filters import FIELDS, FilterField, Range
from domain.numbers import parse_range

KEY: Final = re.compile(r"[a-z0-9_]{1,24}")
"""Part of text keys and callback data."""


class Preset(Struct, frozen=True, kw_only=True):
    key: str
    ranges: dict[str, Range] = {}
    """By `FilterField.key`."""
    channels: frozenset[str] = frozenset()
    """Empty means all."""


def load_presets(text: str, fields: Sequence[FilterField] = FIELDS) -> tuple[Preset, ...]:
    """The presets in the order of the file. Raises `FatalError` naming the line or the key that is wrong."""
    by_key = {field.key: field for field in fields}
    presets: list[Preset] = []
    for key, table in read_tables(text, "presets.toml").items():
        where = f"presets.toml: [{key}]"
        refuse_unknown(table, {"ranges", "channels"}, where)
        ranges = table.get("ranges", {})
        if not isinstance(ranges, dict):
            raise FatalError(f"{where} ranges: expected a table")
        presets.append(
            Preset(
                key=key,
                ranges=_ranges(cast("dict[str, Any]", ranges), by_key, f"{where} ranges."),
                channels=_channels(table.get("channels", []), where),
            )
        )
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


def _ranges(table: dict[str, Any], fields: Mapping[str, FilterField], where: str) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for key, typed in table.items():
        if key not in fields:
            raise FatalError(f"{where}{key}: there is no such filter")
        if not isinstance(typed, str):
            raise FatalError(f'{where}{key}: expected text such as "{fields[key].example}"')
        try:
            limits = parse_range(typed, fields[key])
        except UserFacingError as error:
            raise FatalError(f'{where}{key}: cannot read "{typed}" ({error.key})') from error
        if limits is None:
            raise FatalError(f"{where}{key}: leave out a filter that is not wanted")
        ranges[key] = limits
    return ranges


def _channels(value: object, where: str) -> frozenset[str]:
    if not isinstance(value, list):
        raise FatalError(f"{where} channels: expected a list of channel ids")
    names = cast("list[object]", value)
    if not all(isinstance(name, str) and name for name in names):
        raise FatalError(f"{where} channels: expected a list of channel ids")
    return frozenset(cast("list[str]", names))
