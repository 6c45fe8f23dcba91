"""The native feed protocol, client side. `docs/feed.md` is its specification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import quote

import msgspec
import structlog

from domain.calls.addresses import as_kept, is_evm, is_mint, is_on
from domain.calls.events import Call, Chain, Channel, ChannelRecord, Event, Heartbeat, PriceTick, Token
from domain.calls.statistics import wilson_lower_percent
from managers.feed.sources.base import (
    ETHEREUM_GENESIS,
    NAME_LIMIT,
    REASON_LIMIT,
    SOLANA_GENESIS,
    SYMBOL_LIMIT,
    TEXT_LIMIT,
    cut,
    is_plausible,
    venue,
)
from managers.feed.sources.links import media_link, post_link, telegram_handle, web_link, x_handle
from managers.feed.sources.native_frames import (
    CHANNEL_SHAPE,
    CHANNELS,
    FRAMES,
    PAGES,
    POSITIONS,
    TOKEN_SHAPE,
    TOKENS,
    CallFrame,
    ErrorFrame,
    HeartbeatFrame,
    PriceFrame,
    RecordBody,
    TokenBody,
)
from managers.feed.sources.native_origins import read_disputed, read_origins
from managers.http.answers import Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from runtime.clock import now
from runtime.errors import FeedRefusedError, FrameError, TransientError

log = structlog.get_logger(__name__)

T = TypeVar("T")

_FIGURES_TIMEOUT_S = 2.0
"""A call waits for the answer and goes on without it."""
_PAGE_TIMEOUT_S = 8.0
_MAX_CURSOR = 2**53
_MAX_VENUES = 1_024
"""Names of launchpads and exchanges that are remembered; there are a few dozen."""
_MAX_ADDRESSES = 20_000


class NativeSource:
    """A feed that speaks `docs/feed.md`; its HTTP side is used when `api_url` and `api` are given."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "native",
        api_url: str | None = None,
        token: str | None = None,
        api: APIRetryManager | None = None,
        idle_timeout_s: float = 20.0,
        has_figures: bool = True,
    ) -> None:
        """`has_figures`: whether its HTTP side is asked about tokens."""
        self._has_figures = has_figures
        self.name = name
        self.url = url
        self.idle_timeout_s = idle_timeout_s
        self._api_url = api_url.rstrip("/") if api_url else None
        self._token = token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._api = api
        self.unreadable = 0

    def moved(self, url: str, api_url: str) -> None:
        """Say where the feed is, where that is not known from the start."""
        self.url, self._api_url = url, api_url.rstrip("/")

    @property
    def replays(self) -> bool:
        return self._api_url is not None and self._api is not None

    @property
    def knows_tokens(self) -> bool:
        return self._has_figures and self.replays

    def came_back(self) -> None:
        if self._api_url is not None and self._api is not None:
            self._api.welcome(self._api_url)

    def subscription(self, cursor: int | None) -> list[str]:
        frame = {"type": "subscribe", "topics": ["calls", "prices"], "since": cursor}
        if self._token:
            frame["token"] = self._token
        return [msgspec.json.encode(frame).decode()]

    def decode(self, frame: bytes, received_at: datetime) -> Event | None:
        try:
            body = FRAMES.decode(frame)
        except (ValueError, RecursionError) as error:
            raise FrameError(str(error)[:REASON_LIMIT]) from error
        if isinstance(body, CallFrame):
            return _call(body, received_at)
        if isinstance(body, PriceFrame):
            return PriceTick(
                token_address=_address(body.token),
                price_usd=body.price_usd,
                market_cap_usd=body.market_cap_usd,
                at=_moment(body.at, received_at),
            )
        if isinstance(body, HeartbeatFrame):
            return Heartbeat(at=_moment(body.at, received_at))
        if isinstance(body, ErrorFrame):
            raise FeedRefusedError(body.message[:REASON_LIMIT])
        return None

    async def calls_since(self, cursor: int, limit: int) -> list[Call]:
        while True:
            params = {"since": str(cursor), "limit": str(limit)}
            body = await self._get("/v1/calls", params, shape=PAGES, timeout_s=_PAGE_TIMEOUT_S)
            if body is None:
                if self.replays:
                    raise TransientError("HTTP 404 from the feed: nobody can say what was called meanwhile")
                return []
            page = _read(partial(decoded, PAGES), body).calls
            calls = self._calls_of(page)
            if calls or not page:
                return calls
            # Nothing of it can be read, which is not the end: there may be more behind it.
            behind = max((_position(bytes(raw)) for raw in page), default=0)
            if behind <= cursor:
                return []
            cursor = behind

    async def newest_cursor(self) -> int | None:
        params = {"since": str(_MAX_CURSOR), "limit": "1"}
        body = await self._get("/v1/calls", params, shape=POSITIONS, timeout_s=_PAGE_TIMEOUT_S)
        return None if body is None else _read(partial(decoded, POSITIONS), body).cursor

    def _calls_of(self, page: Sequence[msgspec.Raw]) -> list[Call]:
        received_at = now()
        calls: list[Call] = []
        for raw in page:
            # One bad call must not hide the rest of the page.
            try:
                event = self.decode(bytes(raw), received_at)
            except FrameError as error:
                self.unreadable += 1
                log.warning("past_call_rejected", source=self.name, reason=str(error))
                continue
            if isinstance(event, Call):
                calls.append(event)
        return calls

    async def channel(self, channel_id: str) -> Channel | None:
        body = await self._get(f"/v1/channels/{quote(channel_id, safe='')}", shape=CHANNEL_SHAPE)
        if body is None:
            return None
        document = _read(CHANNELS.decode, body)
        _same(document.id, channel_id)
        return Channel(
            id=document.id,
            title=cut(document.title, NAME_LIMIT),
            record=_record(document.record),
            record_30d=_record(document.record_30d),
        )

    async def token(self, address: str, chain: Chain | None = None) -> Token | None:
        params = None if chain is None or chain == "solana" else {"chain": chain}
        body = await self._get(f"/v1/tokens/{quote(address, safe='')}", params, shape=TOKEN_SHAPE)
        if body is None:
            return None
        document = _read(TOKENS.decode, body)
        _same(as_kept(document.address), address)
        if chain is not None:
            _same(document.chain, chain)
        try:
            return _token(document, now())
        except FrameError as error:
            raise TransientError(f"the feed's answer is unreadable: {error}") from error

    async def _get(
        self,
        path: str,
        params: dict[str, str] | None = None,
        *,
        shape: Shape,
        timeout_s: float = _FIGURES_TIMEOUT_S,
    ) -> bytes | None:
        if self._api_url is None or self._api is None:
            return None
        url = self._api_url + path
        return await self._api.get(url, params=params, headers=self._headers, timeout_s=timeout_s, shape=shape)


def _read(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        return decode(body)
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the feed's answer is unreadable: {error}"[:REASON_LIMIT]) from error


def _position(frame: bytes) -> int:
    """Cursor of a call of which perhaps nothing else can be read."""
    try:
        return decoded(POSITIONS, frame).cursor
    except (ValueError, RecursionError):
        return 0


def _same(answered: str, asked: str) -> None:
    if answered != asked:
        raise TransientError("the feed's answer is unreadable: it is about something else")


def _call(body: CallFrame, received_at: datetime) -> Call:
    return Call(
        id=_id(body.id),
        token=_token(body.token, received_at),
        channel=Channel(id=_id(body.channel.id), title=cut(body.channel.title, NAME_LIMIT)),
        called_at=_moment(body.called_at, received_at),
        received_at=received_at,
        text=cut(body.text, TEXT_LIMIT),
        link=post_link(body.link),
        cursor=body.cursor,
    )


def _token(body: TokenBody, received_at: datetime) -> Token:
    """Mend in place what the schema alone does not make safe, then take everything over at once: it is a lot."""
    body.address = _address_on(body.chain, body.address)
    body.name = cut(body.name, NAME_LIMIT)
    body.symbol = cut(body.symbol, SYMBOL_LIMIT)
    if body.created_at is not None:
        genesis = SOLANA_GENESIS if body.chain == "solana" else ETHEREUM_GENESIS
        body.created_at = _moment(body.created_at, received_at, genesis)
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
    body.origins = read_origins(body, received_at) if body.origins else {}
    body.disputed = read_disputed(body) if body.disputed else {}
    return msgspec.convert(body, Token, from_attributes=True)


def _record(body: RecordBody | None) -> ChannelRecord | None:
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


@lru_cache(_MAX_VENUES)
def _place(text: str) -> str:
    name = venue(text)
    if name is None:
        raise FrameError("launchpad or dex is not letters, digits and ` . _ -` alone")
    return name


@lru_cache(_MAX_ADDRESSES)
def _address(text: str) -> str:
    """Give the address as it is kept; the same object each time, which makes it quick to find by it later."""
    address = as_kept(text)
    if not (is_mint(address) or is_evm(address)):
        raise FrameError("token address is neither the base58 form of 32 bytes nor 0x and 40 digits of hex")
    return address


@lru_cache(_MAX_ADDRESSES)
def _address_on(chain: Chain, text: str) -> str:
    address = _address(text)
    if not is_on(chain, address):
        raise FrameError(f"token address is none of the chain {chain}")
    return address


def _moment(moment: datetime, received_at: datetime, since: datetime = SOLANA_GENESIS) -> datetime:
    if not is_plausible(moment, received_at, since):
        raise FrameError("time is before the chain's genesis or in the future")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
