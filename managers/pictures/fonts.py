"""Which characters there is a font for. What none has is left out, so nobody ever sees a box."""

# Matplotlib does not say of what its paths are.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from matplotlib import font_manager

LATIN: Final = "DejaVu Sans"
"""Comes with matplotlib, in regular and bold."""
_MAX_LENGTH: Final = 300
"""More of one text is not looked at."""
_MAX_MARKS: Final = 2
"""Marks that may stand on one letter."""
_JOINERS: Final = frozenset("\u200c\u200d\ufe0f")
_MARKS: Final = frozenset({"Mn", "Me"})
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a script without a bold font is no news


def _paths() -> Iterator[Path]:
    noto = Path(str(files("manimgx_fonts")))
    scripts = [path for path in sorted(noto.glob("*.ttf")) if "Italic" not in path.name]
    scripts.sort(key=lambda path: path.name.startswith("NotoEmoji"))  # a digit has its shape of the other fonts
    yield from scripts
    yield Path(str(files("noto_cjk_sans_jp_bold"))) / "NotoSansCJKjp-Bold.otf"


@cache
def _fonts() -> tuple[tuple[str, frozenset[int]], ...]:
    """Every family with the code points that it has, in the order in which a character is looked for."""
    latin = font_manager.findfont(font_manager.FontProperties(family=LATIN))
    found = [(LATIN, _points(Path(latin)))]
    for path in _paths():
        font_manager.fontManager.addfont(path)
        found.append((font_manager.fontManager.ttflist[-1].name, _points(path)))
    return tuple(found)


def _points(path: Path) -> frozenset[int]:
    return frozenset(point for point, glyph in font_manager.get_font(path).get_charmap().items() if glyph)


@cache
def covered() -> frozenset[int]:
    """Every code point that some font has."""
    return frozenset[int]().union(*(points for _, points in _fonts()))


def families(text: str) -> list[str]:
    """The families that a text needs: matplotlib would try each that it is given for each character, which is slow."""
    left, needed = set(map(ord, text)), [LATIN]
    left -= _fonts()[0][1]
    for family, points in _fonts()[1:]:
        if left & points:
            needed.append(family)
            left -= points
    return needed


def drawable(text: str) -> str:
    """What can be drawn of a text: on one line, without what no font has, without anything that turns it around."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", _one_line(text)[:_MAX_LENGTH]):
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if marks > _MAX_MARKS:
            continue
        if character in _JOINERS:
            if kept and kept[-1] not in _JOINERS and ord(character) in covered():
                kept.append(character)
        elif category not in _INVISIBLE:
            kept.extend(_in_some_font(character))
    return " ".join("".join(kept).split())


def _one_line(text: str) -> str:
    return "".join(" " if character.isspace() else character for character in text[: 2 * _MAX_LENGTH])


def _in_some_font(character: str) -> Iterator[str]:
    """Return the character, or what it is a variant of; nothing where no font has either."""
    if ord(character) in covered():
        yield character
        return
    plain = unicodedata.normalize("NFKC", character)
    if all(ord(one) in covered() for one in plain):
        yield from plain
