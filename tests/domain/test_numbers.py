from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import UserFacingError
from domain.filters import FIELDS, FilterField, Range, Unit
from domain.numbers import DIGITS, LARGEST, parse_range, parse_value, show_range, show_short, show_value

UNITS: tuple[Unit, ...] = ("usd", "percent", "multiple", "count", "duration")
HOSTILE = [
    "-1",
    "abc",
    "NaN",
    "Infinity",
    "inf",
    "",
    "   ",
    "1e999",
    "1e5",
    "0x10",
    "1_000",
    "9" * 65,
    "١" * 5000,
    "½",
    "1,5k",
]
FIELD_OF: dict[Unit, FilterField] = {
    unit: FilterField(key="some", unit=unit, value=lambda _: None, example="1 - 2") for unit in UNITS
}


@pytest.mark.parametrize(
    ("typed", "unit", "value"),
    [
        ("1.5k", "usd", 1500.0),
        ("2M", "usd", 2e6),
        ("1.2b", "usd", 1.2e9),
        ("$40,000", "usd", 40_000.0),
        ("40 000 $", "usd", 40_000.0),
        ("40\u2009000", "usd", 40_000.0),
        ("  $ 1.5 K ", "usd", 1500.0),
        ("４０ｋ", "usd", 40_000.0),
        (".5", "usd", 0.5),
        ("0.0000012", "usd", 1.2e-6),
        ("5 usd", "usd", 5.0),
        ("12%", "percent", 12.0),
        ("12.5 %", "percent", 12.5),
        ("100", "percent", 100.0),
        ("2.5x", "multiple", 2.5),
        ("x2", "multiple", 2.0),
        ("2×", "multiple", 2.0),
        ("150", "count", 150.0),
        ("1.5k", "count", 1500.0),
        ("3h", "duration", 10_800.0),
        ("2d", "duration", 172_800.0),
        ("90m", "duration", 5400.0),
        ("45s", "duration", 45.0),
        ("1d 6h", "duration", 108_000.0),
        ("1D6H", "duration", 108_000.0),
        ("1.5 hours", "duration", 5400.0),
        ("2 days, 3 hrs", "duration", 183_600.0),
        ("0", "duration", 0.0),
    ],
)
def test_values_as_people_type_them(typed: str, unit: Unit, value: float) -> None:
    assert parse_value(typed, unit) == value


@pytest.mark.parametrize(
    ("typed", "unit", "key"),
    [
        ("-1", "usd", "number.negative"),
        ("−1", "usd", "number.negative"),
        ("-$1", "usd", "number.negative"),
        ("101", "percent", "number.out_of_range"),
        ("100.01%", "percent", "number.out_of_range"),
        ("9" * 60, "usd", "number.out_of_range"),
        ("." + "0" * 40 + "1", "usd", "number.out_of_range"),
        ("11y", "duration", "number.unreadable"),
        ("4000d", "duration", "number.out_of_range"),
        ("90", "duration", "number.unreadable"),
        ("3h 5", "duration", "number.unreadable"),
        ("150.5", "count", "number.unreadable"),
        ("0.5s", "duration", "number.unreadable"),
        ("20 30", "usd", "number.unreadable"),
        ("1,5k", "usd", "number.unreadable"),
        ("12,34,567", "usd", "number.unreadable"),
        ("$5%", "percent", "number.unreadable"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(typed: str, unit: Unit, key: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_value(typed, unit)
    assert refusal.value.key == key
    assert refusal.value.arguments["typed"] == typed
    assert refusal.value.arguments["expected"]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
@pytest.mark.parametrize("typed", HOSTILE, ids=lambda typed: repr(typed[:12]))
def test_every_field_refuses_what_is_not_a_number(field: FilterField, typed: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_range(typed, field)
    assert len(str(refusal.value.arguments["typed"])) <= 65
    with pytest.raises(UserFacingError):
        parse_value(typed, field.unit)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_every_field_has_an_example_that_can_be_typed(field: FilterField) -> None:
    limits = parse_range(field.example, field)
    assert limits is not None
    assert parse_range(show_range(limits, field.unit), field) == limits


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("20k - 2M", Range(20_000.0, 2e6)),
        ("20k-2M", Range(20_000.0, 2e6)),
        ("$20k – $2M", Range(20_000.0, 2e6)),
        ("20k..2M", Range(20_000.0, 2e6)),
        ("20k … 2M", Range(20_000.0, 2e6)),
        ("20k to 2M", Range(20_000.0, 2e6)),
        (">20k", Range(20_000.0, None)),
        (">= 20k", Range(20_000.0, None)),
        ("≥ $20k", Range(20_000.0, None)),
        ("min 20k", Range(20_000.0, None)),
        ("At least 20k", Range(20_000.0, None)),
        ("20k -", Range(20_000.0, None)),
        ("20k+", Range(20_000.0, None)),
        ("20k", Range(20_000.0, None)),
        ("<2M", Range(None, 2e6)),
        ("max 2M", Range(None, 2e6)),
        ("up to 2M", Range(None, 2e6)),
        ("- 2M", Range(None, 2e6)),
        ("2M-2M", Range(2e6, 2e6)),
        ("any", None),
        ("Off", None),
        ("none", None),
    ],
)
def test_ranges_as_people_type_them(typed: str, expected: Range | None) -> None:
    assert parse_range(typed, FIELD_OF["usd"]) == expected


def test_a_single_duration_is_a_maximum() -> None:
    assert parse_range("3h", FIELD_OF["duration"]) == Range(None, 10_800.0)
    assert parse_range("1d 6h - 2d", FIELD_OF["duration"]) == Range(108_000.0, 172_800.0)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("2M - 20k", "range.upside_down"),
        ("1-2-3", "range.unreadable"),
        ("-", "range.unreadable"),
        ("..", "range.unreadable"),
        ("to", "range.unreadable"),
        ("-5", "number.negative"),
        ("-5 - 10", "number.negative"),
        ("10 - -5", "number.negative"),
        (">", "number.unreadable"),
        ("> -5", "number.negative"),
        ("10 - abc", "number.unreadable"),
        ("10k - 1e99", "number.unreadable"),
    ],
)
def test_ranges_that_are_none(typed: str, key: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_range(typed, FIELD_OF["usd"])
    assert refusal.value.key == key
    assert refusal.value.arguments["expected"] == "1 - 2"


def test_an_upside_down_range_says_what_was_understood() -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_range("2M - 20k", FIELD_OF["usd"])
    assert (refusal.value.arguments["minimum"], refusal.value.arguments["maximum"]) == ("$2M", "$20k")


@pytest.mark.parametrize(
    ("value", "unit", "shown", "short"),
    [
        (1500.0, "usd", "$1.5k", "$1.5k"),
        (53_412.0, "usd", "$53,412", "$53.4k"),
        (53_412.123456789, "usd", "$53.4k", "$53.4k"),
        (1.2e-6, "usd", "$0.0000012", "$0.0000012"),
        (1.23456789012e-5, "usd", "$0.0000123", "$0.0000123"),
        (0.0, "usd", "$0", "$0"),
        (2e9, "usd", "$2B", "$2B"),
        (12.0, "percent", "12%", "12%"),
        (100 / 3, "percent", "33.3%", "33.3%"),
        (2.5, "multiple", "2.5x", "2.5x"),
        (150.0, "count", "150", "150"),
        (12_345.0, "count", "12,345", "12.3k"),
        (10_800.0, "duration", "3h", "3h"),
        (108_000.0, "duration", "1d 6h", "1d 6h"),
        (93_784.0, "duration", "1d 2h 3m 4s", "1d 2h"),
        (93_784.5, "duration", "1d 2h", "1d 2h"),
        (86_405.0, "duration", "1d 5s", "1d"),
        (0.0, "duration", "0s", "0s"),
        (-90.0, "duration", "-1m 30s", "-1m 30s"),
        (1e300, "usd", "1.0e+300", "1.0e+300"),
        (5e-324, "usd", "5.0e-324", "5.0e-324"),
        (math.inf, "usd", "∞", "∞"),
        (-math.inf, "duration", "-∞", "-∞"),
        (math.nan, "usd", "?", "?"),
        (None, "percent", "?", "?"),
    ],
)
def test_values_as_people_read_them(value: float | None, unit: Unit, shown: str, short: str) -> None:
    assert show_value(value, unit) == shown
    assert show_short(value, unit) == short


@pytest.mark.parametrize(
    ("limits", "unit", "shown"),
    [
        (Range(20_000.0, 2e6), "usd", "$20k – $2M"),
        (Range(40.0, None), "percent", "≥ 40%"),
        (Range(None, 10_800.0), "duration", "≤ 3h"),
        (None, "usd", "any"),
    ],
)
def test_ranges_as_people_read_them(limits: Range | None, unit: Unit, shown: str) -> None:
    assert show_range(limits, unit) == shown


def typeable(unit: Unit) -> st.SearchStrategy[float]:
    """Every value that typing can give: up to nine digits, anywhere in the range of the unit."""

    def build(digits: int, exponent: int) -> float:
        return float(Decimal(digits).scaleb(exponent))

    if unit in {"count", "duration"}:
        return st.integers(0, min(int(LARGEST[unit]), 10**DIGITS - 1)).map(float)
    return st.builds(build, st.integers(0, 10**DIGITS - 1), st.integers(-17, 6)).filter(
        lambda value: value <= LARGEST[unit] and (value == 0 or value >= 1e-17)
    )


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_shown_can_be_typed_again(unit: Unit) -> None:
    @given(typeable(unit))
    def holds(value: float) -> None:
        assert parse_value(show_value(value, unit), unit) == value

    holds()


@pytest.mark.parametrize("unit", UNITS)
def test_ranges_that_are_shown_can_be_typed_again(unit: Unit) -> None:
    @given(st.none() | typeable(unit), st.none() | typeable(unit))
    def holds(low: float | None, high: float | None) -> None:
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        limits = None if low is None and high is None else Range(low, high)
        assert parse_range(show_range(limits, unit), FIELD_OF[unit]) == limits

    holds()


@pytest.mark.parametrize("unit", UNITS)
def test_whatever_is_typed_is_read_or_refused(unit: Unit) -> None:
    """And what was read is shown and read again as the same, whatever it was."""
    grammar = st.text(st.sampled_from("0123456789.,- $%xkmbdhs+<>≥'to½٣²e_\u2009"), max_size=20)

    @given(grammar | st.text(max_size=80))
    @example("1.0000000004")
    @example("999999999999999.9")
    def holds(typed: str) -> None:
        try:
            limits = parse_range(typed, FIELD_OF[unit])
        except UserFacingError:
            return
        assert parse_range(show_range(limits, unit), FIELD_OF[unit]) == limits

    holds()


@given(st.floats(), st.sampled_from(UNITS))
def test_whatever_a_feed_says_is_shown_shortly(value: float, unit: Unit) -> None:
    assert 0 < len(show_value(value, unit)) <= 40
    assert 0 < len(show_short(value, unit)) <= 30
