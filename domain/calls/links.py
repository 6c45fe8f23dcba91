"""Where a token says that it is at home. Whoever made it said so: a link proves nothing."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from domain.calls.events import Token

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?")
_PATH: Final = re.compile(r"[A-Za-z0-9./?=_+-]*")
"""What needs no escaping; of another address only the host is linked."""
_PLACE: Final = re.compile(r"[A-Za-z0-9/_+-]{1,64}")


class TokenLink(NamedTuple):
    at: Literal["website", "x", "telegram"]
    address: str
    """https, of letters that need no escaping."""
    name: str
    """What is shown of it: of a website its host, so that nobody is led elsewhere than it says."""


def token_links(token: Token) -> tuple[TokenLink, ...]:
    """Return the links that are known, each at most once; what is not in one of the usual forms is left out."""
    found = [_website(token.website or "")]
    found.append(_place("x", "https://x.com/", token.x_handle or ""))
    found.append(_place("telegram", "https://t.me/", token.telegram or ""))
    return tuple(link for link in found if link)


def _website(address: str) -> TokenLink | None:
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    netloc = parts.netloc.lower()
    is_plain = parts.scheme == "https" and _PATH.fullmatch(rest) and _HOST.fullmatch(netloc)
    return TokenLink("website", f"https://{netloc}{rest}" if is_plain else f"https://{host}", host)


def _place(at: Literal["x", "telegram"], base: str, place: str) -> TokenLink | None:
    return TokenLink(at, base + place, place) if _PLACE.fullmatch(place) else None
