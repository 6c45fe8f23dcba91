"""What people type, in one plain form: numbers, times, zones and lists are all read from it.

Signs that cannot be seen are gone; digits of every script, dashes, separators and the letters of units are one kind
each; a power of ten, and a number in a word up to twenty, is written out.
Nothing that has a meaning of its own is lost: what cannot be read stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from domain.reading.visible import visible
from runtime.errors import UserFacingError

MAX_LENGTH: Final = 64
"""Of a number, range, time or zone that somebody types, in characters that are seen."""
MAX_TYPED: Final = 4096
"""Characters of one message."""
NOTHING: Final = frozenset({"any", "off", "none"})
"""What people type for "no rule"."""
DASHES: Final = "-‐‑‒–—―−﹘﹣－"

_SUPERSCRIPT: Final = re.compile("([⁺⁻]?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_COUNTED_ZEROS: Final = re.compile("0[.,]0([₀₁₂₃₄₅₆₇₈₉]{1,2})(?=[0-9])")
"""As cards show small prices: `0.0₇123`."""
_DIGITS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")
_NUMBERS_OF_OTHER_KINDS: Final = frozenset({"No", "Nl"})
"""`½`, `①`, `Ⅻ`: a compatible form of theirs would be another number."""
_SIGNS: Final = {
    **dict.fromkeys(map(ord, DASHES), "-"),
    **dict.fromkeys(map(ord, "’‘ʼ`´"), "'"),
    **dict.fromkeys(map(ord, "～〜∼∿"), "~"),
    ord("٪"): "%",
    ord("٫"): ".",
    ord("٬"): ",",
    ord("،"): ",",
}
_WORDS: Final = re.compile(
    r"(?<=[\d .])(тыс|млн|млрд|мин|час(?:а|ов)?|ч|день|дн(?:я|ей)?|д|сек|нед)\b\.?", re.IGNORECASE
)
_SHORT: Final = {
    "тыс": "k",
    "млн": "m",
    "млрд": "b",
    "мин": "m",
    "сек": "s",
    "нед": "w",
    **dict.fromkeys(("ч", "час", "часа", "часов"), "h"),
    **dict.fromkeys(("д", "день", "дн", "дня", "дней"), "d"),
}
_UNIT_LETTERS: Final = str.maketrans("КкΚκМмΜВΒХхΧχНΗһԁЅѕс", "kkkkmmmbbxxxxhhhdsss")
"""Drawn like the letters of units, or the same letter on another keyboard."""
_WORDS_OF_NUMBERS: Final = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_COUNTED: Final = {word: str(number) for number, word in enumerate(_WORDS_OF_NUMBERS.split(), start=1)}
_COUNT: Final = re.compile(rf"\b(?:{'|'.join(_COUNTED)})\b")
_POWER: Final = re.compile(r"(?:(?<![\d.,])(\d{1,9}(?:\.\d{1,9})?) ?[x×*·] ?)?(?<![\d.,])10\^(-?)(\d{1,2})(?!\d)")


class Unsure(UserFacingError):  # noqa: N818 - nothing went wrong
    """What was typed can be meant in several ways; each reading is written so that it can be meant in one."""

    def __init__(self, key: str, readings: Iterable[str], **arguments: object) -> None:
        super().__init__(key, **arguments)
        self.readings = tuple(readings)


def plain(text: str) -> str | None:
    """The plain form, in small letters; `None` for what is too long to be a number, a time or a zone."""
    shown = visible(text[:MAX_TYPED])
    if len(shown) > MAX_LENGTH:
        return None
    shown = _COUNTED_ZEROS.sub(lambda found: "0." + "0" * int(found[1].translate(_DIGITS)), shown)
    shown = _SUPERSCRIPT.sub(_raised, shown)
    shown = "".join(map(_plain, shown)).translate(_SIGNS)
    shown = _WORDS.sub(lambda found: _SHORT[found[1].lower()], shown).translate(_UNIT_LETTERS)
    shown = _COUNT.sub(lambda found: _COUNTED[found[0]], shown.lower())
    return " ".join(_POWER.sub(_written_out, shown).split())


def clip(text: str) -> str:
    """Shorten what was typed, to be shown in an error."""
    return text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + "…"


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return character if category in _NUMBERS_OF_OTHER_KINDS else unicodedata.normalize("NFKC", character)


def _raised(found: re.Match[str]) -> str:
    return "^" + ("-" if found[1] == "⁻" else "") + found[2].translate(_DIGITS)


def _written_out(found: re.Match[str]) -> str:
    exponent = int(found[3]) * (-1 if found[2] else 1)
    return f"{Decimal(found[1] or 1).scaleb(exponent):f}"
