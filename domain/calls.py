"""What the feeds tell us: tokens, channels, calls and price ticks.

Money is in US dollars as float64 where it is only compared with thresholds (market data), never where it is
paid. Shares are in percent (0-100), multiples are plain ratios (2.0 = "2x"), times are aware UTC.
`None` means that the source did not say; it is never a zero in disguise.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

Chain = Literal["solana"]


class Token(Struct, frozen=True, kw_only=True, omit_defaults=True):
    address: str
    """Base58 mint; case matters."""
    chain: Chain = "solana"
    name: str | None = None
    """Attacker-controlled text."""
    symbol: str | None = None
    """Attacker-controlled text."""
    price_usd: float | None = None
    market_cap_usd: float | None = None
    liquidity_usd: float | None = None
    holders: int | None = None
    created_at: datetime | None = None
    image_url: str | None = None


class ChannelRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel's earlier calls became."""

    calls: int | None = None
    win_rate_percent: float | None = None
    """Share of its calls that reached 2x or more, 0-100."""
    average_multiple: float | None = None
    """Mean of the best multiple of each call."""
    median_multiple: float | None = None


class Channel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    """Stable id in its source, for example `@alpha_calls` or `pump.fun/launches`."""
    title: str | None = None
    """Attacker-controlled text."""
    record: ChannelRecord | None = None


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One channel names one token at one moment."""

    id: str
    """Unique per event of its source; a repeated event has the same id."""
    token: Token
    channel: Channel
    called_at: datetime
    """When the channel posted; where the source does not say, when the frame arrived."""
    received_at: datetime
    text: str | None = None
    """The post itself. Attacker-controlled."""
    cursor: int | None = None
    """Position in a source that can replay from a position; grows by call."""


class PriceTick(Struct, frozen=True, kw_only=True):
    token_address: str
    price_usd: float
    market_cap_usd: float | None
    at: datetime


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The feed is alive and has nothing to say."""

    at: datetime


Event = Call | PriceTick | Heartbeat
