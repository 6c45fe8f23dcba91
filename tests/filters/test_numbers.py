from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.filters.explanation import fits
from domain.filters.lists import MAX_CHOICES, MAX_WORDS
from domain.filters.numbers import (
    DIGITS,
    MAX_VALUE,
    show_apart,
    show_short,
    show_value,
)
from domain.filters.registry import FIELDS, Choice, FilterField, Range, Rule, Unit, Words
from domain.filters.rules import parse_rule, show_rule, with_policy
from domain.reading.typed import Unsure
from runtime.errors import UserFacingError

UNITS: tuple[Unit, ...] = ("usd", "percent", "change", "multiple", "ratio", "score", "count", "duration")
HOSTILE = [
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
    "②",
    "5²",
    "１００⁶",
    "1,23,456",
]
KINDS: tuple[Unit, ...] = (*UNITS, "flag", "choice", "text")
FIELD_OF: dict[Unit, FilterField] = {
    unit: FilterField(key="some", group="size", unit=unit, value=lambda _: None, example="1 - 2") for unit in KINDS
}
NUMERIC = [field for field in FIELDS if field.unit not in {"choice", "text"}]


def number_in(typed: str, unit: Unit) -> float | None:
    """The only number of a rule."""
    rule = parse_rule(typed, FIELD_OF[unit])
    assert isinstance(rule, Range)
    assert rule.minimum is None or rule.maximum is None
    return rule.maximum if rule.minimum is None else rule.minimum


@pytest.mark.parametrize(
    ("typed", "unit", "value"),
    [
        ("1.5k", "usd", 1500.0),
        ("two", "count", 2.0),
        ("Twenty", "count", 20.0),
        ("two hours", "duration", 7200.0),
        ("less than -twenty%", "change", -20.0),
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
        ("-20%", "change", -20.0),
        ("−20", "change", -20.0),
        ("+50%", "change", 50.0),
        ("-0", "change", 0.0),
        ("1.25", "ratio", 1.25),
        ("40", "score", 40.0),
        ("40/100", "score", 40.0),
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
        ("\u202a20k\u202c", "usd", 20_000.0),
        ("2\u200b0\u2060k", "usd", 20_000.0),
        ("20к", "usd", 20_000.0),
        ("2М", "usd", 2e6),
        ("1,5 млн", "usd", 1.5e6),
        ("2 тыс.", "usd", 2000.0),
        ("2В", "usd", 2e9),
        ("2 million", "usd", 2e6),
        *((f"1.5 {said}", "usd", 1.5e6) for said in ("mil", "mio", "mn", "mln", "mill", "Millions")),
        *((f"$20 {said}", "usd", 20_000.0) for said in ("thousand", "thousands", "K")),
        *((f"3 {said}", "count", 3e9) for said in ("bn", "bln", "bil", "billion", "billions")),
        ("10⁶", "usd", 1e6),
        ("2×10⁶", "usd", 2e6),
        ("10^6", "usd", 1e6),
        ("10⁻³", "usd", 0.001),
        ("$0.0₇123", "usd", 1.23e-8),
        ("١٥٠", "count", 150.0),
        ("٤٠٪", "percent", 40.0),
        ("۴۰٪", "percent", 40.0),
        ("४०%", "percent", 40.0),
        ("٢٠٬٠٠٠", "usd", 20_000.0),
        ("١٫٥", "ratio", 1.5),
        ("1,5k", "usd", 1500.0),
        ("0,125", "usd", 0.125),
        ("1.000.000", "usd", 1e6),
        ("20.000,5", "usd", 20_000.5),
        ("20 000,50", "usd", 20_000.5),
        ("20’000", "usd", 20_000.0),
        ("12.500%", "percent", 12.5),
        ("0.125", "ratio", 0.125),
        ("1.234M", "usd", 1_234_000.0),
        ("2х", "multiple", 2.0),
        ("10м", "duration", 600.0),
        ("3ч", "duration", 10_800.0),
        ("２ｄ", "duration", 172_800.0),
    ],
)
def test_values_as_people_type_them(typed: str, unit: Unit, value: float) -> None:
    assert number_in(typed, unit) == value


@pytest.mark.parametrize(
    ("typed", "unit", "key"),
    [
        ("101", "percent", "number.out_of_range"),
        ("101", "score", "number.out_of_range"),
        ("-9999999999%", "change", "number.out_of_range"),
        ("100.01%", "percent", "number.out_of_range"),
        ("9" * 60, "usd", "number.out_of_range"),
        ("." + "0" * 40 + "1", "usd", "number.out_of_range"),
        ("11y", "duration", "number.unreadable"),
        ("4000d", "duration", "number.out_of_range"),
        ("3h 5", "duration", "number.unreadable"),
        ("150.5", "count", "number.unreadable"),
        ("0.5s", "duration", "number.unreadable"),
        ("20 30", "usd", "number.unreadable"),
        ("12,34,567", "usd", "number.unreadable"),
        ("$5%", "percent", "number.unreadable"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(typed: str, unit: Unit, key: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_rule(typed, FIELD_OF[unit])
    assert refusal.value.key == key
    assert refusal.value.arguments["typed"] == typed
    assert "expected" in refusal.value.arguments


@pytest.mark.parametrize("field", NUMERIC, ids=lambda field: field.key)
@pytest.mark.parametrize("typed", HOSTILE, ids=lambda typed: repr(typed[:12]))
def test_every_field_refuses_what_is_not_a_number(field: FilterField, typed: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_rule(typed, field)
    assert len(str(refusal.value.arguments["typed"])) <= 65


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
def test_every_field_has_an_example_that_can_be_typed(field: FilterField) -> None:
    rule = parse_rule(field.example, field)
    assert rule is not None
    assert fits(rule, field.unit)
    assert parse_rule(show_rule(rule, field), field) == rule


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
        ("-2M", Range(None, 2e6)),
        ("−$2M", Range(None, 2e6)),
        ("20k ～ 2M", Range(20_000.0, 2e6)),
        ("20.000 - 50", Range(20.0, 50.0)),
        ("2M-2M", Range(2e6, 2e6)),
        ("any", None),
        ("Off", None),
        ("none", None),
    ],
)
def test_ranges_as_people_type_them(typed: str, expected: Range | None) -> None:
    assert parse_rule(typed, FIELD_OF["usd"]) == expected


@pytest.mark.parametrize(
    ("value", "unit", "limit", "shown"),
    [
        (1_005_419.41, "usd", "$1M", "$1.01M"),
        (399_331.06, "usd", "$500k", "$399k"),
        (1_000_300.0, "usd", "$1M", "$1.0003M"),
        (1_000_000.0001, "usd", "$1M", "$1.0000000001M"),
        (40.04, "percent", "40%", "40.04%"),
        (7_201.0, "duration", "2h", "2h 1s"),
        (7_200.5, "duration", "2h", "7,200.500s"),
        (40.0, "percent", "50%", "40%"),
        (None, "usd", "$1M", "?"),
    ],
)
def test_a_figure_beside_its_limit_reads_like_it_only_where_it_is_it(
    value: float | None, unit: Unit, limit: str, shown: str
) -> None:
    assert show_apart(value, unit, [limit]) == shown


@given(
    st.floats(1e-9, 1e12, allow_nan=False),
    st.floats(1e-9, 1e12, allow_nan=False),
    st.sampled_from(("usd", "percent", "multiple", "ratio", "count")),
)
def test_no_two_figures_read_alike(seen: float, other: float, unit: Unit) -> None:
    assume(seen != other)
    limit = show_value(other, unit)
    assert show_apart(seen, unit, [limit]) != limit


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("-20% - 200%", Range(-20.0, 200.0)),
        ("-20 - -10", Range(-20.0, -10.0)),
        ("-20--10", Range(-20.0, -10.0)),
        ("-20% to -10%", Range(-20.0, -10.0)),
        ("-50..50", Range(-50.0, 50.0)),
        ("10-20", Range(10.0, 20.0)),
        ("-20%", Range(-20.0, None)),
        ("- 20%", Range(None, 20.0)),
        ("- -20%", Range(None, -20.0)),
        ("-20% -", Range(-20.0, None)),
        ("≥ -20%", Range(-20.0, None)),
        ("max -5", Range(None, -5.0)),
        ("+50%", Range(50.0, None)),
        ("-20%+", Range(-20.0, None)),
    ],
)
def test_a_change_may_be_negative(typed: str, expected: Range) -> None:
    assert parse_rule(typed, FIELD_OF["change"]) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("yes", Range(1.0, None)), (" Y ", Range(1.0, None)), ("NO", Range(None, 0.0)), ("any", None), ("off", None)],
)
def test_flags(typed: str, expected: Range | None) -> None:
    assert parse_rule(typed, FIELD_OF["flag"]) == expected


@pytest.mark.parametrize(
    ("typed", "included", "excluded"),
    [
        ("cat, dog, -inu", ("cat", "dog"), ("inu",)),
        ("Cat; DOG\n- Inu", ("Cat", "DOG"), ("Inu",)),
        ('"one, two", -"three  four"', ("one, two",), ("three four",)),
        ("“white dog”", ("white dog",), ()),
        ("cat, CAT, Ｃａｔ", ("cat",), ()),
        ('"white   dog"', ("white dog",), ()),
        ('"-5%", "any"', ("-5%", "any"), ()),
        ('"say ""hi"""', ('say "hi"',), ()),
        ('"open, end', ('"open', "end"), ()),
        (",, a ,,", ("a",), ()),
        ("−inu", (), ("inu",)),
        ("a\x00b\ud800", ("ab\ufffd",), ()),
        ("\u202acat\u202c, -i\u200bnu", ("cat",), ("inu",)),
        ("قطة، كلب", ("قطة", "كلب"), ()),
        ("猫、犬，-狐", ("猫", "犬"), ("狐",)),
        ("«white dog»", ("white dog",), ()),
        ('"one، two"', ("one، two",), ()),
    ],
)
def test_words_as_people_type_them(typed: str, included: tuple[str, ...], excluded: tuple[str, ...]) -> None:
    rule = parse_rule(typed, FIELD_OF["text"])
    assert rule == Words(included, excluded)
    assert parse_rule(show_rule(rule, FIELD_OF["text"]), FIELD_OF["text"]) == rule


@pytest.mark.parametrize(
    ("typed", "key", "readings"),
    [
        ("contains cat or dog", "list.words", ("cat, dog", '"contains cat or dog"')),
        ("penguin, walrus raccoon", "list.words", ("penguin, walrus, raccoon", 'penguin, "walrus raccoon"')),
        ("white   dog", "list.words", ("white, dog", '"white dog"')),
        ("any of cat, with dog", "list.words", ("cat, dog", '"any of cat", "with dog"')),
        ("white dog or cat", "list.words", ("white, dog, cat", '"white dog", cat', '"white dog or cat"')),
        ("like pepe and wif | bonk", "list.words", ("pepe, wif, bonk", '"like pepe and wif | bonk"')),
        ("-white dog", "list.words", ("-white, -dog", '-"white dog"')),
        ("cat but not inu", "list.which", ("cat, -inu", '"cat but not inu"')),
        ("cat -inu", "list.which", ("cat, -inu", '"cat -inu"')),
        ("no inu", "list.which", ("-inu", '"no inu"')),
        (
            '"big cat", no shiba inu',
            "list.which",
            ('"big cat", -shiba, -inu', '"big cat", -"shiba inu"', '"big cat", "no shiba inu"'),
        ),
    ],
)
def test_words_as_people_say_them_are_asked_about(typed: str, key: str, readings: tuple[str, ...]) -> None:
    field = FIELD_OF["text"]
    with pytest.raises(Unsure) as doubt:
        parse_rule(typed, field)
    assert (doubt.value.key, doubt.value.readings) == (key, readings)
    assert tuple(show_rule(parse_rule(reading, field), field) for reading in readings) == readings


@given(st.text(st.sampled_from('ab -"|&,no\u00a0 '), max_size=30))
def test_every_reading_of_words_can_be_meant_in_one_way(typed: str) -> None:
    field, readings = FIELD_OF["text"], read_in_all_ways(typed)
    rules = [parse_rule(reading, field) for reading in readings]
    assert len(set(readings)) == len(readings)
    assert [show_rule(rule, field) for rule in rules] == readings


def read_in_all_ways(typed: str) -> list[str]:
    """Return the rules that it may mean, as they are shown; none for what is refused."""
    try:
        return [show_rule(parse_rule(typed, FIELD_OF["text"]), FIELD_OF["text"])]
    except Unsure as doubt:
        return [*doubt.readings]
    except UserFacingError:
        return []


def test_choices_are_kept_as_they_are_but_for_names_that_are_in_lower_case() -> None:
    by_key = {field.key: field for field in FIELDS}
    assert parse_rule("@Alpha, -@Beta", by_key["channel"]) == Choice(frozenset({"@Alpha"}), frozenset({"@Beta"}))
    assert parse_rule("Pump.Fun, -BONK", by_key["launchpad"]) == Choice(frozenset({"pump.fun"}), frozenset({"bonk"}))


@pytest.mark.parametrize(
    ("typed", "unit", "key"),
    [
        ("perhaps", "flag", "flag.unreadable"),
        ("1", "flag", "flag.unreadable"),
        ("", "text", "list.unreadable"),
        (" , -, ", "choice", "list.unreadable"),
        (",".join(map(str, range(MAX_WORDS + 1))), "text", "list.too_many"),
        (",".join(map(str, range(MAX_CHOICES + 1))), "choice", "list.too_many"),
        ("a," * 3000, "text", "list.too_many"),
        ("a" * 51, "text", "list.too_long"),
        ("a" * 65, "choice", "list.too_long"),
        ("cat, -CAT", "text", "list.contradiction"),
        ("a, -a", "choice", "list.contradiction"),
    ],
)
def test_flags_and_lists_that_are_none(typed: str, unit: Unit, key: str) -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_rule(typed, FIELD_OF[unit])
    assert refusal.value.key == key
    assert refusal.value.arguments["expected"] == "1 - 2"


@pytest.mark.parametrize("pattern", ['"', '""', '",', '"a,', '"a""b"c,', '-"', "-", '""",', ' "" ', "- -"])
def test_lists_are_read_in_bounded_work(pattern: str) -> None:
    """Longest texts of every quote and dash: hours, if anything were tried again and again."""
    for typed in (pattern * (4096 // len(pattern)), (pattern * 1000)[:4000] + "x"):
        try:
            parse_rule(typed, FIELD_OF["choice"])
        except UserFacingError as error:
            assert error.key.startswith("list.")  # noqa: PT017 - some are lists of one item


@pytest.mark.parametrize("rule", [Range(1.0, 2.0), Choice(frozenset("a")), Words(("a",), ("b",))])
def test_a_policy_is_kept_apart_from_the_rule(rule: Rule) -> None:
    waiting = with_policy(rule, "wait", 10)
    assert (waiting.missing, waiting.wait_minutes) == ("wait", 10)
    assert with_policy(waiting, "pass", 10) == with_policy(rule, "pass")
    assert with_policy(waiting, "fail") == rule
    assert show_rule(waiting, FIELD_OF["text"]) == show_rule(rule, FIELD_OF["text"])
    for minutes in (0, -1, 61):
        with pytest.raises(UserFacingError) as refusal:
            with_policy(rule, "wait", minutes)
        assert refusal.value.key == "wait.out_of_range"


@pytest.mark.parametrize(
    ("typed", "unit", "key", "readings"),
    [
        ("20.000 - 50.000", "usd", "number.which", ("$20k – $50k", "$20 – $50")),
        ("20.000 - 50k", "usd", "number.which", ("$20k – $50k", "$20 – $50k")),
        ("20.000", "usd", "number.which", ("≥ $20k", "≥ $20")),
        ("-1.500", "usd", "number.which", ("≤ $1.5k", "≤ $1.5")),
        ("1.250x", "multiple", "number.which", ("≥ 1,250x", "≥ 1.25x")),
        ("٢٠٫٠٠٠", "usd", "number.which", ("≥ $20k", "≥ $20")),
        ("10", "duration", "duration.no_unit", ("≤ 10m", "≤ 10h", "≤ 10d")),
        ("3 - 10", "duration", "duration.no_unit", ("3m – 10m", "3h – 10h", "3d – 10d")),
        ("1h - 30", "duration", "duration.no_unit", ("1h – 1d 6h", "1h – 30d")),
        (">90", "duration", "duration.no_unit", ("≥ 1h 30m", "≥ 3d 18h", "≥ 90d")),
    ],
)
def test_what_can_be_meant_in_two_ways_is_asked_back(
    typed: str, unit: Unit, key: str, readings: tuple[str, ...]
) -> None:
    with pytest.raises(Unsure) as doubt:
        parse_rule(typed, FIELD_OF[unit])
    assert (doubt.value.key, doubt.value.readings) == (key, readings)
    assert doubt.value.arguments["typed"] == typed
    for reading in readings:
        assert show_rule(parse_rule(reading, FIELD_OF[unit]), FIELD_OF[unit]) == reading


SUMS = [field for field in FIELDS if field.unit == "usd" and field.key != "price_usd"]


@pytest.mark.parametrize("field", SUMS, ids=[field.key for field in SUMS])
@pytest.mark.parametrize(
    ("typed", "readings"),
    [
        ("from 20 to 200", ("$20k – $200k", "$20 – $200")),
        ("20 - 200", ("$20k – $200k", "$20 – $200")),
        ("20", ("≥ $20k", "≥ $20")),
        ("- 500", ("≤ $500k", "≤ $500")),
        ("0 - 50", ("$0 – $50k", "$0 – $50")),
        ("20 - 200k", ("$20k – $200k", "$20 – $200k")),
    ],
)
def test_dollars_that_may_be_thousands_are_asked_about(
    field: FilterField, typed: str, readings: tuple[str, ...]
) -> None:
    with pytest.raises(Unsure) as doubt:
        parse_rule(typed, field)
    assert (doubt.value.key, doubt.value.readings) == ("number.thousands", readings)
    assert tuple(show_rule(parse_rule(reading, field), field) for reading in readings) == readings


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("$20", "≥ $20"),
        ("20 usd - 200", "$20 – $200"),
        ("$20 - 200", "$20 – $200"),
        ("0 - 5k", "$0 – $5k"),
        ("0 -", "≥ $0"),
        ("20 - 5000", "$20 – $5k"),
        ("500 - 20,000", "$500 – $20k"),
        ("500 - 20k", "$500 – $20k"),
        ("20k - 200k", "$20k – $200k"),
        ("2000", "≥ $2k"),
    ],
)
def test_dollars_that_can_be_nothing_else_are_taken(typed: str, shown: str) -> None:
    for field in SUMS:
        assert show_rule(parse_rule(typed, field), field) == shown


def test_a_price_is_in_dollars() -> None:
    field = next(field for field in FIELDS if field.key == "price_usd")
    assert show_rule(parse_rule("0.5 - 2", field), field) == "$0.5 – $2"


def test_an_age_without_a_unit_names_the_units() -> None:
    with pytest.raises(Unsure) as doubt:
        parse_rule("10", FIELD_OF["duration"])
    assert doubt.value.arguments["examples"] == "10m, 10h, 10d"


@given(st.sampled_from(UNITS), st.data())
def test_signs_that_cannot_be_seen_and_digits_of_any_script_change_nothing(unit: Unit, data: st.DataObject) -> None:
    shown = show_value(data.draw(typeable(unit)), unit)
    zero = data.draw(st.sampled_from("0٠۰०০๐０𝟎"))
    other = "".join(chr(ord(zero) + int(sign)) if sign in "0123456789" else sign for sign in shown)
    at = data.draw(st.integers(0, len(other)))
    hidden = "\u202a" + other[:at] + data.draw(st.sampled_from("\u200b\u2060\ufeff\u200f")) + other[at:] + "\u202c"
    assert number_in(hidden, unit) == number_in(shown, unit)


def test_a_single_duration_is_a_maximum() -> None:
    assert parse_rule("3h", FIELD_OF["duration"]) == Range(None, 10_800.0)
    assert parse_rule("1d 6h - 2d", FIELD_OF["duration"]) == Range(108_000.0, 172_800.0)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("2M - 20k", "range.upside_down"),
        ("1-2-3", "range.unreadable"),
        ("-", "range.unreadable"),
        ("..", "range.unreadable"),
        ("to", "range.unreadable"),
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
        parse_rule(typed, FIELD_OF["usd"])
    assert refusal.value.key == key
    assert refusal.value.arguments["expected"] == "1 - 2"


def test_an_upside_down_range_says_what_was_understood() -> None:
    with pytest.raises(UserFacingError) as refusal:
        parse_rule("2M - 20k", FIELD_OF["usd"])
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
        (-12.5, "change", "-12.5%", "-12.5%"),
        (1.0, "flag", "yes", "yes"),
        (0.0, "flag", "no", "no"),
        ("pump.fun", "choice", "pump.fun", "pump.fun"),
        ("x" * 500, "text", "x" * 64 + "…", "x" * 64 + "…"),
        (0.3, "score", "0.3", "0.3"),
        (1.234, "usd", "$1.2340", "$1.23"),
        (-12.345, "change", "-12.3450%", "-12.3%"),
        (12.345, "percent", "12.345%", "12.3%"),
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
def test_values_as_people_read_them(value: float | str | None, unit: Unit, shown: str, short: str) -> None:
    assert show_value(value, unit) == shown
    assert show_short(value, unit) == short


@pytest.mark.parametrize(
    ("limits", "unit", "shown"),
    [
        (Range(20_000.0, 2e6), "usd", "$20k – $2M"),
        (Range(40.0, None), "percent", "≥ 40%"),
        (Range(None, 10_800.0), "duration", "≤ 3h"),
        (Range(-20.0, 200.0), "change", "-20% – 200%"),
        (Range(None, -20.0), "change", "≤ -20%"),
        (Range(1.2, None), "ratio", "≥ 1.2"),
        (Range(1.0, None), "flag", "yes"),
        (Range(None, 0.0), "flag", "no"),
        (None, "usd", "any"),
    ],
)
def test_ranges_as_people_read_them(limits: Range | None, unit: Unit, shown: str) -> None:
    assert show_rule(limits, FIELD_OF[unit]) == shown


def typeable(unit: Unit) -> st.SearchStrategy[float]:
    """Every value that typing can give: up to nine digits, anywhere in the range of the unit."""

    def build(digits: int, exponent: int) -> float:
        return float(Decimal(digits).scaleb(exponent))

    if unit in {"count", "duration"}:
        return st.integers(0, min(int(MAX_VALUE[unit]), 10**DIGITS - 1)).map(float)
    if unit == "change":
        return typeable("ratio").flatmap(lambda value: st.sampled_from([value, 0.0 - value]))
    return st.builds(build, st.integers(0, 10**DIGITS - 1), st.integers(-17, 6)).filter(
        lambda value: value <= MAX_VALUE[unit] and (value == 0 or value >= 1e-17)
    )


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_shown_can_be_typed_again(unit: Unit) -> None:
    @given(typeable(unit))
    def holds(value: float) -> None:
        assert number_in(show_value(value, unit), unit) == value

    holds()


@pytest.mark.parametrize("unit", UNITS)
def test_ranges_that_are_shown_can_be_typed_again(unit: Unit) -> None:
    @given(st.none() | typeable(unit), st.none() | typeable(unit))
    def holds(low: float | None, high: float | None) -> None:
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        limits = None if low is None and high is None else Range(low, high)
        assert parse_rule(show_rule(limits, FIELD_OF[unit]), FIELD_OF[unit]) == limits

    holds()


@pytest.mark.parametrize("unit", KINDS)
def test_whatever_is_typed_is_read_or_refused(unit: Unit) -> None:
    """And what was read is shown and read again as the same, whatever it was."""
    grammar = st.text(st.sampled_from("0123456789.,- $%xkmbdhs+<>≥'to½٣²e_\u2009;\"“”–\n\0aAßany"), max_size=20)

    @given(grammar | st.text(max_size=80) | st.text(st.characters(codec=None), max_size=20))
    @example("1.0000000004")
    @example("999999999999999.9")
    @example("-0.0000001 - -0")
    @example('"any"')
    @example('-"-a", "b""c", ""d')
    @example("\ud800, \x00, -\u2028")
    def holds(typed: str) -> None:
        field = FIELD_OF[unit]
        try:
            rule = parse_rule(typed, field)
        except UserFacingError as error:
            assert len(str(error.arguments["typed"])) <= 65  # noqa: PT017 - most texts are refused, any may be
            return
        if rule is not None:
            assert fits(rule, unit)
            msgspec.json.encode(rule)
        assert parse_rule(show_rule(rule, field), field) == rule

    holds()


@given(st.floats(), st.sampled_from(UNITS))
def test_whatever_a_feed_says_is_shown_shortly(value: float, unit: Unit) -> None:
    assert 0 < len(show_value(value, unit)) <= 40
    assert 0 < len(show_short(value, unit)) <= 30
