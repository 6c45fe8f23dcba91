"""Lists as people type them: `cat, "white dog", -inu`, where `-` excludes; for choices and for words.

Commas, semicolons and line breaks part the items; quotes keep them, and spaces, in one item, and a quote within
quotes is typed twice. What was typed is kept for showing, but for control characters and runs of spaces; words are
compared by `fold`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

MAX_TYPED: Final = 4096
"""Characters of one message."""
NOTHING: Final = frozenset({"any", "off", "none"})
"""What people type for "no rule"."""

_BREAKS: Final = re.compile(r"[\r\n\u2028\u2029]+")
_UNWRITABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\s]+")
"""Control characters, halves of surrogate pairs (no encoding takes them), and runs of any space."""
_QUOTES: Final = str.maketrans(dict.fromkeys("“”„‟", '"'))
_DASHES: Final = "-‐‑‒–—―−"
_ITEM: Final = re.compile(
    rf' ?(?P<dash>[{_DASHES}]?) ?(?:"(?P<quoted>(?:[^"]|"")*)" ?(?=[,;]|$)|(?P<bare>[^,;]*))(?:[,;]|$)'
)


class Items(Struct, frozen=True):
    """Distinct items in the order they were typed."""

    included: tuple[str, ...]
    excluded: tuple[str, ...]


def fold(text: str) -> str:
    """The form in which texts are compared: caseless, and alike where Unicode says "compatible"."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain if plain.isascii() else unicodedata.normalize("NFKC", plain)


def read_list(text: str) -> Items:
    """The items of a text of at most `MAX_TYPED` characters; never fails, empty items are left out."""
    plain = _BREAKS.sub(",", text[:MAX_TYPED].translate(_QUOTES))
    plain = _UNWRITABLE.sub(" ", plain).strip()
    included: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for item in _ITEM.finditer(plain):
        typed = item["bare"] if item["quoted"] is None else item["quoted"].replace('""', '"')
        typed = typed.strip()
        if typed:
            (excluded if item["dash"] else included)[typed] = None
    return Items(tuple(included), tuple(excluded))


def show_list(included: Iterable[str], excluded: Iterable[str]) -> str:
    """`cat, "one, two", -inu`; `read_list` reads it back. Empty for no item."""
    return ", ".join([*map(_quoted, included), *("-" + _quoted(item) for item in excluded)])


def _quoted(item: str) -> str:
    if "," in item or ";" in item or item[0] in _DASHES + '"' or item.lower() in NOTHING:
        return '"' + item.replace('"', '""') + '"'
    return item
