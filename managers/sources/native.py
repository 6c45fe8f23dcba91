"""The native feed protocol, client side. `docs/feed.md` is its specification."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec
import structlog
from msgspec import Meta, Struct

from config.clock import now
from domain.calls import Call, Chain, Channel, ChannelRecord, Event, Heartbeat, PriceTick, Token
from domain.errors import FeedRefusedError, FrameError, TransientError
from domain.statistics import wilson_lower_percent
from managers.api import APIRetryManager
from managers.sources.base import (
    NAME_LIMIT,
    SYMBOL_LIMIT,
    TEXT_LIMIT,
    cut,
    is_address,
    is_plausible,
    place,
)
from managers.sources.links import media_link, telegram_handle, web_link, x_handle

log = structlog.get_logger(__name__)

T = TypeVar("T")

_FIGURES_TIMEOUT_S = 2.0
"""A call waits for the answer and goes on without it."""
_PAGE_TIMEOUT_S = 8.0
_REASON_LIMIT = 160
_MOST_PLACES = 1_024
"""Names of launchpads and exchanges that are remembered; there are a few dozen."""
_MOST_ADDRESSES = 20_000

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


class _TokenBody(Struct):
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


class _ChannelBody(Struct):
    id: ChannelId
    title: str | None = None


class _CallFrame(Struct, tag_field="type", tag="call"):
    id: EventId
    cursor: Count
    called_at: Moment
    channel: _ChannelBody
    token: _TokenBody
    text: str | None = None


class _PriceFrame(Struct, tag_field="type", tag="price"):
    token: Address
    price_usd: Amount
    at: Moment
    market_cap_usd: Amount | None = None


class _HeartbeatFrame(Struct, tag_field="type", tag="heartbeat"):
    at: Moment


class _SubscribedFrame(Struct, tag_field="type", tag="subscribed"):
    pass


class _ErrorFrame(Struct, tag_field="type", tag="error"):
    message: str


class _CallsPage(Struct):
    calls: list[msgspec.Raw]


class _RecordBody(Struct):
    calls: Count | None = None
    win_rate_percent: Percent | None = None
    win_rate_low_percent: Percent | None = None
    average_multiple: Amount | None = None
    median_multiple: Amount | None = None


class _ChannelDocument(Struct):
    id: ChannelId
    title: str | None = None
    record: _RecordBody | None = None
    record_30d: _RecordBody | None = None


_frames = msgspec.json.Decoder(_CallFrame | _PriceFrame | _HeartbeatFrame | _SubscribedFrame | _ErrorFrame)
_pages = msgspec.json.Decoder(_CallsPage)
_tokens = msgspec.json.Decoder(_TokenBody)
_channels = msgspec.json.Decoder(_ChannelDocument)


class NativeSource:
    """A feed that speaks `docs/feed.md`; its HTTP side is used when `api_url` and `api` are given."""

    name = "native"

    def __init__(
        self,
        url: str,
        *,
        api_url: str | None = None,
        token: str | None = None,
        api: APIRetryManager | None = None,
        idle_timeout_s: float = 20.0,
    ) -> None:
        self.url = url
        self.idle_timeout_s = idle_timeout_s
        self._api_url = api_url.rstrip("/") if api_url else None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._api = api

    @property
    def replays(self) -> bool:
        return self._api_url is not None and self._api is not None

    def subscription(self, cursor: int | None) -> list[str]:
        frame = {"type": "subscribe", "topics": ["calls", "prices"], "since": cursor}
        return [msgspec.json.encode(frame).decode()]

    def decode(self, frame: bytes, received_at: datetime) -> Event | None:
        try:
            body = _frames.decode(frame)
        except (ValueError, RecursionError) as error:
            raise FrameError(str(error)[:_REASON_LIMIT]) from error
        if isinstance(body, _CallFrame):
            return _call(body, received_at)
        if isinstance(body, _PriceFrame):
            return PriceTick(
                token_address=_address(body.token),
                price_usd=body.price_usd,
                market_cap_usd=body.market_cap_usd,
                at=_moment(body.at, received_at),
            )
        if isinstance(body, _HeartbeatFrame):
            return Heartbeat(at=_moment(body.at, received_at))
        if isinstance(body, _ErrorFrame):
            raise FeedRefusedError(body.message[:_REASON_LIMIT])
        return None

    async def calls_since(self, cursor: int, limit: int) -> list[Call]:
        params = {"since": str(cursor), "limit": str(limit)}
        body = await self._get("/v1/calls", params, timeout_s=_PAGE_TIMEOUT_S)
        if body is None:
            return []
        received_at = now()
        calls: list[Call] = []
        for raw in self._read(_pages, body).calls:
            # One bad call must not hide the rest of the page.
            try:
                event = self.decode(bytes(raw), received_at)
            except FrameError as error:
                log.warning("past_call_rejected", source=self.name, reason=str(error))
                continue
            if isinstance(event, Call):
                calls.append(event)
        return calls

    async def channel(self, channel_id: str) -> Channel | None:
        body = await self._get(f"/v1/channels/{quote(channel_id, safe='')}")
        if body is None:
            return None
        document = self._read(_channels, body)
        _same(document.id, channel_id)
        return Channel(
            id=document.id,
            title=cut(document.title, NAME_LIMIT),
            record=_record(document.record),
            record_30d=_record(document.record_30d),
        )

    async def token(self, address: str) -> Token | None:
        body = await self._get(f"/v1/tokens/{quote(address, safe='')}")
        if body is None:
            return None
        document = self._read(_tokens, body)
        _same(document.address, address)
        try:
            return _token(document, now())
        except FrameError as error:
            raise TransientError(f"the feed's answer is unreadable: {error}") from error

    async def _get(
        self, path: str, params: dict[str, str] | None = None, *, timeout_s: float = _FIGURES_TIMEOUT_S
    ) -> bytes | None:
        if self._api_url is None or self._api is None:
            return None
        return await self._api.get(self._api_url + path, params=params, headers=self._headers, timeout_s=timeout_s)

    @staticmethod
    def _read(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
        try:
            return decoder.decode(body)
        except (ValueError, RecursionError) as error:
            raise TransientError(f"the feed's answer is unreadable: {error}"[:_REASON_LIMIT]) from error


def _same(answered: str, asked: str) -> None:
    if answered != asked:
        raise TransientError("the feed's answer is unreadable: it is about something else")


def _call(body: _CallFrame, received_at: datetime) -> Call:
    return Call(
        id=_id(body.id),
        token=_token(body.token, received_at),
        channel=Channel(id=_id(body.channel.id), title=cut(body.channel.title, NAME_LIMIT)),
        called_at=_moment(body.called_at, received_at),
        received_at=received_at,
        text=cut(body.text, TEXT_LIMIT),
        cursor=body.cursor,
    )


def _token(body: _TokenBody, received_at: datetime) -> Token:
    """Mend in place what the schema alone does not make safe, then take everything over at once: it is a lot."""
    body.address = _address(body.address)
    body.name = cut(body.name, NAME_LIMIT)
    body.symbol = cut(body.symbol, SYMBOL_LIMIT)
    if body.created_at is not None:
        body.created_at = _moment(body.created_at, received_at)
    if body.launchpad is not None:
        body.launchpad = _place(body.launchpad)
    if body.dex is not None:
        body.dex = _place(body.dex)
    body.website = web_link(body.website)
    body.x_handle = x_handle(body.x_handle)
    body.telegram = telegram_handle(body.telegram)
    if body.image_url is not None:
        body.image_url = media_link(body.image_url)
    if body.animation_url is not None:
        body.animation_url = media_link(body.animation_url)
    if body.video_url is not None:
        body.video_url = media_link(body.video_url)
    return msgspec.convert(body, Token, from_attributes=True)


def _record(body: _RecordBody | None) -> ChannelRecord | None:
    if body is None:
        return None
    low = body.win_rate_low_percent
    if low is None and body.calls is not None and body.win_rate_percent is not None:
        low = wilson_lower_percent(round(body.calls * body.win_rate_percent / 100), body.calls)
    return ChannelRecord(
        calls=body.calls,
        win_rate_percent=body.win_rate_percent,
        win_rate_low_percent=low,
        average_multiple=body.average_multiple,
        median_multiple=body.median_multiple,
    )


def _id(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise FrameError("id is not visible ASCII characters alone")
    return text


@lru_cache(_MOST_PLACES)
def _place(text: str) -> str:
    name = place(text)
    if name is None:
        raise FrameError("launchpad or dex is not letters, digits and ` . _ -` alone")
    return name


@lru_cache(_MOST_ADDRESSES)
def _address(text: str) -> str:
    """Give the address; the same object each time, which makes it quick to find by it later."""
    if not is_address(text):
        raise FrameError("token address is not the base58 form of 32 bytes")
    return text


def _moment(moment: datetime, received_at: datetime) -> datetime:
    if not is_plausible(moment, received_at):
        raise FrameError("time is before the chain's genesis or in the future")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
