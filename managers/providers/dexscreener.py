"""DexScreener (https://docs.dexscreener.com/api/reference): prices as pools trade them, and that of SOL."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from msgspec import Struct

from domain.prices.pools import Pool, reading_of
from domain.prices.readings import PriceReading, TokenRef, address_key
from managers.http.answers import Shape
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.dexscreener_pairs import pool_of_pair, readable
from managers.providers.jupiter import SOL_MINT
from managers.providers.provider import Provider
from runtime.errors import TransientError

KEYLESS: Final = Limit(300, 60.0)
MIN_LIQUIDITY_USD: Final = 100_000
"""A smaller pool shows what somebody moved it to."""

CHAINS: Final = {"solana": "solana", "ethereum": "ethereum", "base": "base", "bsc": "bsc"}
"""By our name of the chain."""

_TIMEOUT_S: Final = 5.0


class _Token(Struct):
    address: str


class _Liquidity(Struct):
    usd: float = 0.0


class _Pair(Struct, rename="camel"):
    chain_id: str
    base_token: _Token
    price_usd: str | None = None
    liquidity: _Liquidity | None = None


_SHAPE: Final[Shape] = msgspec.json.Decoder(list[msgspec.Raw])


class DexScreenerManager(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "dexscreener"
    base_url = "https://api.dexscreener.com"
    limit: Limit = KEYLESS
    tokens_per_request: int = 30

    def covers(self, token: TokenRef) -> bool:
        return token.chain in CHAINS

    async def read(self, tokens: Sequence[TokenRef]) -> list[PriceReading]:
        """Prices of at most `tokens_per_request` tokens of one chain, asked once; the unknown are absent."""
        chain = CHAINS[tokens[0].chain]
        path = f"{self._url}/tokens/v1/{chain}/{','.join(token.address for token in tokens)}"
        body = await self._api.get(path, timeout_s=_TIMEOUT_S, attempts=1, shape=_SHAPE)
        if body is None:
            raise TransientError("HTTP 404 from DexScreener")
        pools = self._by_token(decoded(_SHAPE, body), chain, tokens[0].chain)
        at = self._clock()
        readings = (reading_of(token, pools.get(token.key, ()), source=self.name, at=at) for token in tokens)
        return [reading for reading in readings if reading is not None]

    def _by_token(self, entries: Sequence[msgspec.Raw], chain_id: str, chain: str) -> dict[str, list[Pool]]:
        """Each pool under both its tokens; those of another chain are nobody's."""
        pools: dict[str, list[Pool]] = {}
        pairs, unreadable = readable(entries)
        self.unreadable += unreadable
        for pair in pairs:
            pool = pool_of_pair(pair) if pair.chain_id == chain_id else None
            if pool is not None:
                pools.setdefault(address_key(chain, pool.base), []).append(pool)
                pools.setdefault(address_key(chain, pool.quote), []).append(pool)
        return pools

    async def sol_usd(self) -> Decimal:
        """Return US dollars for one SOL in the largest pool that prices it."""
        path = f"{self._url}/tokens/v1/solana/{SOL_MINT}"
        body = await self._api.get(path, timeout_s=_TIMEOUT_S, shape=_SHAPE)
        if body is None:
            raise TransientError("HTTP 404 from DexScreener")
        found = [_read(entry) for entry in decoded(_SHAPE, body)]
        priced = [one for one in found if one is not None]
        if not priced:
            raise TransientError("DexScreener knows no pool that prices SOL")
        _, price = max(priced)
        return price


def _read(entry: msgspec.Raw) -> tuple[float, Decimal] | None:
    """Return size and price of a pool; `None` where SOL is not what it prices, or it is too small, or unreadable."""
    try:
        pair = msgspec.json.decode(entry, type=_Pair)
        price = Decimal(pair.price_usd or "")
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidOperation):
        return None
    size_usd = pair.liquidity.usd if pair.liquidity else 0.0
    prices_sol = (pair.chain_id, pair.base_token.address) == ("solana", SOL_MINT)
    if not prices_sol or not price.is_finite() or price <= 0 or size_usd < MIN_LIQUIDITY_USD:
        return None
    return size_usd, price
