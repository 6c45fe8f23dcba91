"""The native feed protocol, server side; `docs/feed.md` is its specification."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from domain.calls.events import Call, Channel, PriceTick, Token

JUNK: tuple[bytes, ...] = (
    b"this is not json",
    b"<html><body>502 Bad Gateway</body></html>",
    b"[1,2,3]",
    b"null",
    b"",
    b'"\xff\xfe"',
    b'{"type":"call"}',
    b'{"type":"unheard_of"}',
    b'{"type":"call","id":"x","cursor":-1,"called_at":"yesterday","channel":{},"token":{}}',
    b'{"type":"price","token":"0OIl","price_usd":1e999,"at":"2026-01-01T00:00:00Z"}',
    b'{"type":"price","token":"So11111111111111111111111111111111111111112","price_usd":-1,"at":"2026-01-01"}',
    b'{"type":' + b"[" * 2000,
    b'{"type":"call","id":"cut off in the mid',
)


class Subscribe(Struct, tag_field="type", tag="subscribe"):
    topics: list[Literal["calls", "prices"]]
    since: int | None = None


class _ChannelBody(Struct, omit_defaults=True):
    id: str
    title: str | None = None


class _CallFrame(Struct, tag_field="type", tag="call", omit_defaults=True):
    id: str
    cursor: int
    called_at: datetime
    channel: _ChannelBody
    token: Token
    text: str | None = None
    link: str | None = None


class _PriceFrame(Struct, tag_field="type", tag="price", omit_defaults=True):
    token: str
    price_usd: float
    at: datetime
    market_cap_usd: float | None = None


class _Subscribed(Struct, tag_field="type", tag="subscribed"):
    cursor: int


class _Heartbeat(Struct, tag_field="type", tag="heartbeat"):
    at: datetime
    cursor: int


class _Error(Struct, tag_field="type", tag="error"):
    message: str


_encoder = msgspec.json.Encoder()
_subscribe = msgspec.json.Decoder(Subscribe)


def read_subscribe(frame: bytes | str) -> Subscribe | None:
    """`None` for anything that is not a subscription."""
    try:
        return _subscribe.decode(frame)
    except (ValueError, RecursionError):
        return None


def call_frame(call: Call, cursor: int) -> bytes:
    return _encoder.encode(
        _CallFrame(
            id=call.id,
            cursor=cursor,
            called_at=call.called_at,
            channel=_ChannelBody(call.channel.id, call.channel.title),
            token=call.token,
            text=call.text,
            link=call.link,
        )
    )


def price_frame(tick: PriceTick) -> bytes:
    return _encoder.encode(
        _PriceFrame(token=tick.token_address, price_usd=tick.price_usd, at=tick.at, market_cap_usd=tick.market_cap_usd)
    )


def subscribed_frame(cursor: int) -> bytes:
    return _encoder.encode(_Subscribed(cursor))


def heartbeat_frame(at: datetime, cursor: int) -> bytes:
    return _encoder.encode(_Heartbeat(at, cursor))


def error_frame(message: str) -> bytes:
    return _encoder.encode(_Error(message))


def calls_page(frames: list[bytes], cursor: int) -> bytes:
    return b'{"cursor":%d,"calls":[%b]}' % (cursor, b",".join(frames))


def document(body: Channel | Token) -> bytes:
    return _encoder.encode(body)
