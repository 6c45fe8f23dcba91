"""Makes text from outside harmless: visible, on one line, of bounded length, and nothing in it can be tapped.

A token's name is written by whoever wants to be clicked. Telegram turns `@name`, `#tag`, `$TAG`, `/command`,
`site.com` and `tg://…` in any text into something to tap. A WORD JOINER (U+2060) behind the sign ends that:
it is invisible, and unlike U+200C and U+200D it belongs to no link, mention or tag in Telegram's grammar.
"""

from __future__ import annotations

import html
import re
import unicodedata

from texts.markup import cut

WORD_JOINER = "\u2060"

_TAPPABLE = re.compile(r"[@#/](?=\S)|\$(?=[^\W\d_])|\.(?=\S)(?!(?<=\d\.)\d+(?![\d.]))")
"""Amounts such as `$20k` and `2.5x` are no tags or links and stay as they are; `1.2.3.4` is one."""
_MARKS_IN_A_ROW = 2
"""Enough for every living script; more is a tower that covers the lines above it."""

_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co"})
"""Control signs, format signs (bidi controls, zero-width, tags), unassigned and private ones."""
_MARKS = frozenset({"Mn", "Me"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters by category, but drawn as nothing."""


def escape_outside(text: str, limit: int, *, copyable: bool = False) -> str:
    """Escape text from outside for Telegram HTML, at most `limit` UTF-16 units as shown.

    `copyable` adds no joiners; it is for text inside `<code>`, where clients make nothing tappable anyway.
    """
    # No placeholder stands inside an attribute, so quotes are plain characters.
    return html.escape(inert(text, limit, copyable=copyable), quote=False)


def inert(text: str, limit: int, *, copyable: bool = False) -> str:
    """Make text from outside harmless without escaping it, at most `limit` UTF-16 units."""
    # Dropped characters make room for later ones, but nothing far behind the limit is worth the work.
    text = text[: 16 * limit]
    if not (text.isascii() and text.isprintable()):
        text = _visible(text)
    text = " ".join(text.split())
    if not copyable and _TAPPABLE.search(text):  # figures and labels, most of what is shown, have nothing to tap
        text = _TAPPABLE.sub(rf"\g<0>{WORD_JOINER}", text)
    return cut(text, limit)


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        if character.isspace():
            kept.append(" ")
            marks = 0
            continue
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if category == "Cs":
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif not (category in _DROPPED_CATEGORIES or marks > _MARKS_IN_A_ROW or character in _BLANK_LETTERS):
            kept.append(character)
    return "".join(kept)
