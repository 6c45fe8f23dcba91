"""One name for each chain, whatever a site calls it."""

from __future__ import annotations

from typing import Final

SOLANA: Final = "solana"
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    SOLANA: ("sol", "501", "1399811149"),
    "ethereum": ("eth", "ether", "mainnet", "1"),
    "bsc": ("bnb", "bnbchain", "binance", "smartchain", "56"),
    "base": ("8453",),
    "arbitrum": ("arb", "arbitrum-one", "42161"),
    "polygon": ("matic", "polygon_pos", "137"),
    "avalanche": ("avax", "43114"),
    "optimism": ("op", "10"),
    "blast": ("81457",),
    "linea": ("59144",),
    "sonic": ("146",),
    "berachain": ("bera", "80094"),
    "abstract": ("2741",),
    "hyperevm": ("hyperliquid", "999"),
    "monad": ("143",),
    "pulsechain": ("pulse", "369"),
    "unichain": ("130",),
}
EVM_CHAINS: Final = frozenset(_NAMES) - {SOLANA}
_BY_WORD: Final = {word: chain for chain, words in _NAMES.items() for word in (chain, *words)}


def chain_of(word: str) -> str | None:
    """The chain that a site's word or number stands for; `None` for one that is not among them."""
    return _BY_WORD.get(word.lower())
