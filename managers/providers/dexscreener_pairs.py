"""One pair as DexScreener writes it. What its documentation calls optional is absent as often as not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from domain.prices.pools import DAY_S, HOUR_S, MINUTES_5_S, Pool
from domain.prices.readings import number, price, worth
from managers.providers.bodies import Body

log = structlog.get_logger(__name__)

_WINDOWS: Final = (("m5", MINUTES_5_S), ("h1", HOUR_S), ("h6", 6 * HOUR_S), ("h24", DAY_S))


class Side(Struct):
    address: str
    name: object = None
    symbol: object = None


class Pair(Struct, rename="camel"):
    """Without the first five it is no pair; whatever else makes no sense is as good as absent."""

    chain_id: str
    dex_id: str
    pair_address: str
    base_token: Side
    quote_token: Side
    price_usd: object = None
    price_native: object = None
    liquidity: object = None
    market_cap: object = None
    fdv: object = None
    volume: object = None
    txns: object = None
    price_change: object = None
    pair_created_at: object = None
    info: object = None


_pair: Final = msgspec.json.Decoder(Pair)


def readable(entries: Iterable[msgspec.Raw]) -> tuple[list[Pair], int]:
    """The pairs, and how many entries were none."""
    pairs: list[Pair] = []
    unreadable = 0
    for entry in entries:
        try:
            pairs.append(_pair.decode(entry))
        except ValueError:
            unreadable += 1
    if unreadable:
        log.warning("dexscreener_pools_skipped", pools=unreadable)
    return pairs, unreadable


def pool_of_pair(pair: Pair) -> Pool | None:
    """`None` for a pool without a price."""
    base_usd = price(pair.price_usd)
    if base_usd is None:
        return None
    liquidity, volume = Body(pair.liquidity), Body(pair.volume)
    return Pool(
        address=pair.pair_address,
        dex=pair.dex_id,
        base=pair.base_token.address,
        quote=pair.quote_token.address,
        base_usd=base_usd,
        base_in_quote=number(pair.price_native),
        liquidity_usd=worth(liquidity.get("usd")),
        base_reserve=number(liquidity.get("base")),
        quote_reserve=number(liquidity.get("quote")),
        market_cap_usd=worth(pair.market_cap) or worth(pair.fdv) or None,
        volume_24h_usd=worth(volume.get("h24")) or 0.0,
        quiet_s=_quiet_s(Body(pair.txns), volume),
    )


def _quiet_s(trades: Body, volume: Body) -> float:
    """The shortest window in which it was traded."""
    for window, length_s in _WINDOWS:
        made = trades.body(window)
        if (number(volume.get(window)) or 0.0) > 0 or (made.count("buys") or 0) + (made.count("sells") or 0) > 0:
            return length_s
    return math.inf
