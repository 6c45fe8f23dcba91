"""What is paid with, and amounts of it: exact decimals for people, integer base units on the chain."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal

from msgspec import Struct

Method = Literal["sol", "usdc", "nowpayments", "stars"]
METHODS: Final[tuple[Method, ...]] = ("sol", "usdc", "nowpayments", "stars")

CENT: Final = Decimal("0.01")
MAX_DISTINCT_AMOUNTS: Final = 10_000


class Asset(Struct, frozen=True):
    code: str
    """As people read it: `SOL`, `USDC`, `XTR` or the coin of a payment processor."""
    decimals: int
    """Digits behind the point; one base unit is 10^-decimals."""


SOL: Final = Asset("SOL", 9)
USDC: Final = Asset("USDC", 6)
STARS: Final = Asset("XTR", 0)


def to_units(amount: Decimal, asset: Asset) -> int:
    """Return integer base units. Raises `ValueError` where the amount has more digits than the asset."""
    units = amount.scaleb(asset.decimals)
    if units != units.to_integral_value():
        raise ValueError(f"{amount} has more than {asset.decimals} decimals")
    return int(units)


def from_units(units: int, asset: Asset) -> Decimal:
    return Decimal(units).scaleb(-asset.decimals)


def show(amount: Decimal) -> str:
    """Return the amount as it is typed into a wallet: no exponent, no needless zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def show_paid(amount: Decimal, code: str) -> str:
    """Return the amount of an asset as it is read, not copied: Stars in groups of three digits."""
    return f"{amount:,f}" if code == STARS.code else show(amount)


def price_in(price_usd: Decimal, asset: Asset, rate_usd: Decimal) -> Decimal:
    """Return what a price is in an asset that costs `rate_usd`, rounded up to its base unit."""
    units = (price_usd / rate_usd).scaleb(asset.decimals).to_integral_value(ROUND_CEILING)
    return from_units(int(units), asset)


def distinct_amounts(asset: Asset, rate_usd: Decimal) -> int:
    """Return how many amounts there are for one price within a cent above it: that many invoices can be told apart."""
    return min(MAX_DISTINCT_AMOUNTS, _cent_units(asset, rate_usd))


def distinct(amount: Decimal, asset: Asset, rate_usd: Decimal, index: int) -> Decimal:
    """Return the `index`-th amount from a price on, `index` below `distinct_amounts`."""
    count = distinct_amounts(asset, rate_usd)
    if not 0 <= index < count:
        raise ValueError(f"{index} is not below {count}")
    step = _cent_units(asset, rate_usd) // count
    return amount + from_units(step * index, asset)


def _cent_units(asset: Asset, rate_usd: Decimal) -> int:
    return int((CENT / rate_usd).scaleb(asset.decimals))
