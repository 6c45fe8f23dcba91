"""Which chain an address is a token of, and which token a pool is there for, as DexScreener knows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from domain.posts.chains import chain_of
from domain.prices.readings import address_key, worth
from managers.http.answers import Shape
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.bodies import Body
from managers.providers.dexscreener import KEYLESS
from managers.providers.dexscreener_pairs import Pair, readable
from managers.providers.lookup import (
    ChainFound,
    PoolFound,
    PoolSide,
    deepest_first,
    is_chain,
    is_pool,
    token_among,
    tokens_among,
)
from managers.providers.provider import Provider
from runtime.errors import TransientError

_TIMEOUT_S: Final = 5.0


class _Answer(Struct):
    pairs: list[msgspec.Raw] | None
    """`null` where it knows none."""


_SHAPE: Final[Shape] = msgspec.json.Decoder(_Answer)


class DexScreenerLookup(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "dexscreener"
    base_url = "https://api.dexscreener.com"
    limit: Limit = KEYLESS

    async def chains_of(self, addresses: Sequence[str]) -> dict[str, list[ChainFound]]:
        asked = {key.address for key in tokens_among(addresses)}
        if not asked:
            return {}
        pairs = await self._pairs(f"/latest/dex/tokens/{','.join(sorted(asked))}")
        of_address: dict[str, dict[str, list[float]]] = {}
        for pair in pairs:
            chain = _chain(pair)
            if chain is None:
                continue
            sides = {address_key(chain, side.address) for side in (pair.base_token, pair.quote_token)}
            for side in sides & asked:
                depth = worth(Body(pair.liquidity).number("usd")) or 0.0
                of_address.setdefault(side, {}).setdefault(chain, []).append(depth)
        if pairs and not of_address:
            raise TransientError("DexScreener answers of other tokens")
        return {
            address: deepest_first(ChainFound(chain, max(depths), len(depths)) for chain, depths in chains.items())
            for address, chains in of_address.items()
        }

    async def token_of_pool(self, chain: str | None, pool: str) -> PoolFound | None:
        if not is_pool(pool) or (chain is not None and not is_chain(chain)):
            return None
        if chain is None:
            pairs = await self._pairs("/latest/dex/search", {"q": pool})
        else:
            pairs = await self._pairs(f"/latest/dex/pairs/{chain}/{pool}")
        # Its own links have the addresses of pools in small letters.
        same = [pair for pair in pairs if pair.pair_address.lower() == pool.lower()]
        exact = [pair for pair in same if pair.pair_address == pool] or same
        on_chain = [(name, pair) for pair in exact if (name := _chain(pair)) is not None and chain in {None, name}]
        if len({(name, pair.pair_address) for name, pair in on_chain}) != 1:
            return None  # nobody's, or nobody can say whose
        name, pair = on_chain[0]
        return token_among(name, [PoolSide(side.address, side.symbol) for side in (pair.base_token, pair.quote_token)])

    async def _pairs(self, path: str, params: dict[str, str] | None = None) -> list[Pair]:
        body = await self._api.get(self._url + path, params=params, timeout_s=_TIMEOUT_S, attempts=1, shape=_SHAPE)
        if body is None:
            return []
        pairs, unreadable = readable(decoded(_SHAPE, body).pairs or ())
        self.unreadable += unreadable
        return pairs


def _chain(pair: Pair) -> str | None:
    return chain_of(pair.chain_id) or (pair.chain_id if is_chain(pair.chain_id) else None)
