"""What an adapter that reads channels gives: pages of posts. Holds nothing about what was read before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from msgspec import Struct

from domain.posts.post import Post
from managers.http.answers import FailedError
from runtime.errors import TransientError

Closed = Literal["not_found", "no_preview", "private", "moved", "replaced"]
"""Nobody has the name; it is shown to members of the app alone; one has to be let in, or was put out; it has another
name by now; another channel has its name by now."""

PAGE_POSTS: Final = 20
"""So many posts a page has, as Telegram shows them."""


class Page(Struct, frozen=True, kw_only=True):
    channel: str
    """`@name` in small letters, as in `Post.channel`."""
    title: str | None = None
    """Attacker-controlled text."""
    posts: tuple[Post, ...] = ()
    """The oldest first. Numbers grow; there are gaps where posts were deleted, or are no posts."""
    unreadable: int = 0
    """Posts on the page that could not be read, and were skipped."""
    unread: tuple[int, ...] = ()
    """Numbers of those of them that have one."""
    first_number: int | None = None
    """The lowest number on the page, of whatever has one: of what the app itself has written, too."""

    @property
    def lowest(self) -> int | None:
        numbers = (self.first_number, *self.unread, *(post.number for post in self.posts[:1]))
        return min((number for number in numbers if number is not None), default=None)


class ChannelClosedError(TransientError):
    """The other side says that this channel cannot be read in this way; later it may be."""

    def __init__(self, channel: str, why: Closed, *, now: str | None = None) -> None:
        """`now`: the name that it has by now, where that is known."""
        super().__init__(f"{channel}: {why}" + (f", {now} now" if now else ""))
        self.why: Final[Closed] = why
        self.now: Final = now


class BlockedError(TransientError):
    """The other side refuses all requests for now, for whatever channel."""

    def __init__(self, reason: str, *, for_s: float | None = None) -> None:
        """`for_s`: as long as the other side asks for, where it does."""
        super().__init__(reason)
        self.for_s: Final = for_s


class NotServedError(FailedError):
    """The other side answers without a page: 403, 503. Of one channel that is its own; of many, we are refused."""


class AccountLostError(TransientError):
    """Telegram lets an account in no more: logged out, banned, or used from two places. Only a person helps."""


Heard = Callable[[str, Post | None], None]
"""Told of a channel and a post of it, new or edited; without one, something in it could not be read."""


class ChannelReader(Protocol):
    @property
    def name(self) -> str:
        """Short name for logs and metrics."""
        ...

    async def newest(self, channel: str) -> Page:
        """Read the newest posts. `ChannelClosedError`, `BlockedError`, or another `TransientError`."""
        ...

    async def before(self, channel: str, number: int) -> Page:
        """Read the posts before one of this number; empty when there are none. Fails as `newest` does."""
        ...


class ListeningAccount(ChannelReader, Protocol):
    """A reader that is also told of posts, as long as it is connected."""

    def stamp(self) -> object:
        """Something that is another after a new login."""
        ...

    async def open(self, heard: Heard) -> None:
        """Connect, and tell of every post and edit in channels that were read once since then.

        `AccountLostError`, or another `TransientError`; it is to be closed then, too.
        """
        ...

    async def ended(self) -> None:
        """Wait until the connection has ended; fails as `open` does."""
        ...

    async def close(self) -> None: ...

    def is_told_of(self, channel: str) -> bool:
        """Whether posts of a channel come by themselves, as far as its last page said."""
        ...
