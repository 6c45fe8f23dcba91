"""DexScreener (https://docs.dexscreener.com/api/reference): the price of SOL, as its pools trade it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from msgspec import Struct

from managers.http.answers import Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.jupiter import SOL_MINT
from runtime.errors import TransientError

KEYLESS: Final = Limit(300, 60.0)
MIN_LIQUIDITY_USD: Final = 100_000
"""A smaller pool shows what somebody moved it to."""

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


class DexScreenerManager:
    """Works without a key. Every method raises `TransientError`."""

    def __init__(self, api: APIRetryManager, base_url: str = "https://api.dexscreener.com") -> None:
        self._api = api
        self._url = base_url.rstrip("/")
        api.limit(self._url, KEYLESS)

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
