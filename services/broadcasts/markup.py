"""What somebody typed, as Telegram HTML that is safe to send: our own tags are meant, everything else is text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from runtime.errors import UserFacingError
from texts.markup import TAGS, Html, to_plain, utf16_length

MAX_UTF16: Final = 3_500
"""As it is read, and as it is stored twice as much: what the bot adds has room below."""
_MAX_LINK: Final = 512
_MAX_DEPTH: Final = 8
_TAG: Final = re.compile(
    r"<(?P<close>/?)(?P<tag>" + "|".join(sorted(TAGS, key=len, reverse=True)) + r")"
    r"(?P<attribute> href=\"(?P<address>[^\"<>\s]+)\"| expandable)?>"
    r"|(?P<link><a\s[^<>]*=[^<>]*>)"
    r"|(?P<entity>&(?:lt|gt|amp|quot);)",
    re.IGNORECASE,
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_JOINERS: Final = frozenset("\u200c\u200d")
"""They hold signs together, in emoji and in scripts."""
_ADDRESS: Final = re.compile(r"https://[!-~]+")
"""Written in ASCII: what it leads to is what is read."""


def read_markup(typed: str) -> Html:
    """Return it with its tags, where all of them are closed; what is no tag of ours is shown as it was typed.

    Raises `UserFacingError` for tags that do not fit, nothing to read, or too much of it.
    """
    text = "\n".join(_seen(line) for line in typed[: 8 * MAX_UTF16].splitlines()).strip()
    done = Html("".join(_pieces(text)))
    read = to_plain(done)
    if not read.strip():
        raise UserFacingError("broadcast.empty")
    if utf16_length(read) > MAX_UTF16 or utf16_length(done) > 2 * MAX_UTF16:
        raise UserFacingError("broadcast.too_long", limit=MAX_UTF16, length=utf16_length(read))
    return done


def _seen(line: str) -> str:
    """Leave out what nobody sees, and what turns a text around."""
    return "".join(one for one in line if one in _JOINERS or unicodedata.category(one) not in _UNSEEN).rstrip()


def _pieces(text: str) -> Iterator[str]:
    opened: list[str] = []
    position = 0
    for token in _TAG.finditer(text):
        yield html.escape(text[position : token.start()], quote=False)
        position = token.end()
        if token["link"]:
            raise UserFacingError("broadcast.link")
        yield token["entity"] or _tag(token, opened)
    if opened:
        raise UserFacingError("broadcast.never_closed", tag=opened[-1])
    yield html.escape(text[position:], quote=False)


def _tag(token: re.Match[str], opened: list[str]) -> str:
    tag, address = token["tag"].lower(), token["address"]
    if token["close"]:
        if token["attribute"] or not opened or opened.pop() != tag:
            raise UserFacingError("broadcast.closes_nothing", tag=tag)
        return f"</{tag}>"
    if len(opened) >= _MAX_DEPTH or (tag == "a" and tag in opened):
        raise UserFacingError("broadcast.too_deep", tag=tag)
    opened.append(tag)
    if tag == "a":
        if address is None or not _ADDRESS.fullmatch(address) or len(address) > _MAX_LINK:
            raise UserFacingError("broadcast.link")
        return f'<a href="{html.escape(html.unescape(address), quote=True)}">'
    if address is not None or (token["attribute"] and tag != "blockquote"):
        raise UserFacingError("broadcast.attribute", tag=tag)
    return f"<{tag}{(token['attribute'] or '').lower()}>"
