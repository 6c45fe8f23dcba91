"""What is compared is what is seen, and nothing that is seen can be hidden behind what is not."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reading.look_alikes import reads_as
from domain.reading.visible import PART, compared, compared_word, visible
from tests.texts.hostile import HOSTILE, hostile_text
from texts.sanitise import inert

UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202a\u202c\u2066\u2069\u061c\u180e\ufe0f\u034f\u3164\u2800\U000e0041\x00"
)


@given(st.text("abcé日ж 1", min_size=1, max_size=12), st.lists(st.tuples(st.integers(0, 12), st.sampled_from(UNSEEN))))
def test_no_sign_that_cannot_be_seen_keeps_a_word_from_its_text(word: str, put: list[tuple[int, str]]) -> None:
    hidden = word
    for at, unseen in put:
        hidden = hidden[:at] + unseen + hidden[at:]
    if word.strip():
        assert compared_word(word) in compared(f"x{hidden}y")
        assert compared_word(hidden) in compared(f"x{word}y")


@given(st.text(max_size=30) | hostile_text)
def test_what_is_seen_is_seen_again(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert PART not in compared_word(text)


def test_every_character_is_compared_as_its_shown_form_is() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in {"Cs", "Cn", "Co"}:
            continue
        seen = compared_word(f"a{visible(character)}b")
        assert seen == compared_word(f"a{character}b") or character.isspace()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_card_shows_what_is_compared(text: str) -> None:
    shown = inert(text, 4096, copyable=True)
    if not shown.endswith("…"):
        assert compared_word(shown) == compared_word(text) or not shown


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_word_of_two_parts_is_in_neither(first: str, second: str) -> None:
    text = compared(f"{first.replace(PART, '')}{PART}{second.replace(PART, '')}")
    assert "moon shot" not in compared(f"moon{PART}shot")
    assert all(compared_word(one.replace(PART, "")) in text for one in (first, second) if one.strip())


def test_a_rule_on_what_cannot_be_seen_goes_on_finding_it() -> None:
    assert compared_word("\u200b") in compared("I\u200bnu")
    assert compared_word("\u200b") not in compared("Inu")


@pytest.mark.parametrize(
    ("text", "beside", "reads"),
    [
        ("РЕРЕ", "PEPE", "PEPE"),
        ("Рepe", None, "Pepe"),
        ("USD\u0421", None, "USDC"),
        ("Β\u200bitcoin", None, "Bitcoin"),
        ("dоge соin", None, "doge coin"),
        ("ᏢEPE", None, "PEPE"),
        ("Pepe", "PEPE", None),
        ("Москва", "MOSCOW", None),
        ("Спутник сор", None, None),
        ("日本 coin", None, None),
        ("Ελλάδα coin", None, None),
        ("ＰＥＰＥ", "PEPE", None),
        ("é", "E", None),
        (None, None, None),
    ],
)
def test_letters_that_only_look_like_others(text: str | None, beside: str | None, reads: str | None) -> None:
    assert reads_as(text, beside) == reads
