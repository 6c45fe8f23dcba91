"""Which addresses Telegram takes in links and buttons, and how it writes them."""

from __future__ import annotations

import re

_USER_LINK = re.compile(r"tg:(?://)?user\?(?:[^#]*&)?id=([1-9]\d{0,15})\b", re.IGNORECASE)
_EMOJI_LINK = re.compile(r"tg:(?://)?emoji\?(?:[^#]*&)?id=([1-9]\d{0,19})\b", re.IGNORECASE)
_APP_LINK = re.compile(r"(tg|ton|tonsite):(?://)?([A-Za-z0-9_-]+)(.*)", re.IGNORECASE | re.DOTALL)
_OTHER_SCHEME = re.compile(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)
_WEB_LINK = re.compile(
    r"(?:(?P<scheme>https?)://)?(?:[^/?#@]*@)?(?P<host>[^/?#@:\[\]\s]+)(?::(?P<port>\d{0,5}))?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_PORT_MAX = 65_535


class LinkError(ValueError):
    """Why Telegram does not take an address; reads on from "URL '…' is invalid: "."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"URL '{url}' is invalid: {why}")


def linked_user_id(url: str) -> int | None:
    """Return the user of a `tg://user?id=…` link."""
    match = _USER_LINK.fullmatch(url.strip())
    return int(match[1]) if match else None


def linked_emoji_id(url: str) -> str | None:
    """Return the custom emoji of a `tg://emoji?id=…` link."""
    match = _EMOJI_LINK.fullmatch(url.strip())
    return match[1] if match else None


def checked_link(url: str) -> str:
    """Return the address as Telegram writes it: with scheme and path, host in lower case; or LinkError."""
    trimmed = url.strip()
    app = _APP_LINK.fullmatch(trimmed)
    if app:
        return f"{app[1].lower()}://{app[2].lower()}{app[3]}"
    if _OTHER_SCHEME.match(trimmed):
        raise LinkError(url, "Unsupported URL protocol")
    match = _WEB_LINK.fullmatch(trimmed)
    if match is None or " " in trimmed:
        raise LinkError(url, "Wrong HTTP URL")
    host = match["host"].lower()
    if "." not in host or host.startswith(".") or host.endswith("."):
        raise LinkError(url, "Wrong HTTP URL")
    port = match["port"]
    if port is not None and not (port.isdecimal() and 0 < int(port) <= _PORT_MAX):
        raise LinkError(url, "Wrong port number specified in the URL")
    rest = match["rest"] or "/"
    if rest[0] != "/":
        rest = f"/{rest}"
    return f"{(match['scheme'] or 'http').lower()}://{host}{f':{port}' if port else ''}{rest}"


def checked_link_or_none(url: str) -> str | None:
    """For text links: Telegram drops an entity with a bad address instead of refusing the message."""
    try:
        return checked_link(url)
    except LinkError:
        return None
