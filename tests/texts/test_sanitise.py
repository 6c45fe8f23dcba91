import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts.hostile import HOSTILE, hostile_text
from tests.texts.telegram_html import assert_harmless, shown, units
from texts.sanitise import escape_outside, inert


@given(hostile_text, st.integers(1, 100))
def test_text_from_outside_is_harmless_and_bounded(text: str, limit: int) -> None:
    html = escape_outside(text, limit)
    assert_harmless(html)
    assert units(shown(html)) <= limit
    assert "\n" not in html
    html.encode()


@given(hostile_text, st.integers(1, 100))
def test_copyable_text_is_bounded_and_markup_free(text: str, limit: int) -> None:
    html = escape_outside(text, limit, copyable=True)
    assert units(shown(html)) <= limit
    assert "<" not in html


@given(st.text("abcXYZ019 -_,()’é日本ж", max_size=40))
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert inert(name, 64) == " ".join(name.split())


@pytest.mark.parametrize("amount", ["$20k – $2M", "≥ 2.5x", "1.5k", "09:30", "42%", "0.0₇123"])
def test_amounts_stay_as_they_are(amount: str) -> None:
    assert inert(amount, 64) == amount


@pytest.mark.parametrize("invisible", ["\u200b\u200c\u200d", "\u3164\u115f", "\u2800", "\x00\x07", " \n\t"])
def test_what_cannot_be_seen_is_gone(invisible: str) -> None:
    assert inert(invisible, 64) == ""


def test_a_cut_text_says_so_and_splits_no_character() -> None:
    assert inert("😀" * 100, 7) == "😀😀😀…"
    assert inert("abcdef", 4) == "abc…"
    assert inert("abcd", 4) == "abcd"


def test_marks_cannot_tower_over_other_lines() -> None:
    assert inert("Z" + "\u0301" * 50, 64) == "Z\u0301\u0301"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_making_harmless_twice_changes_nothing_more(text: str) -> None:
    once = inert(text, 200)
    assert inert(once, 400) == once
