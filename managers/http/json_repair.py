"""JSON of which a part is no JSON: that part is mended, so that it does not cost everything around it.

Half a surrogate pair, as JavaScript writes a cut emoji, becomes U+FFFD; a number that is none (`NaN`, `1e999`) becomes
`null`, and so does whatever lies deeper than any document of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

MAX_DEPTH: Final = 64

_REPAIRABLE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
    rb"|NaN|Infinity|[0-9][eE]\+?[0-9]{3}|[0-9]{300}"
)
"""Only a document in which one of these is found, or that is no UTF-8, is looked at piece by piece."""
_PIECE = re.compile(
    # A string that does not end is one piece too: it must not be looked for again from each of its quotes.
    rb'(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+"?)|(?P<number>-?(?:NaN|Infinity|[0-9][0-9.eE+-]*+))'
    rb"|(?P<open>[\[{]++)|(?P<close>[\]}]++)",
    re.DOTALL,
)
_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_MAX_DIGITS = 400
"""A number that is longer is no figure."""


def decoded(decoder: msgspec.json.Decoder[T], document: bytes) -> T:
    """Decode; a text or number that alone makes it unreadable is mended first. `ValueError`, `RecursionError`."""
    return decoded_with_text(decoder, document)[0]


def decoded_with_text(decoder: msgspec.json.Decoder[T], document: bytes) -> tuple[T, bytes]:
    """Like `decoded`, together with the document as it was read: for whoever decodes it once more."""
    try:
        return decoder.decode(document), document
    except (ValueError, RecursionError) as error:
        better = repaired(document, is_deep=isinstance(error, RecursionError))
        if better is None:
            raise
    return decoder.decode(better), better


def repaired(document: bytes, *, is_deep: bool = False) -> bytes | None:
    """The document with what can be mended in it mended; `None` where there is nothing of the kind."""
    as_utf8 = document.decode("utf-8", "replace").encode()
    better = b"".join(_pieces(as_utf8)) if is_deep or _REPAIRABLE.search(as_utf8) else as_utf8
    return None if better == document else better


def _pieces(document: bytes) -> Iterator[bytes]:
    depth, copied_to = 0, 0
    for piece in _PIECE.finditer(document):
        start, end = piece.span()
        if piece.lastgroup == "open":
            is_cut = depth <= MAX_DEPTH < depth + end - start
            if is_cut:
                yield document[copied_to : start + MAX_DEPTH - depth]
                yield b"null"
            depth += end - start
        elif piece.lastgroup == "close":
            if depth > MAX_DEPTH >= depth - (end - start):
                copied_to = start + depth - MAX_DEPTH
            depth -= end - start
        elif depth <= MAX_DEPTH:
            better = _text(piece[0]) if piece.lastgroup == "text" else _number(piece[0])
            if better != piece[0]:
                yield document[copied_to:start]
                yield better
                copied_to = end
    if depth <= MAX_DEPTH:
        yield document[copied_to:]


def _text(text: bytes) -> bytes:
    return _ESCAPE.sub(_escape, text) if b"\\" in text else text


def _escape(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if found.lastgroup == "half" else found[0]


def _number(number: bytes) -> bytes:
    if len(number) > _MAX_DIGITS:
        return b"null"
    try:
        return number if math.isfinite(float(number)) else b"null"
    except ValueError:
        return number  # no JSON at all: for the decoder to say
