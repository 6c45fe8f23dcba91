"""How an entry and its token stand at the moment."""

from __future__ import annotations

import math
from typing import NamedTuple


class TokenState(NamedTuple):
    """Of one token, since it was opened. Times are Unix seconds."""

    price_usd: float
    """The latest that ticks agree on."""
    at: float
    """Of the latest accepted tick."""
    moved_at: float
    """When the price last became another one, by more than rounding: it was traded."""
    liquidity_usd: float | None
    liquidity_at: float
    thin_since: float | None
    """Since when every reading of the liquidity was below `DEAD_LIQUIDITY_USD`."""
    ath_usd: float
    """Highest confirmed price, or that of a call."""
    ath_at: float
    wick_usd: float | None
    """Highest price that was seen and not confirmed, where it is above the verified one."""
    wick_at: float
    gap: tuple[float, float] | None
    """From where to where there is at least one gap that no candles have closed."""


class Standing(NamedTuple):
    """Of one entry."""

    entry: int
    channel: int
    called_at: float
    price_usd: float
    market_cap_usd: float | None
    peak_usd: float
    """Highest confirmed price since the call, at least the price at the call."""
    peak_at: float
    at_least: bool
    """There was a time without ticks since the call: the peak may have been higher."""
    wick_usd: float | None
    """A higher price since the call that was not confirmed."""

    @property
    def peak_multiple(self) -> float:
        return self.peak_usd / self.price_usd


def known(number: float) -> float | None:
    return None if math.isnan(number) else number
