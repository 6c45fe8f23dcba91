"""Telegram HTML: what may stand in it, how long it is, and how it reads without its tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_TEXT_UTF16 = 4096
"""Telegram counts a message after parsing, in UTF-16 code units."""
MAX_CALLBACK_ANSWER_UTF16 = 200

TAGS = frozenset({"b", "i", "u", "s", "a", "code", "pre", "blockquote", "tg-spoiler"})
"""The tags our texts may use, a part of what Telegram knows."""

_TOKEN = re.compile(
    r"<(?P<close>/?)(?P<tag>[a-z-]+)(?P<attribute> href=\"[^\"<>]+\"| expandable)?>"
    r"|&(?P<entity>lt|gt|amp|quot);"
    r"|(?P<stray>[<>&])"
)
_LINKED = re.compile(r"https://[A-Za-z0-9./?=_+-]+")
_SIGN = re.compile(r"[<>&]")
_ATTRIBUTES = {"a": " href=", "blockquote": " expandable"}
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


class MarkupError(ValueError):
    """Not the HTML that Telegram takes from us."""


class Html(str):
    """Telegram HTML that is safe to put into another text: every piece from outside is escaped in it."""

    __slots__ = ()


def utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """Shorten plain text to `limit` UTF-16 units, a last `…` included, without splitting a character."""
    if utf16_length(text) <= limit:
        return text
    units = 1
    for position, character in enumerate(text):
        units += 2 if ord(character) > 0xFFFF else 1  # noqa: PLR2004 - above it UTF-16 takes two units
        if units > limit:
            return text[:position].rstrip() + "…"
    return text


def join(separator: str, parts: Iterable[Html]) -> Html:
    """Put parts after one another; the separator is ours and plain (a line break, a dot)."""
    return Html(separator.join(parts))


def link(address: str, text: Html) -> Html:
    """Make a link of rendered text. The address is ours: only letters that need no escaping came from outside."""
    if not _LINKED.fullmatch(address):
        raise ValueError(f"{address!r} is no address to link to")
    return Html(f'<a href="{address}">{text}</a>')


def columns(rows: Iterable[Sequence[Html]]) -> Html:
    """Lay rows out as columns that stand straight, in a block of their own; nothing for no rows.

    Pieces are plain: without tags, and of letters that are one cell wide. The last row may be shorter.
    """
    rows = tuple(rows)
    if not rows:
        return Html()
    widths = [max(len(to_plain(row[place])) for row in rows if place < len(row)) + 2 for place in range(len(rows[0]))]
    lines = ("".join(_padded(piece, width) for piece, width in zip(row, widths, strict=False)) for row in rows)
    return Html("<pre>" + "\n".join(line.rstrip() for line in lines) + "</pre>")


def _padded(piece: Html, width: int) -> str:
    return piece + " " * (width - len(to_plain(piece)))


def to_plain(html: str) -> str:
    """Read HTML as a person sees it. Raises `MarkupError` where Telegram could not parse it."""
    if not _SIGN.search(html):
        return str(html)
    plain: list[str] = []
    opened: list[str] = []
    position = 0
    for token in _TOKEN.finditer(html):
        plain.append(html[position : token.start()])
        position = token.end()
        if token["stray"]:
            raise MarkupError(f"unescaped {token['stray']!r} at {token.start()}")
        if token["entity"]:
            plain.append(_ENTITIES[token["entity"]])
        else:
            _open_or_close(token, opened)
    if opened:
        raise MarkupError(f"<{opened[-1]}> is never closed")
    plain.append(html[position:])
    return "".join(plain)


def _open_or_close(token: re.Match[str], opened: list[str]) -> None:
    tag, attribute = token["tag"], token["attribute"]
    if tag not in TAGS:
        raise MarkupError(f"<{tag}> is not a tag that our texts may use")
    if token["close"]:
        if attribute or not opened or opened.pop() != tag:
            raise MarkupError(f"</{tag}> closes nothing")
        return
    if attribute and not attribute.startswith(_ATTRIBUTES.get(tag, "-")):
        raise MarkupError(f"<{tag}> does not take{attribute}")
    opened.append(tag)
