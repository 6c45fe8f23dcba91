"""GeckoTerminal (https://api.geckoterminal.com/docs): prices of tokens, and candles of pools.

All its numbers are decimal text. It keeps an answer for up to a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from domain.prices.readings import High, PriceReading, TokenRef, address_key, checked_reading, number, price, worth
from managers.http.answers import Shape
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.provider import Provider
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

KEYLESS: Final = Limit(30, 60.0)
NETWORKS: Final = {"solana": "solana", "ethereum": "eth", "base": "base", "bsc": "bsc"}
"""By our name of the chain."""
MAX_CANDLES: Final = 1_000

_TIMEOUT_S: Final = 5.0
_ATTEMPTS: Final = 2
"""For candles, which nobody else has."""
_HEADERS: Final = {"Accept": "application/json;version=20230302"}
_MINUTE_S: Final = 60
_LENGTHS: Final = (
    *(("minute", many, many * _MINUTE_S) for many in (1, 5, 15)),
    *(("hour", many, many * 60 * _MINUTE_S) for many in (1, 4, 12)),
    ("day", 1, 24 * 60 * _MINUTE_S),
)
"""Candles that it has: time frame, how many of it make one, seconds."""
MAX_TIME_S: Final = 4e9
"""Unix time of the last candle that anybody can mean."""
_WICK_TIMES: Final = 1e3
"""So far above where a candle began and ended is no price."""


class _Prices(Struct):
    token_prices: dict[str, Any]
    market_cap_usd: dict[str, Any] = {}
    total_reserve_in_usd: dict[str, Any] = {}


class _PricesData(Struct):
    attributes: _Prices


class _PricesAnswer(Struct):
    data: _PricesData


class _CandleList(Struct):
    ohlcv_list: list[Any]


class _CandlesData(Struct):
    attributes: _CandleList


class _Side(Struct):
    address: str


class _Sides(Struct):
    base: _Side
    quote: _Side


class _CandlesAnswer(Struct):
    data: _CandlesData
    meta: _Sides


_PRICES_SHAPE: Final[Shape] = msgspec.json.Decoder(_PricesAnswer)
_CANDLES_SHAPE: Final[Shape] = msgspec.json.Decoder(_CandlesAnswer)


class GeckoTerminalManager(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "geckoterminal"
    base_url = "https://api.geckoterminal.com/api/v2"
    limit: Limit = KEYLESS
    tokens_per_request: int = 30

    def covers(self, token: TokenRef) -> bool:
        return token.chain in NETWORKS

    async def read(self, tokens: Sequence[TokenRef]) -> list[PriceReading]:
        """Prices of at most `tokens_per_request` tokens of one chain, asked once; the unknown are absent."""
        chain = tokens[0].chain
        addresses = ",".join(token.address for token in tokens)
        body = await self._get(
            f"/simple/networks/{NETWORKS[chain]}/token_price/{addresses}",
            {"include_market_cap": "true", "mcap_fdv_fallback": "true", "include_total_reserve_in_usd": "true"},
            _PRICES_SHAPE,
            attempts=1,
        )
        if body is None:
            raise TransientError("HTTP 404 from GeckoTerminal")
        said: _Prices = decoded(_PRICES_SHAPE, body).data.attributes
        prices, caps, reserves = (
            {address_key(chain, address): value for address, value in figures.items()}
            for figures in (said.token_prices, said.market_cap_usd, said.total_reserve_in_usd)
        )
        at = self._clock()
        readings = (
            checked_reading(
                token,
                prices.get(token.key),
                at=at,
                source=self.name,
                liquidity_usd=reserves.get(token.key),
                market_cap_usd=caps.get(token.key),
            )
            for token in tokens
        )
        return [reading for reading in readings if reading is not None]

    async def high(self, token: TokenRef, pool: str, since: datetime, until: datetime) -> High | None:
        """Highest price of the token between two moments, from the pool's candles, in one request.

        Of candles that lie wholly in between, so that no price from before counts. `None` when there is none, and for
        a pool that GeckoTerminal does not know, or that is not the token's.
        """
        frame, many, length_s = _candles_for(until.timestamp() - since.timestamp())
        body = await self._get(
            f"/networks/{NETWORKS[token.chain]}/pools/{pool}/ohlcv/{frame}",
            {
                "aggregate": str(many),
                "before_timestamp": str(int(until.timestamp())),
                "limit": str(MAX_CANDLES),
                "currency": "usd",
                "token": token.address,
            },
            _CANDLES_SHAPE,
            attempts=_ATTEMPTS,
        )
        if body is None:
            return None
        said: _CandlesAnswer = decoded(_CANDLES_SHAPE, body)
        sides = (address_key(token.chain, side.address) for side in (said.meta.base, said.meta.quote))
        if token.key not in sides:
            raise TransientError(f"GeckoTerminal gives candles of another pool than {pool}")
        candles = self._candles(said.data.attributes.ohlcv_list)
        first_s, last_s = since.timestamp(), until.timestamp() - length_s
        inside = [candle for candle in candles if first_s <= candle.at_s <= last_s]
        if not inside:
            return None
        best = max(inside, key=lambda candle: candle.high_usd)
        return High(
            token=token,
            price_usd=best.high_usd,
            at=datetime.fromtimestamp(best.at_s, UTC),
            source=self.name,
            volume_usd=best.volume_usd,
        )

    def _candles(self, entries: Iterable[object]) -> list[_Candle]:
        read = [_candle(entry) for entry in entries]
        if unreadable := read.count(None):
            self.unreadable += unreadable
            log.warning("geckoterminal_candles_skipped", candles=unreadable)
        return [candle for candle in read if candle is not None]

    async def _get(self, path: str, params: dict[str, str], shape: Shape, *, attempts: int) -> bytes | None:
        return await self._api.get(
            self._url + path, params=params, headers=_HEADERS, timeout_s=_TIMEOUT_S, attempts=attempts, shape=shape
        )


class _Candle(Struct, frozen=True, gc=False):
    at_s: float
    high_usd: float
    volume_usd: float | None


def _candle(entry: object) -> _Candle | None:
    """Read `[time, open, high, low, close, volume]`."""
    try:
        at, opened, high, low, closed, volume = msgspec.convert(entry, list[Any])
    except (ValueError, msgspec.ValidationError):
        return None
    at_s = number(at)
    prices = [price(value) for value in (opened, high, low, closed)]
    if at_s is None or not 0 < at_s < MAX_TIME_S or None in prices:
        return None
    first, top, _, last = (value for value in prices if value is not None)
    at_ends = max(first, last)
    return _Candle(at_s, top if top < at_ends * _WICK_TIMES else at_ends, worth(volume))


def _candles_for(length_s: float) -> tuple[str, int, int]:
    """The shortest candles of which one request gives the whole time; else the longest."""
    for candles in _LENGTHS:
        if length_s <= candles[2] * (MAX_CANDLES - 1):
            return candles
    return _LENGTHS[-1]
