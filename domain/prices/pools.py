"""Which of a token's pools tells its price.

The token has to be what the pool prices (its base). A bonding curve that was left at migration stands still at a
price nobody pays, and may show a huge market cap with it: what trades elsewhere now goes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.prices.readings import PriceReading, TokenRef, address_key, checked_reading

CURVES: Final = frozenset(
    {"pumpfun", "launchlab", "raydiumlaunchlab", "moonshot", "moonit", "meteoradbc", "boopfun", "believe", "fourmeme"}
)
"""Launchpads' bonding curves by the names that DexScreener and GeckoTerminal have for them, without their hyphens."""
MAX_CURVE_MARKET_CAP_USD: Final = 1e6
"""A curve is sold out long before; one that shows more was left behind."""
MIGRATED_LIQUIDITY_USD: Final = 5_000.0
"""A migration brings more. A smaller pool beside a curve that trades may be anybody's."""
MINUTES_5_S: Final = 300.0
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0

_RESERVES_MAY_DIFFER: Final = 10.0
"""Concentrated pools are not balanced; a price that was read the wrong way round is off by far more."""


class Pool(Struct, frozen=True, kw_only=True, gc=False):
    address: str
    dex: str
    base: str
    quote: str
    base_usd: float
    base_in_quote: float | None = None
    """How many of the quote one of the base costs."""
    liquidity_usd: float | None = None
    base_reserve: float | None = None
    quote_reserve: float | None = None
    market_cap_usd: float | None = None
    """Of the base."""
    volume_24h_usd: float = 0.0
    quiet_s: float = math.inf
    """The last trade was no longer ago than this; infinite when none is known of."""

    @property
    def is_curve(self) -> bool:
        return self.dex.replace("-", "").replace(".", "").lower() in CURVES


def reading_of(token: TokenRef, pools: Iterable[Pool], *, source: str, at: datetime) -> PriceReading | None:
    """Read the price from the pool that deserves it; `None` when none does."""
    given = list(pools)
    own, quoted = own_pools(token, given), _quoting(token, given)
    for pool in own:
        reading = checked_reading(
            token,
            pool.base_usd,
            at=at,
            source=source,
            liquidity_usd=pool.liquidity_usd,
            market_cap_usd=pool.market_cap_usd,
            pool=pool.address,
        )
        if reading is not None:
            return reading
    if own:
        return None
    for pool in quoted:
        reading = checked_reading(
            token, quote_usd(pool), at=at, source=source, liquidity_usd=pool.liquidity_usd, pool=pool.address
        )
        if reading is not None:
            return reading
    return None


def own_pools(token: TokenRef, pools: Iterable[Pool]) -> list[Pool]:
    """Those that price the token, the one to believe first."""
    given = list(pools)
    own = [pool for pool in given if address_key(token.chain, pool.base) == token.key]
    return sorted(without_leftovers(own, beside=_quoting(token, given)), key=_weight, reverse=True)


def _quoting(token: TokenRef, pools: Iterable[Pool]) -> list[Pool]:
    quoted = [pool for pool in pools if address_key(token.chain, pool.quote) == token.key]
    return sorted(quoted, key=_weight, reverse=True)


def without_leftovers(pools: Sequence[Pool], *, beside: Sequence[Pool] = ()) -> list[Pool]:
    """Leave out the curves that a token has left, or else the pools beside a curve on which it still trades.

    It may have left them for one `beside`, which prices what it is paid in.
    """
    exchanges = [pool for pool in pools if not pool.is_curve]
    left_for = [*exchanges, *(pool for pool in beside if not pool.is_curve)]
    curves = [
        pool
        for pool in pools
        if pool.is_curve
        and (pool.market_cap_usd or 0.0) <= MAX_CURVE_MARKET_CAP_USD
        and not any(_replaces(exchange, pool) for exchange in left_for)
    ]
    return curves or exchanges


def quote_usd(pool: Pool) -> float | None:
    """US dollars for one of the quote; `None` when the reserves do not bear it out."""
    if not pool.base_in_quote or not pool.base_reserve or not pool.quote_reserve:
        return None
    converted = pool.base_usd / pool.base_in_quote
    by_reserves = pool.base_usd * pool.base_reserve / pool.quote_reserve
    agree = by_reserves / _RESERVES_MAY_DIFFER <= converted <= by_reserves * _RESERVES_MAY_DIFFER
    return converted if agree else None


def _replaces(exchange: Pool, curve: Pool) -> bool:
    """After a migration all trade is on the exchange, so its last one is never the older."""
    if exchange.quiet_s > curve.quiet_s:
        return False
    return curve.quiet_s > MINUTES_5_S or (exchange.liquidity_usd or 0.0) >= MIGRATED_LIQUIDITY_USD


def _weight(pool: Pool) -> tuple[float, float]:
    """By liquidity; an hour without a trade makes it count a tenth, a day a thousandth."""
    counts = 1.0 if pool.quiet_s <= HOUR_S else 0.1 if pool.quiet_s <= DAY_S else 0.001
    return (pool.liquidity_usd or 0.0) * counts, pool.volume_24h_usd
