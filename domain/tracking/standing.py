"""How an entry and its token stand at the moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from domain.tracking.entries import Entries
from domain.tracking.peaks import Peaks


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


def standings_of(entries: Entries, peaks: Peaks, token: Mapping[str, float]) -> list[Standing]:
    """Of all entries of a token; `token` is its row of the columns."""
    gap_to, wick, wick_at = token["gap_to"], token["wick"], token["wick_at"]
    names = ("id", "channel", "at", "price", "market_cap", "late")
    standings: list[Standing] = []
    for place, (entry, channel, at, price, market_cap, late) in enumerate(
        zip(*(entries.column(name).tolist() for name in names), strict=True)
    ):
        peak, peak_at = peaks.of(place)
        if peak <= price:
            peak, peak_at = price, float(at)
        seen_wick = wick if wick_at >= at and wick > peak else None
        at_least = bool(late) or gap_to > at
        standings.append(Standing(entry, channel, at, price, known(market_cap), peak, peak_at, at_least, seen_wick))
    return standings


def state_of(token: Mapping[str, float], settled: float) -> TokenState:
    """`token` is its row of the columns."""
    return TokenState(
        price_usd=settled,
        at=token["at"],
        moved_at=token["moved_at"],
        liquidity_usd=known(token["liquidity"]),
        liquidity_at=token["liquidity_at"],
        thin_since=known(token["thin_since"]),
        ath_usd=token["ath"],
        ath_at=token["ath_at"],
        wick_usd=token["wick"] if token["wick"] > token["ath"] else None,
        wick_at=token["wick_at"],
        gap=None if math.isnan(token["gap_to"]) else (token["gap_from"], token["gap_to"]),
    )
