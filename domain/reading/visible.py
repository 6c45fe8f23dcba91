"""What of a text can be seen, and the form in which texts are compared: what looks the same is the same.

Cards show what `visible` leaves over; rules on words compare it, so that nobody hides from a rule behind a sign that
nobody sees.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

PART: Final = "\x1e"
"""Stands between texts that are compared each for itself, and in none of them. Shown as a space."""
MAX_REMEMBERED: Final = 256
"""Texts whose compared form is kept: a call is held against filters several times, its texts stay the same."""

_MARKS_IN_A_ROW: Final = 2
"""Enough for every living script; more is a tower that covers the lines above it."""
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co"})
"""Control signs, format signs (bidi controls, zero-width, tags), unassigned and private ones."""
_MARKS: Final = frozenset({"Mn", "Me"})
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters by category, but drawn as nothing."""
_BLANK: Final = re.compile(f"[{''.join(_BLANK_LETTERS)}]")
_UNSEEN_MARKS: Final = re.compile("[\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
"""They choose how the sign before them is drawn, or part syllables; alone they are drawn as nothing."""
_PERHAPS_A_TOWER: Final = re.compile(
    r"[^\x00-\u02ff\u2000-\u20cf\u2100-\u2bff\u3000-\u3029\U0001f000-\U0001faff\w\s]{3}"
)
"""A set that holds every mark, but no letter, no ordinary sign and no emoji."""
_MAX_KNOWN: Final = 16_384


class _Shown(dict[int, str | None]):
    """What each character is shown as, `None` for nothing; filled as characters are met."""

    def __missing__(self, code: int) -> str | None:
        shown = _shown_as(chr(code))
        if len(self) < _MAX_KNOWN:
            self[code] = shown
        return shown


def _shown_as(character: str) -> str | None:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return None if category in _DROPPED_CATEGORIES or character in _BLANK_LETTERS else character


_SHOWN: Final = _Shown()


def visible(text: str) -> str:
    """The text on one line without what cannot be seen; runs of spaces are one space."""
    if not text.isprintable():
        text = _spaced(text.translate(_SHOWN))
    elif "  " in text or text[:1] == " " or text[-1:] == " ":
        text = _spaced(text)
    if text.isascii():
        return text
    if _BLANK.search(text):
        text = _spaced(text.translate(_SHOWN))
    return _without_towers(text) if _PERHAPS_A_TOWER.search(text) else text


def _without_towers(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


@lru_cache(MAX_REMEMBERED)
def compared(text: str) -> str:
    """A text as words are looked for in it: each part between `PART` for itself, caseless, as it is shown.

    What cannot be seen stands behind it as one more part, for rules on nothing else.
    """
    parts = text.split(PART)
    shown = [visible(part) for part in parts]
    hidden = [_alike(a) for a, b in zip(parts, shown, strict=True) if b != a and b != _spaced(a)]
    return PART.join([*map(_seen, shown), *hidden])


def _spaced(text: str) -> str:
    return " ".join(text.split())


def compared_word(word: str) -> str:
    """A word as it is looked for in a `compared` text; one of nothing visible as it is, so that it finds itself."""
    plain = word.replace(PART, " ")
    return _seen(visible(plain)) or _alike(plain)


def _seen(shown: str) -> str:
    if shown.isascii():
        return shown.lower()
    return _spaced(_alike(_UNSEEN_MARKS.sub("", shown)))


def _alike(text: str) -> str:
    """Caseless, and alike where Unicode says "compatible"."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain if plain.isascii() else unicodedata.normalize("NFKC", plain)
