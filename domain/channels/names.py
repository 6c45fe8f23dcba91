"""A channel as people name it: `@name`, `name`, a link to it or to one of its posts."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{3,31}")
_LINK: Final = re.compile(r"(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/(?:s/)?([^/?#]+)[^\s]*")
_RESERVED: Final = frozenset(
    """addemoji addlist addstickers addtheme bg boost c confirmphone contact giftcode invoice iv joinchat login m
    proxy s setlanguage share socks""".split()  # noqa: SIM905 - a list of words reads better so
)
MAX_CHARACTERS: Final = 300


def channel_named(text: str) -> str | None:
    """Return `@name` in small letters; `None` for what names no public channel, such as a link to be let in."""
    named = text.strip().lower()[:MAX_CHARACTERS]
    if link := _LINK.fullmatch(named):
        named = link[1]
    named = named.removeprefix("@")
    return f"@{named}" if _NAME.fullmatch(named) and named not in _RESERVED else None


def channel_link(channel: str) -> str:
    """Return where a channel `@name` is shown to everybody."""
    return f"https://t.me/{channel.removeprefix('@')}"


def post_link(channel: str, number: int) -> str:
    return f"{channel_link(channel)}/{number}"
