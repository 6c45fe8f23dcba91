"""Who finds a token where a post names only a part: an address without a chain, or a pool."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from domain.posts.keys import Key, key_of
from managers.http.request_budget import Room
from managers.providers.bodies import Body, names

ADDRESSES_PER_REQUEST: Final = 30

_POOL: Final = re.compile(r"[A-Za-z0-9]{8,80}")
_CHAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class ChainFound(Struct, frozen=True):
    """An address is a token of this chain."""

    chain: str
    """By our name, or else by the source's."""
    liquidity_usd: float
    """In its deepest pool; 0 where that is not known."""
    pools: int


class PoolFound(Struct, frozen=True):
    """The token that a pool is there for."""

    chain: str
    address: str
    """Of the token; on EVM chains in small letters."""
    symbol: str | None
    """Attacker-controlled text."""


class TokenLookup(Protocol):
    @property
    def name(self) -> str: ...

    def room(self) -> Room: ...

    async def chains_of(self, addresses: Sequence[str]) -> dict[str, list[ChainFound]]:
        """By address, the chains on which it is traded, the deepest first; at most 30 addresses.

        Those of EVM chains are in small letters, however they were asked about. What can be no token's address, and
        what is not traded anywhere, is absent. `TransientError`.
        """
        ...

    async def token_of_pool(self, chain: str | None, pool: str) -> PoolFound | None:
        """What the pool prices, unless that is a stable or wrapped coin: then what it is paid in.

        `None` when the source does not know the pool, or both sides are such coins. `TransientError`.
        """
        ...


class PoolSide(Struct, frozen=True):
    address: str
    symbol: object


def tokens_among(addresses: Iterable[str]) -> list[Key]:
    """Each once; those of EVM chains in small letters. At most 30."""
    keys = [key for address in dict.fromkeys(addresses) if isinstance(key := key_of(address), Key)]
    found = list(dict.fromkeys(keys))
    if len(found) > ADDRESSES_PER_REQUEST:
        raise ValueError(f"{len(found)} addresses, {ADDRESSES_PER_REQUEST} at most")
    return found


def is_pool(pool: str) -> bool:
    """Whether it can be asked for: it may come from a link in anybody's post."""
    return _POOL.fullmatch(pool) is not None


def is_chain(chain: str) -> bool:
    return _CHAIN.fullmatch(chain) is not None


def token_among(chain: str, sides: Sequence[PoolSide]) -> PoolFound | None:
    """The first side that can be a token on this chain and is no coin that others are paid in."""
    family = "solana" if chain == "solana" else "evm"
    for side in sides:
        key = key_of(side.address)
        if isinstance(key, Key) and key.family == family:
            return PoolFound(chain, key.address, names(Body({"symbol": side.symbol}))["symbol"])
    return None


def deepest_first(found: Iterable[ChainFound]) -> list[ChainFound]:
    return sorted(found, key=lambda one: (-one.liquidity_usd, -one.pools, one.chain))
