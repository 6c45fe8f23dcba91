"""One post of a channel: what was made of it, and what it called."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from services.channels.rows import ChannelRows, ReadChannel, SeenPost
from services.channels.wire import ChannelCall


class PostAnswer(Struct, frozen=True, kw_only=True):
    channel: str
    number: int
    listed: ReadChannel | None
    """`None`: nobody has named this channel here."""
    post: SeenPost | None = None
    """`None`: it was not read, or is forgotten."""
    calls: Sequence[ChannelCall] = ()
    """Written down for it."""
    waiting: Sequence[str] = ()
    """Addresses of which nobody knows yet what token they mean."""


class PostLookup:
    def __init__(self, rows: ChannelRows) -> None:
        self._rows = rows

    async def find(self, channel: str, number: int) -> PostAnswer:
        """Say what is known of a post. `TransientError`."""
        listed = await self._rows.find(channel)
        post = await self._rows.seen(channel, number) if listed else None
        if post is None:
            return PostAnswer(channel=channel, number=number, listed=listed)
        is_call = post.understood.verdict == "call"
        return PostAnswer(
            channel=channel,
            number=number,
            listed=listed,
            post=post,
            calls=await self._rows.calls_of(channel, post) if is_call else (),
            waiting=await self._rows.waiting_of(channel, number) if is_call else (),
        )
