"""One line of a file that somebody takes with them: CSV for a spreadsheet, or JSON Lines for a program.

Names of tokens and channels are attacker-controlled, and a spreadsheet executes what begins like a formula.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Final, Literal, cast

import msgspec

Form = Literal["csv", "jsonl"]

BOM: Final = b"\xef\xbb\xbf"
"""Tells spreadsheets that a file is UTF-8."""
HARMLESS: Final = "'"
"""Before a text that a spreadsheet would take for a formula."""
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a formula begins; the last four are the full-width forms of the first."""


def cell(value: object) -> str:
    """Show a value in a spreadsheet: times in ISO 8601 and UTC, nothing for `None`, a text never as a formula."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value) if math.isfinite(value) else ""
        case datetime():
            return _moment(value)
        case _:
            listed = isinstance(value, list | tuple)
            text = "; ".join(map(str, cast("Iterable[object]", value))) if listed else str(value)
            return HARMLESS + text if text.startswith(_FORMULAS) else text


def csv_line(values: Iterable[object]) -> bytes:
    line = StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([cell(value) for value in values])
    return line.getvalue().encode()


def json_line(row: Mapping[str, object], documents: Collection[str] = ()) -> bytes:
    """`documents`: what is JSON already and stands as such in the line."""
    line = {name: _jsonable(value, is_document=name in documents) for name, value in row.items()}
    return msgspec.json.encode(line) + b"\n"


def _jsonable(value: object, *, is_document: bool) -> object:
    match value:
        case datetime():
            return _moment(value)
        case float() if not math.isfinite(value):
            return None
        case str() if is_document:
            return msgspec.Raw(value.encode())
        case _:
            return value


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
