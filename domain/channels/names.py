"""A channel as people name it: `@name`, `name`, a link to it or to one of its posts."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{3,31}")
_LINK: Final = re.compile(r"(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/(?:s/)?([^/?#]+)[^\s]*")
_POST: Final = re.compile(
    r"(?<![a-z0-9.-])(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/(?:s/)?([a-z][a-z0-9_]{3,31})/(?:\d{1,9}/)?"
    r"(\d{1,9})(?![\w/])"
)
_PRIVATE: Final = re.compile(r"(?<![a-z0-9.-])(?:t|telegram)\.(?:me|dog)/c/\d+/\d", re.IGNORECASE | re.ASCII)
_START: Final = re.compile(
    r"(?<![a-z0-9.-])(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/([a-z]\w{3,31})/?\?start=([\w-]{1,64})(?![\w-])",
    re.IGNORECASE | re.ASCII,
)
_RESERVED: Final = frozenset(
    """addemoji addlist addstickers addtheme bg boost c confirmphone contact giftcode invoice iv joinchat login m
    proxy s setlanguage share socks""".split()  # noqa: SIM905 - a list of words reads better so
)
MAX_CHARACTERS: Final = 300
MAX_POST_CHARACTERS: Final = 4096


def channel_named(text: str) -> str | None:
    """Return `@name` in small letters; `None` for what names no public channel, such as a link to be let in."""
    named = text.strip().lower()[:MAX_CHARACTERS]
    if link := _LINK.fullmatch(named):
        named = link[1]
    named = named.removeprefix("@")
    return f"@{named}" if _NAME.fullmatch(named) and named not in _RESERVED else None


def post_named(text: str) -> tuple[str, int] | None:
    """Return channel and number of the first post of a public channel that a text links to."""
    for link in _POST.finditer(text[:MAX_POST_CHARACTERS].lower()):
        if link[1] not in _RESERVED:
            return f"@{link[1]}", int(link[2])
    return None


def is_post_link(text: str) -> str | None:
    """Return a text that is the link to a post, and nothing else."""
    words = text.split()
    return words[0] if len(words) == 1 and post_named(words[0]) else None


def names_private_post(text: str) -> bool:
    """Whether a text links to a post in a private chat: nobody but its members can open it."""
    return _PRIVATE.search(text[:MAX_POST_CHARACTERS].replace("www.", "")) is not None


def is_private_post_link(text: str) -> str | None:
    """Return a text that is the link to a private post, and nothing else."""
    words = text.split()
    return words[0] if len(words) == 1 and names_private_post(words[0]) else None


def is_channel_link(text: str) -> str | None:
    """Return the `@name` of a channel that a text is the name of or the link to, and nothing else."""
    named = text.strip()
    is_pointed_at = named.startswith("@") or _LINK.fullmatch(named.lower()) is not None
    return channel_named(named) if is_pointed_at and not post_named(named) and not bot_started(named) else None


def bot_started(text: str) -> tuple[str, str] | None:
    """Return `@name` and payload of the first link in a text that starts a bot."""
    found = _START.search(text[:MAX_POST_CHARACTERS])
    return (f"@{found[1].lower()}", found[2]) if found else None


def channel_link(channel: str) -> str:
    """Return where a channel `@name` is shown to everybody."""
    return f"https://t.me/{channel.removeprefix('@')}"


def post_link(channel: str, number: int) -> str:
    return f"{channel_link(channel)}/{number}"
