"""What the native feed says, as `docs/feed.md` specifies it: the frames and documents, and what decodes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from domain.calls.events import Chain
from managers.feed.sources.leniency import LenientDecoder
from managers.http.answers import Shape

Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Change = Annotated[float, Meta(ge=-100)]
# Patterns would take as long as all the rest of a frame: what these texts may consist of is looked at below.
Place = Annotated[str, Meta(min_length=1, max_length=40)]
Address = Annotated[str, Meta(max_length=44)]
Moment = Annotated[datetime, Meta(tz=True)]
EventId = Annotated[str, Meta(min_length=1, max_length=128)]
ChannelId = Annotated[str, Meta(min_length=1, max_length=64)]


class TokenBody(Struct):
    address: Address
    chain: Chain = "solana"
    name: str | None = None
    symbol: str | None = None
    price_usd: Amount | None = None
    market_cap_usd: Amount | None = None
    fdv_usd: Amount | None = None
    liquidity_usd: Amount | None = None
    volume_5m_usd: Amount | None = None
    volume_1h_usd: Amount | None = None
    volume_24h_usd: Amount | None = None
    price_change_5m_percent: Change | None = None
    price_change_1h_percent: Change | None = None
    price_change_24h_percent: Change | None = None
    buys_1h: Count | None = None
    sells_1h: Count | None = None
    holders: Count | None = None
    created_at: Moment | None = None
    top10_percent: Percent | None = None
    developer_percent: Percent | None = None
    snipers_percent: Percent | None = None
    lp_locked_percent: Percent | None = None
    mint_revoked: bool | None = None
    freeze_revoked: bool | None = None
    metadata_immutable: bool | None = None
    buy_tax_percent: Percent | None = None
    sell_tax_percent: Percent | None = None
    risk_score: Percent | None = None
    launchpad: Place | None = None
    dex: Place | None = None
    website: str | None = None
    x_handle: str | None = None
    telegram: str | None = None
    image_url: str | None = None
    animation_url: str | None = None
    video_url: str | None = None
    origins: Any = None
    disputed: Any = None
    """Read by itself, one by one: `OriginBody` by the name of a figure."""


class DisagreementBody(Struct):
    source: str
    value: float


class OriginBody(Struct):
    source: Annotated[str, Meta(min_length=1, max_length=40)]
    at: Moment


class ChannelBody(Struct):
    id: ChannelId
    title: str | None = None


class CallFrame(Struct, tag_field="type", tag="call"):
    id: EventId
    cursor: Count
    called_at: Moment
    channel: ChannelBody
    token: TokenBody
    text: str | None = None
    link: Any = None
    """Read by itself: a call is not lost with the link to it."""


class PriceFrame(Struct, tag_field="type", tag="price"):
    token: Address
    price_usd: Amount
    at: Moment
    market_cap_usd: Amount | None = None


class HeartbeatFrame(Struct, tag_field="type", tag="heartbeat"):
    at: Moment


class SubscribedFrame(Struct, tag_field="type", tag="subscribed"):
    pass


class ErrorFrame(Struct, tag_field="type", tag="error"):
    message: str


class CallsPage(Struct):
    calls: list[msgspec.Raw]


class RecordBody(Struct):
    calls: Count | None = None
    win_rate_percent: Percent | None = None
    win_rate_low_percent: Percent | None = None
    average_multiple: Amount | None = None
    median_multiple: Amount | None = None


class ChannelDocument(Struct):
    id: ChannelId
    title: str | None = None
    record: RecordBody | None = None
    record_30d: RecordBody | None = None


class Position(Struct):
    cursor: Count


class ObjectWithId(Struct):
    id: str


class ObjectWithAddress(Struct):
    address: str


Frame = CallFrame | PriceFrame | HeartbeatFrame | SubscribedFrame | ErrorFrame
FRAMES = LenientDecoder[Frame](Frame)
PAGES = msgspec.json.Decoder(CallsPage)
POSITIONS = msgspec.json.Decoder(Position)
TOKENS = LenientDecoder[TokenBody](TokenBody)
CHANNELS = LenientDecoder[ChannelDocument](ChannelDocument)
TOKEN_SHAPE: Final[Shape] = msgspec.json.Decoder(ObjectWithAddress)
CHANNEL_SHAPE: Final[Shape] = msgspec.json.Decoder(ObjectWithId)
