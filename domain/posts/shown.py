"""A post's text as people see it, where each word of it stands, and which of it is code.

What cannot be seen is gone, so nobody hides within a label or an address; letters of a decorated or wide alphabet are
plain ones. Lines stay lines.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import Final, NamedTuple

from domain.posts.post import Post

MAX_TEXT: Final = 8192
"""Characters that are looked at: twice what Telegram lets anybody write."""
MAX_RUNS: Final = 400
MAX_LINK: Final = 2048
MAX_LINKS: Final = 100

_LINK: Final = re.compile(
    r"tg://[^\s<>\"'()\[\]|]{1,2000}"
    r"|(?<![A-Za-z0-9.@-])(?:https?://(?:[^\s/@<>\"']{1,64}@)?)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?::\d{1,5})?"
    r"/[^\s<>\"'()\[\]|`]{0,2000}",
    re.ASCII | re.IGNORECASE,
)
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Mn", "Me"})
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_NEW_LINES: Final = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_WIDE: Final = range(0xFF01, 0xFF5F)
_DECORATED: Final = (range(0x1D400, 0x1D800), range(0x24B6, 0x24EA))
_BOXED: Final = range(0x1F130, 0x1F18A)
"""Three alphabets in boxes and discs, 32 codes apart."""
_ALPHABET: Final = 26
_MAX_KNOWN: Final = 16_384


class Shown(NamedTuple):
    text: str
    words: str
    """The text with a space for each character of a link that is written out."""
    links: tuple[str, ...]
    """Where the text leads, each once, in the order in which they stand."""
    code: tuple[int, ...]
    """Where code begins and ends, in turn."""

    def is_code(self, at: int) -> bool:
        return bisect_right(self.code, at) % 2 == 1


class _Letters(dict[int, str | None]):
    """What each character is read as, `None` for nothing; filled as characters are met."""

    def __missing__(self, code: int) -> str | None:
        read = _read_as(chr(code))
        if len(self) < _MAX_KNOWN:
            self[code] = read
        return read


def _read_as(character: str) -> str | None:
    if character in _NEW_LINES:
        return "\n"
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in _UNSEEN_CATEGORIES or character in _BLANK_LETTERS:
        return None
    return "\N{REPLACEMENT CHARACTER}" if category == "Cs" else _plain(character)


def _plain(character: str) -> str:
    code = ord(character)
    if code in _WIDE:
        return chr(code - 0xFEE0)
    if code in _BOXED:
        letter = (code - _BOXED.start) % 32
        return chr(ord("A") + letter) if letter < _ALPHABET else character
    return unicodedata.normalize("NFKC", character) if any(code in letters for letters in _DECORATED) else character


_LETTERS: Final = _Letters()


def shown(post: Post) -> Shown:
    """Join the runs of a post, as far as they are looked at."""
    parts: list[str] = []
    code: list[int] = []
    led: list[str] = []
    length = 0
    for run in post.runs[:MAX_RUNS]:
        text = run.text[: MAX_TEXT - length]
        text = text if text.isascii() and text.isprintable() else text.translate(_LETTERS)
        if run.is_code and text:
            code += (length, length + len(text))
        if run.link:
            led.append(run.link[:MAX_LINK])
        parts.append(text)
        length += len(text)
    whole = "".join(parts)
    written = [found.group() for found in _LINK.finditer(whole)]
    words = _LINK.sub(lambda found: " " * len(found.group()), whole) if written else whole
    links = tuple(dict.fromkeys((*written, *led)))[:MAX_LINKS]
    return Shown(whole, words, links, tuple(code))


def read(text: str) -> str:
    """A short text, or where a button leads, as it is read."""
    text = text[:MAX_LINK]
    return text if text.isascii() and text.isprintable() else text.translate(_LETTERS)
