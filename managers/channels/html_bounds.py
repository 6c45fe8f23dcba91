"""Whether a page is worth giving to the HTML parser.

That does what browsers do, and pays the square of their number for elements that nobody closes and for the attributes
of one tag; for formatting that nobody closes in memory, too. No page of a channel comes near these bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

MAX_TAGS: Final = 30_000
MAX_ATTRIBUTES: Final = 64
"""Of one tag."""
MAX_OPEN: Final = 1_000
MAX_OPEN_FORMATTING: Final = 32
MAX_RAW_BYTES: Final = 128 * 1024
"""Of scripts, styles and comments, whose tags are none."""

_BEGIN: Final = re.compile(rb"<(?:(!--)|(/?)([A-Za-z][^\s/>]{0,63}))")
_REST: Final = re.compile(
    rb"(?:[\s/]*+=?+[^\s/>=]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?+)?+){0,%d}+[\s/]*+>"
    % MAX_ATTRIBUTES
)
_RAW: Final = {name: re.compile(rb"</" + name, re.IGNORECASE) for name in (b"script", b"style", b"title", b"textarea")}
_COMMENT_END: Final = re.compile(rb"-->")
_VOID: Final = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_FORMATTING: Final = frozenset(b"a b big code em font i nobr s small strike strong tt u".split())


def is_bounded(body: bytes) -> bool:
    opened: Counter[bytes] = Counter()
    at = depth = formatting = tags = raw = 0
    while found := _BEGIN.search(body, at):
        tags += 1
        name = (found[3] or b"").lower()
        until = _COMMENT_END if found[1] else None
        at = found.end()
        if name:
            rest = _REST.match(body, at)
            if rest is None:
                return False
            at = rest.end()
            step = _step(name, opened, is_end=bool(found[2]))
            depth += step
            formatting += step * (name in _FORMATTING)
            until = _RAW.get(name) if step > 0 else None
        if until is not None:
            end = until.search(body, at)
            raw += (end.start() if end else len(body)) - at
            at = end.start() if end else len(body)
        if depth > MAX_OPEN or formatting > MAX_OPEN_FORMATTING or tags > MAX_TAGS or raw > MAX_RAW_BYTES:
            return False
    return True


def _step(name: bytes, opened: Counter[bytes], *, is_end: bool) -> int:
    """By how much more is open after this tag; the end of something else than what is open ends nothing."""
    if name in _VOID or (is_end and not opened[name]):
        return 0
    step = -1 if is_end else 1
    opened[name] += step
    return step
