"""One post of a channel: what was made of it, and what it called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from domain.posts.understanding import Understood
from services.channels.rows import ChannelRows, ReadChannel, SeenPost
from services.channels.wire import CalledToken, ChannelCall


class PostAnswer(Struct, frozen=True, kw_only=True):
    channel: str
    number: int
    listed: ReadChannel | None
    """`None`: nobody has named this channel here."""
    post: SeenPost | None = None
    """`None`: it was not read, or is forgotten."""
    calls: Sequence[ChannelCall] = ()
    """Written down for it."""
    meant: Mapping[str, CalledToken] = {}
    """By an address of the post, as what token it was called: of a pool what it trades, else the chain is news."""
    of_pools: Sequence[CalledToken] = ()
    """What the post's other pools trade; nobody has noted which trades which."""
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
        calls = await self._rows.calls_of(channel, post) if is_call else []
        waiting = await self._rows.waiting_of(channel, number) if is_call else []
        meant, of_pools = _meant(post.understood, calls, waiting)
        return PostAnswer(
            channel=channel,
            number=number,
            listed=listed,
            post=post,
            calls=calls,
            meant=meant,
            of_pools=of_pools,
            waiting=waiting,
        )


def _meant(
    understood: Understood, calls: Sequence[ChannelCall], waiting: Sequence[str]
) -> tuple[dict[str, CalledToken], list[CalledToken]]:
    others = {call.token.address: call.token for call in calls}
    meant = {one.address: others.pop(one.address) for one in understood.tokens if one.address in others}
    pools = [
        one.address
        for one in understood.calls
        if one.is_pool and one.address not in meant and one.address not in waiting
    ]
    if len(pools) == len(others) == 1:
        return {**meant, pools[0]: others.popitem()[1]}, []
    return meant, list(others.values()) if pools else []
