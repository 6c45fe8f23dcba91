"""Links and handles from outside, as far as one may show them.

What is not understood is unknown (`None`), never passed on. An empty text is a statement: there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from urllib.parse import urlsplit

URL_LIMIT = 500
_MAX_REMEMBERED = 8192
"""Texts of each kind: a token that is called again comes with the same ones."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_UNSAFE = frozenset("\"'<>\\^`{|}")
"""Not allowed in an address, and the means to break out of one."""
_X_HOSTS = frozenset({"x.com", "twitter.com", "mobile.twitter.com", "mobile.x.com"})
_X_PLACE = re.compile(r"(i/communities/[0-9]{1,20})|@?([A-Za-z0-9_]{1,15})")
_X_OWN_PAGES = frozenset({"i", "home", "search", "explore", "intent", "share", "hashtag", "login", "settings"})
_TELEGRAM_HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})
_TELEGRAM_PLACE = re.compile(r"(\+[A-Za-z0-9_-]{8,40}|joinchat/[A-Za-z0-9_-]{8,40})|@?([A-Za-z][A-Za-z0-9_]{3,31})")
_TELEGRAM_OWN_PAGES = frozenset(
    {"joinchat", "share", "proxy", "addstickers", "addemoji", "addlist", "login", "setlanguage"}
)


def _remembered(read: Callable[[str], str | None]) -> Callable[[object], str | None]:
    """Read each text once; what is no text, or longer than any link, is not understood."""
    remembering = lru_cache(_MAX_REMEMBERED)(read)

    @wraps(read)
    def reading(value: object) -> str | None:
        return remembering(value) if isinstance(value, str) and len(value) <= URL_LIMIT else None

    return reading


@_remembered
def web_link(value: str) -> str | None:
    """Give an http(s) address of at most 500 visible ASCII characters that leads where it seems to; "" stays "".

    One with a user name in front of the host is left out: it is made to look like another's.
    """
    if value == "":
        return ""
    if not _VISIBLE.fullmatch(value) or _UNSAFE & set(value):
        return None
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return value if parts.scheme in {"https", "http"} and host and "@" not in parts.netloc else None


@_remembered
def media_link(value: str) -> str | None:
    """Give a `web_link`, and no empty one: a picture is there or it is not."""
    return web_link(value) or None


@_remembered
def post_link(value: str) -> str | None:
    """Give a `web_link` to a post: https, and never an empty one."""
    return web_link(value) if value.startswith("https://") else None


@_remembered
def x_handle(value: str) -> str | None:
    """Give what stands after `https://x.com/`: a handle without @, or `i/communities/…`; from that or a link."""
    return _place(value, _X_HOSTS, _X_PLACE, _X_OWN_PAGES)


@_remembered
def telegram_handle(value: str) -> str | None:
    """Give what stands after `https://t.me/`: a user name without @, or an invitation; from that or a link."""
    return _place(value, _TELEGRAM_HOSTS, _TELEGRAM_PLACE, _TELEGRAM_OWN_PAGES)


def _place(value: str, hosts: frozenset[str], form: re.Pattern[str], own_pages: frozenset[str]) -> str | None:
    """Read a place below one of these hosts: group 1 of `form` as it is, group 2 unless the host itself uses it."""
    if value == "":
        return ""
    path = _path_at(value, hosts)
    # What follows in a link (a post, a picture) leads into the place; what is no link must be the place alone.
    found = re.match(rf"(?:{form.pattern})(?:/|\Z)", path) if path else form.fullmatch(value)
    if not found or (found[2] or "").lower() in own_pages:
        return None
    return found[1] or found[2]


def _path_at(value: str, hosts: frozenset[str]) -> str | None:
    """Path of a link to one of these hosts, without query and outer slashes."""
    link = web_link(value)
    if not link:
        return None
    parts = urlsplit(link)
    host = (parts.hostname or "").removeprefix("www.")
    return parts.path.strip("/").removeprefix("s/") if host in hosts else None
