"""A call of a channel as the native protocol says it: `docs/feed.md`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from domain.channels.names import post_link
from domain.posts.post import Post

MAX_TEXT: Final = 4096
"""Characters that every client takes."""

_encode: Final = msgspec.json.Encoder().encode


class CalledToken(Struct, frozen=True, omit_defaults=True):
    address: str
    chain: str = "solana"


class CallingChannel(Struct, frozen=True, omit_defaults=True):
    id: str
    title: str | None = None


class ChannelCall(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="call"):
    id: str
    cursor: int = 0
    called_at: datetime
    channel: CallingChannel
    token: CalledToken
    text: str | None = None
    link: str | None = None
    """To the post."""


class UnresolvedCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call of which nobody knew yet what token it means."""

    channel: str
    number: int
    address: str
    """As it stands in the post."""
    chain: str | None
    is_pool: bool
    called_at: datetime
    title: str | None = None
    text: str | None = None


def call_of(one: UnresolvedCall, token: CalledToken) -> ChannelCall:
    return ChannelCall(
        id=call_id_of(one.channel, one.number, token.address),
        called_at=one.called_at,
        channel=CallingChannel(one.channel, one.title),
        token=token,
        text=one.text,
        link=post_link(one.channel, one.number),
    )


def call_id_of(channel: str, number: int, address: str) -> str:
    """The same for the same token of the same post, however often it is read."""
    return f"t.me/{channel.removeprefix('@')}/{number}/{address}"


def number_of(call_id: str) -> int:
    """Return of which post it is."""
    return int(call_id.split("/")[2])


def text_of(post: Post) -> str | None:
    return "".join(run.text for run in post.runs)[:MAX_TEXT].strip() or None


def frame_of(call: ChannelCall) -> str:
    return _encode(call).decode()
