"""What stands in a file is what was stored, and a spreadsheet executes none of it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.export.lines import HARMLESS, cell, csv_line, json_line

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def read(line: bytes) -> list[str]:
    (row,) = csv.reader(StringIO(line.decode(), newline=""))
    return row


@given(st.lists(TEXTS, min_size=1))
def test_no_text_begins_a_formula_and_none_is_changed_otherwise(texts: list[str]) -> None:
    for text, shown in zip(texts, read(csv_line(texts)), strict=True):
        assert not shown.startswith(FORMULA)
        assert shown == (HARMLESS + text if text.startswith(FORMULA) else text)


@pytest.mark.parametrize("begins", FORMULA)
def test_every_beginning_of_a_formula_is_made_harmless(begins: str) -> None:
    assert cell(begins + 'HYPERLINK("https://example.com")') == HARMLESS + begins + 'HYPERLINK("https://example.com")'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_numbers(value: float) -> None:
    assert float(cell(value)) == value


def test_times_are_in_utc_and_nothing_is_nothing() -> None:
    at = datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert cell(at) == "2026-06-30T23:30:00Z"
    assert [cell(one) for one in (None, True, Decimal("1.50"), float("nan"), ["=a", "b"])] == [
        *("", "true", "1.50", ""),
        "'=a; b",
    ]


@given(TEXTS, st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False)))
def test_a_line_of_json_says_what_was_stored(text: str, value: object) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    row = {"text": text, "value": value, "at": at, "document": json.dumps({"text": text}), "none": None}
    line = json_line(row, {"document", "none"})
    assert line.count(b"\n") == 1
    read_back = json.loads(line)
    assert (read_back["text"], read_back["at"], read_back["none"]) == (text, "2026-07-01T00:00:00Z", None)
    assert read_back["document"] == {"text": text}
    assert read_back["value"] == (None if value in (float("inf"), float("-inf")) else value)
