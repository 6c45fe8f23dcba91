"""Letters that are drawn like Latin ones: a name that is written with them is not the name that it reads as."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from domain.reading.visible import visible

_LETTERS: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DRAWN_LIKE: Final = {
    # Cyrillic
    **dict(zip("АВЕЅІЈКМНОРСТХУԌԚԜҮ", "ABESIJKMHOPCTXYGQWY", strict=True)),
    **dict(zip("аеѕіјорсхуԁԛԝһӏүк", "aesijopcxydqwhlyk", strict=True)),
    # Greek
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺ", "ABEZHIKMNOPTYXCM", strict=True)),
    **dict(zip("αικνορτυχγϲϳ", "aikvoptuxycj", strict=True)),
    # Armenian, Cherokee, Lisu, and the Latin alphabet's own doubles
    **dict(zip("օոսհցզՏՍՕ", "onuhgqSUO", strict=True)),
    **dict(zip("ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ", "ABCDEHJKLMPRSTVWZ", strict=True)),
    **dict(zip("ꓐꓑꓒꓓꓔꓖꓗꓙꓚꓜꓝꓡꓟꓠꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴ", "BPdDTGKJCZFLMNSRVHWXYAEIOU", strict=True)),
    **dict(zip("ɑɡ", "ag", strict=True)),
}


def plain_letters(text: str) -> str:
    """The text with every letter that is drawn like a Latin one replaced by it."""
    return "".join(_DRAWN_LIKE.get(character, character) for character in text)


def reads_as(text: str | None, beside: str | None = None) -> str | None:
    """What a text seems to say in Latin letters, `None` for one that is what it seems.

    A word is no trick for being Greek or Russian. It is one where it mixes alphabets, or where it could be read as
    Latin altogether and stands among words (of its own text, or of the one beside it) that are Latin.
    """
    if text is None or text.isascii():
        return None
    shown = unicodedata.normalize("NFKC", visible(text))
    words = _LETTERS.findall(shown)
    beside_latin = beside is not None and not _LATIN.isdisjoint(beside)
    among_latin = beside_latin or any(_LATIN.issuperset(word) for word in words)
    if any(_is_trick(word, among_latin=among_latin) for word in words):
        return plain_letters(shown)
    return None


def _is_trick(word: str, *, among_latin: bool) -> bool:
    drawn = sum(character in _DRAWN_LIKE for character in word)
    latin = sum(character in _LATIN for character in word)
    return bool(drawn) and (bool(latin) or (among_latin and drawn == len(word) > 1))
