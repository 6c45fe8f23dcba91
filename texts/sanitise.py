"""Makes text from outside harmless: visible, on one line, of bounded length, and nothing in it can be tapped.

A token's name is written by whoever wants to be clicked. Telegram turns `@name`, `#tag`, `$TAG`, `/command`,
`site.com` and `tg://…` in any text into something to tap. A WORD JOINER (U+2060) behind the sign ends that:
it is invisible, and unlike U+200C and U+200D it belongs to no link, mention or tag in Telegram's grammar.
"""

from __future__ import annotations

import html
import re

from domain.reading.visible import visible
from texts.markup import cut

WORD_JOINER = "\u2060"

_TAPPABLE = re.compile(r"[@#/](?=\S)|\$(?=[^\W\d_])|\.(?=\S)(?!(?<=\d\.)\d+(?![\d.]))")
"""Amounts such as `$20k` and `2.5x` are no tags or links and stay as they are; `1.2.3.4` is one."""


def escape_outside(text: str, limit: int, *, copyable: bool = False) -> str:
    """Escape text from outside for Telegram HTML, at most `limit` UTF-16 units as shown.

    `copyable` adds no joiners; it is for text inside `<code>`, where clients make nothing tappable anyway.
    """
    # No placeholder stands inside an attribute, so quotes are plain characters.
    return html.escape(inert(text, limit, copyable=copyable), quote=False)


def inert(text: str, limit: int, *, copyable: bool = False) -> str:
    """Make text from outside harmless without escaping it, at most `limit` UTF-16 units."""
    # Dropped characters make room for later ones, but nothing far behind the limit is worth the work.
    text = visible(text[: 16 * limit])
    if not copyable and _TAPPABLE.search(text):  # figures and labels, most of what is shown, have nothing to tap
        text = _TAPPABLE.sub(rf"\g<0>{WORD_JOINER}", text)
    return cut(text, limit)
