"""Token addresses in what people paste: bare ones, and links of the sites that people paste links of.

What is taken for a token is base58 of exactly 32 bytes, as it is written: case matters, so a copy that lost its
capitals is nobody's address. A key in a link counts by the place where it stands: links to transactions, accounts and
profiles name no token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2s
from typing import Final
from urllib.parse import urlsplit

from solders.pubkey import Pubkey

MAX_TEXT_LENGTH: Final = 4096
"""More than this is not looked at; it is Telegram's own limit."""
MAX_ADDRESSES: Final = 5
MAX_ADDRESS_LENGTH: Final = 44
"""Of 32 bytes in base58."""

_BARE: Final = re.compile(r"(?<![A-Za-z0-9/])[1-9A-HJ-NP-Za-km-z]{32,44}(?![A-Za-z0-9])")
_LINK: Final = re.compile(
    r"(?<![A-Za-z0-9.-])(?:https?://)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}/[^\s<>\"'()\[\]|]*", re.ASCII
)
_TOKEN_PATHS: Final = {
    "solscan.io": (("token",),),
    "pump.fun": (("coin",), ()),
    "birdeye.so": (("token",), ("solana", "token")),
    "gmgn.ai": (("sol", "token"),),
    "dexscreener.com": (("solana",),),
}
"""By site: what stands in the path before the address of a token."""
_POOL_SITES: Final = frozenset({"dexscreener.com"})
"""Their links may hold the address of a pool instead, so any other address goes first."""


def find_addresses(text: str) -> tuple[str, ...]:
    """Return the token addresses in a text, the surest first, each once, at most `MAX_ADDRESSES`."""
    text = text[:MAX_TEXT_LENGTH]
    linked: list[str] = []
    doubtful: list[str] = []
    for link in _LINK.findall(text):
        site, found = _in_link(link)
        (doubtful if site in _POOL_SITES else linked).extend(found)
    bare = (match for match in _BARE.findall(_LINK.sub(" ", text)) if is_address(match))
    return tuple(_first_of_each((*bare, *linked, *doubtful)))


def is_address(text: str) -> bool:
    """Whether somebody may have meant this as an address: one without a capital letter was lower-cased on its way."""
    return any(character.isupper() for character in text) and is_mint(text)


def is_mint(text: str) -> bool:
    """Whether this is the base58 form of 32 bytes, which is what a mint is."""
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


def call_tag(call_id: str) -> str:
    """Tell the calls of one token apart in the few bytes that a button has left beside the address."""
    return blake2s(call_id.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()


def _in_link(link: str) -> tuple[str, list[str]]:
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:  # a link that no browser would follow either
        return "", []
    *before, last = [segment for segment in parts.path.split("/") if segment] or [""]
    # Some links carry who shares them in front: `eye1_<address>`.
    address = last.rpartition("_")[2]
    if tuple(before) in _TOKEN_PATHS.get(host, ()) and is_address(address):
        return host, [address]
    return host, []


def _first_of_each(addresses: Iterable[str]) -> Iterator[str]:
    yield from list(dict.fromkeys(addresses))[:MAX_ADDRESSES]
