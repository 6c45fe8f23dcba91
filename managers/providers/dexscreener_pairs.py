"""One pair as DexScreener writes it. What its documentation calls optional is absent as often as not."""

from __future__ import annotations

import math
from typing import Final

import msgspec
from msgspec import Struct

from domain.prices.pools import DAY_S, HOUR_S, MINUTES_5_S, Pool
from domain.prices.readings import number, price, worth

_WINDOWS: Final = (("m5", MINUTES_5_S), ("h1", HOUR_S), ("h6", 6 * HOUR_S), ("h24", DAY_S))


class _Token(Struct):
    address: str


class _Liquidity(Struct):
    usd: float | None = None
    base: float | None = None
    quote: float | None = None


class _Trades(Struct):
    buys: int | None = None
    sells: int | None = None


class _Pair(Struct, rename="camel"):
    chain_id: str
    dex_id: str
    pair_address: str
    base_token: _Token
    quote_token: _Token
    price_usd: str | None = None
    price_native: str | None = None
    liquidity: _Liquidity | None = None
    market_cap: float | None = None
    fdv: float | None = None
    volume: dict[str, float | None] = {}
    txns: dict[str, _Trades] = {}


_pair: Final = msgspec.json.Decoder(_Pair)


def read_pair(entry: msgspec.Raw, chain_id: str) -> Pool | None:
    """`None` for a pool of another chain or without a price; `ValueError` for what is no pair at all."""
    pair = _pair.decode(entry)
    base_usd = price(pair.price_usd)
    if base_usd is None or pair.chain_id != chain_id:
        return None
    liquidity = pair.liquidity or _Liquidity()
    return Pool(
        address=pair.pair_address,
        dex=pair.dex_id,
        base=pair.base_token.address,
        quote=pair.quote_token.address,
        base_usd=base_usd,
        base_in_quote=number(pair.price_native),
        liquidity_usd=worth(liquidity.usd),
        base_reserve=number(liquidity.base),
        quote_reserve=number(liquidity.quote),
        market_cap_usd=worth(pair.market_cap) or worth(pair.fdv) or None,
        volume_24h_usd=worth(pair.volume.get("h24")) or 0.0,
        quiet_s=_quiet_s(pair),
    )


def _quiet_s(pair: _Pair) -> float:
    """The shortest window in which it was traded."""
    for window, length_s in _WINDOWS:
        trades = pair.txns.get(window, _Trades())
        if (pair.volume.get(window) or 0.0) > 0 or (trades.buys or 0) + (trades.sells or 0) > 0:
            return length_s
    return math.inf
