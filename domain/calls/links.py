"""Where a token says that it is at home, which proves nothing: its maker said so; and where others show it."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from domain.calls.addresses import is_evm
from domain.calls.events import Call, Chain, Token

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?")
_PATH: Final = re.compile(r"[A-Za-z0-9./?=_+-]*")
"""What needs no escaping; of another address only the host is linked."""
_POST: Final = re.compile(r"https://[A-Za-z0-9.-]{1,253}/[A-Za-z0-9./?=_+-]*")
_PLACE: Final = re.compile(r"[A-Za-z0-9/_+-]{1,64}")
_CHART: Final = "https://dexscreener.com/{chain}/{address}"
_SEARCH: Final = "https://dexscreener.com/search?q={address}"
_EXPLORERS: Final[dict[Chain, str]] = {
    "solana": "https://solscan.io/token/{address}",
    "ethereum": "https://etherscan.io/token/{address}",
    "bsc": "https://bscscan.com/token/{address}",
    "base": "https://basescan.org/token/{address}",
}


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


def post_url(call: Call) -> str | None:
    """Where the post can be read; `None` where nobody said, or not in letters that need no escaping."""
    return call.link if call.link and _POST.fullmatch(call.link) else None


def chart_url(address: str, chain: Chain | None = None) -> str:
    """Where an address has its chart; without a chain, of an EVM address, all that trade under it are listed."""
    if chain is None and is_evm(address):
        return _SEARCH.format(address=address)
    return _CHART.format(chain=chain or "solana", address=address)


def explorer_url(address: str, chain: Chain) -> str:
    return _EXPLORERS[chain].format(address=address)


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
