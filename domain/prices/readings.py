"""A price as one source said it at one moment, and what makes a number one.

A number from outside is checked here, once: whoever holds a `PriceReading` may divide by its price.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from msgspec import Struct

MAX_PRICE_USD: Final = 1e9
MIN_PRICE_USD: Final = 1e-18
"""Beyond these it is a fault and no price: the whole supply would be worth less than a cent, or more than there is."""
MAX_VALUE_USD: Final = 1e13
"""No market cap and no liquidity is larger."""

_MAX_DIGITS: Final = 100


class TokenRef(Struct, frozen=True, gc=False):
    """Which token is meant. Addresses are written as their chain writes them; case matters on Solana alone."""

    address: str
    chain: str = "solana"

    @property
    def key(self) -> str:
        return address_key(self.chain, self.address)


class PriceReading(Struct, frozen=True, kw_only=True, gc=False):
    """Made by `checked_reading` alone: the price is finite and within the bounds above."""

    token: TokenRef
    price_usd: float
    at: datetime
    """When it was answered; the source may have kept it for up to a minute."""
    source: str
    liquidity_usd: float | None = None
    """What stands behind it; `None` on a bonding curve, and where the source does not say."""
    market_cap_usd: float | None = None
    pool: str | None = None
    """Where it was traded, for who asks for candles; `None` when it comes from several."""


class High(Struct, frozen=True, kw_only=True, gc=False):
    """The highest price of a while, from candles."""

    token: TokenRef
    price_usd: float
    at: datetime
    """When its candle began."""
    source: str
    volume_usd: float | None = None
    """What was traded in that candle: little behind a high makes it a wick."""


def address_key(chain: str, address: str) -> str:
    """The same for every way to write an address: what is not Solana's may come with capitals as a checksum."""
    return address if chain == "solana" else address.lower()


def number(value: object) -> float | None:
    """A finite number, from JSON's own or from decimal text; `None` for anything else."""
    if type(value) is float:  # by far the most
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > _MAX_DIGITS or not value.isascii() or "_" in value):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def price(value: object) -> float | None:
    """A price in US dollars, or `None`."""
    found = number(value)
    return found if found is not None and MIN_PRICE_USD <= found <= MAX_PRICE_USD else None


def worth(value: object, *, at_least: float = 0.0) -> float | None:
    """A market cap, a liquidity or a volume in US dollars, or `None`; some sources give negative reserves."""
    found = number(value)
    return found if found is not None and at_least <= found <= MAX_VALUE_USD else None


def checked_reading(
    token: TokenRef,
    price_usd: object,
    *,
    at: datetime,
    source: str,
    liquidity_usd: object = None,
    market_cap_usd: object = None,
    pool: str | None = None,
) -> PriceReading | None:
    """`None` when the price is none; another figure that makes no sense is left out."""
    found = price(price_usd)
    if found is None:
        return None
    return PriceReading(
        token=token,
        price_usd=found,
        at=at,
        source=source,
        liquidity_usd=worth(liquidity_usd),
        market_cap_usd=worth(market_cap_usd) or None,
        pool=pool,
    )
