"""What the feeds tell us: tokens, channels, calls and price ticks.

Money is in US dollars as float64 where it is only compared with thresholds (market data), never where it is
paid. Shares are in percent (0-100), multiples are plain ratios (2.0 = "2x"), times are aware UTC.
`None` means that the source did not say; it is never a zero in disguise.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

Chain = Literal["solana", "ethereum", "bsc", "base"]
"""What a source does not say is on Solana: calls that were stored before there were others say nothing."""
EVM_CHAINS: Final[tuple[Chain, ...]] = ("ethereum", "bsc", "base")
"""Their addresses look alike."""


class Origin(Struct, frozen=True, gc=False):
    """Where a figure comes from, and when it was true."""

    source: str
    at: datetime


class Disagreement(Struct, frozen=True, gc=False):
    """What another source says of a figure, and it is not about the same."""

    source: str
    value: float
    """Of a flag, 1 for true."""


class Token(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    address: str
    """On Solana the base58 mint, where case matters; else 0x and 40 digits of hex in lower case."""
    chain: Chain = "solana"
    name: str | None = None
    """Attacker-controlled text."""
    symbol: str | None = None
    """Attacker-controlled text."""
    price_usd: float | None = None
    market_cap_usd: float | None = None
    fdv_usd: float | None = None
    """Fully diluted valuation: price times total supply."""
    liquidity_usd: float | None = None
    volume_5m_usd: float | None = None
    volume_1h_usd: float | None = None
    volume_24h_usd: float | None = None
    price_change_5m_percent: float | None = None
    price_change_1h_percent: float | None = None
    price_change_24h_percent: float | None = None
    buys_1h: int | None = None
    sells_1h: int | None = None
    holders: int | None = None
    created_at: datetime | None = None
    top10_percent: float | None = None
    """Share of the supply held by the ten largest holders, pools and lockers left out."""
    developer_percent: float | None = None
    snipers_percent: float | None = None
    """Share bought in the first block or in one bundle."""
    lp_locked_percent: float | None = None
    """Share of the liquidity tokens burned or locked."""
    mint_revoked: bool | None = None
    freeze_revoked: bool | None = None
    metadata_immutable: bool | None = None
    buy_tax_percent: float | None = None
    sell_tax_percent: float | None = None
    risk_score: float | None = None
    """0 (no finding) to 100 (worst), as RugCheck's normalised score."""
    launchpad: str | None = None
    """Where it was launched, lower case: `pump.fun`, `bonk`, …"""
    dex: str | None = None
    """Where it trades now, lower case: `pumpswap`, `raydium`, …"""
    website: str | None = None
    x_handle: str | None = None
    telegram: str | None = None
    """Attacker-controlled links and handles."""
    image_url: str | None = None
    animation_url: str | None = None
    video_url: str | None = None
    origins: dict[str, Origin] = {}
    """By field name, where a figure did not come with the call itself, or the feed has it from somebody else."""
    disputed: dict[str, Disagreement] = {}
    """By field name, where two sources do not agree (`domain.calls.trust`)."""


class ChannelRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a channel's earlier calls became."""

    calls: int | None = None
    win_rate_percent: float | None = None
    """Share of its calls that reached 2x or more, 0-100."""
    win_rate_low_percent: float | None = None
    """Lower end of the 95 % Wilson score interval of the win rate: few calls, low bound."""
    average_multiple: float | None = None
    """Mean of the best multiple of each call."""
    median_multiple: float | None = None
    own_tokens: int | None = None
    """The source has no record: it is our own, of so many tokens (`services.tracking.records`)."""
    as_of: datetime | None = None
    """Up to when our own counts."""


class Channel(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    id: str
    """Stable id in its source, for example `@alpha_calls` or `pump.fun/launches`."""
    title: str | None = None
    """Attacker-controlled text."""
    record: ChannelRecord | None = None
    """Over its whole life."""
    record_30d: ChannelRecord | None = None
    """Over the last 30 days."""
    also: tuple[str, ...] = ()
    """Other ids of the same channel, by an admin's word (`domain.calls.merges`): who names one names it."""
    made_by: str | None = None
    """By which of them the call was made, where that is not `id`."""

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.id, *self.also)


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
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
    link: str | None = None
    """Where the post can be read: https, of visible ASCII characters. Attacker-controlled."""
    calling_channels: int | None = None
    """How many channels have called this token by now, this one included."""
    first_market_cap_usd: float | None = None
    """The token's market cap at its first call by any channel."""
    first_channel: Channel | None = None
    """Who that was, without its records; `None` where the calls before are not all known."""
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
