"""Token addresses in what people paste: bare ones, and links of the sites that people paste links of.

On Solana a token is base58 of exactly 32 bytes, as it is written: case matters, so a copy that lost its capitals is
nobody's address. On EVM chains it is 0x and 40 digits of hex; capitals are a checksum at most, so it is kept in lower
case everywhere. A key in a link counts by the place where it stands: links to transactions, accounts and profiles name
no token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2s
from typing import Final
from urllib.parse import urlsplit

from solders.pubkey import Pubkey

from domain.calls.events import Chain

MAX_TEXT_LENGTH: Final = 4096
"""More than this is not looked at; it is Telegram's own limit."""
MAX_ADDRESSES: Final = 5
MAX_ADDRESS_LENGTH: Final = 44
"""Of 32 bytes in base58, which is longer than 20 in hex."""

_BARE: Final = re.compile(
    r"(?<![A-Za-z0-9/])(?:[1-9A-HJ-NP-Za-km-z]{32,44}|0[xX][0-9A-Fa-f]{40})(?![A-Za-z0-9])", re.ASCII
)
_EVM: Final = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_LINK: Final = re.compile(
    r"(?<![A-Za-z0-9.-])(?:https?://)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}/[^\s<>\"'()\[\]|]*", re.ASCII
)
_TOKEN_PATHS: Final = {
    "solscan.io": (("token",),),
    "etherscan.io": (("token",),),
    "basescan.org": (("token",),),
    "bscscan.com": (("token",),),
    "pump.fun": (("coin",), ()),
    "birdeye.so": (("token",), *((chain, "token") for chain in ("solana", "ethereum", "bsc", "base"))),
    "gmgn.ai": tuple((chain, "token") for chain in ("sol", "eth", "bsc", "base")),
    "dexscreener.com": (("solana",), ("ethereum",), ("bsc",), ("base",)),
    "geckoterminal.com": tuple(
        (chain, kind) for chain in ("solana", "eth", "bsc", "base") for kind in ("tokens", "pools")
    ),
}
"""By site: what stands in the path before the address of a token."""
_OF_SOLANA: Final = frozenset({"solscan.io", "pump.fun", "solana", "sol"})
_OF_EVM: Final = frozenset({"etherscan.io", "basescan.org", "bscscan.com", "ethereum", "eth", "bsc", "base"})
"""Sites and words in a path that say of which form an address is."""
_POOL_SITES: Final = frozenset({"dexscreener.com", "geckoterminal.com"})
"""Their links may hold the address of a pool instead, so any other address goes first."""


def find_addresses(text: str) -> tuple[str, ...]:
    """Return the token addresses in a text as they are kept, the surest first, each once, at most `MAX_ADDRESSES`."""
    text = text[:MAX_TEXT_LENGTH]
    linked: list[str] = []
    doubtful: list[str] = []
    for link in _LINK.findall(text):
        site, found = _in_link(link)
        (doubtful if site in _POOL_SITES else linked).extend(found)
    bare = (address for match in _BARE.findall(_LINK.sub(" ", text)) if is_address(address := as_kept(match)))
    return tuple(_first_of_each((*bare, *linked, *doubtful)))


def is_address(text: str) -> bool:
    """Whether this, as it is kept, may be meant as an address: a mint without a capital was lower-cased on its way."""
    return is_evm(text) or (any(character.isupper() for character in text) and is_mint(text))


def is_on(chain: Chain, address: str) -> bool:
    """Whether an address has the form that the chain gives it, and is written as it is kept."""
    return is_mint(address) if chain == "solana" else is_evm(address)


def is_evm(text: str) -> bool:
    """Whether this is an address of an EVM chain as it is kept; which chain nobody can see."""
    return _EVM.fullmatch(text) is not None


def as_kept(address: str) -> str:
    """One form for each address: capitals in hex say nothing."""
    return address.lower() if address[:2] in {"0x", "0X"} else address


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
    address = as_kept(last.rpartition("_")[2])
    if tuple(before) not in _TOKEN_PATHS.get(host, ()) or not is_address(address):
        return host, []
    of_others = _OF_SOLANA if is_evm(address) else _OF_EVM
    return host, [] if of_others & {host, *before} else [address]


def _first_of_each(addresses: Iterable[str]) -> Iterator[str]:
    yield from list(dict.fromkeys(addresses))[:MAX_ADDRESSES]
