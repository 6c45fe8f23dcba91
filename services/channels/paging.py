"""From a channel's newest page back to what was read before, as long as the other side shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from cachetools import LRUCache
from msgspec import Struct

from domain.posts.post import Post
from managers.channels.base import PAGE_POSTS, BlockedError, ChannelClosedError, Page
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

MAX_POSTS_BACK: Final = 100 * PAGE_POSTS
SHOWN_FOR: Final = timedelta(days=14)
"""What is older calls nothing any more, and is not paged back to."""
GIVES_UP_AFTER: Final = timedelta(minutes=5)
"""Where a page further back fails for so long, what is newer is taken without it."""
MAX_KEPT: Final = 32
"""Channels of which it is remembered how far back they were read."""


class Reading(Struct, frozen=True, kw_only=True):
    """What was read of a channel."""

    posts: Sequence[Post] = ()
    """The oldest first."""
    title: str | None = None
    """Attacker-controlled text."""
    unread: Collection[int] = ()
    """Numbers of posts between them that could not be read."""
    is_cut: bool = False
    """More was posted since it was last read than is read back to."""


class _Stretch(Struct):
    """Numbers between which there is nothing that could have been read."""

    posts: list[Post]
    unread: set[int]
    first: int
    """Of whatever stood there: a page may hold nothing but what cannot be read, and what the app has written."""

    @property
    def last(self) -> int:
        return max((self.first, *self.unread, *(post.number for post in self.posts[-1:])))

    def reach_back(self, posts: Sequence[Post], unread: Collection[int], first: int) -> None:
        self.unread.update(number for number in unread if number < self.first)
        self.posts[:0] = [post for post in posts if post.number < self.first]
        self.first = min(self.first, first)


class PagesBack:
    """Whoever is stopped on the way goes on from there the next time: what was read until then is kept."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: LRUCache[str, list[_Stretch]] = LRUCache(MAX_KEPT)
        """By channel, the newest first."""
        self._fails_since: LRUCache[str, datetime] = LRUCache(MAX_KEPT)
        """Of each channel that answers, but not with what lies further back."""

    async def read(self, read_to: int | None, newest: Page, before: Callable[[int], Awaitable[Page]]) -> Reading:
        """Return the posts of `newest`, and those between them and `read_to`. Fails as `before` does."""
        if newest.lowest is None:
            return Reading(title=newest.title)
        kept = self._kept.pop(newest.channel, [])
        found = _Stretch(list(newest.posts), set(newest.unread), newest.lowest)
        while len(found.posts) < MAX_POSTS_BACK and self._lacks(read_to, found):
            if kept and kept[0].last >= found.first - 1:
                known = kept.pop(0)
                found.reach_back(known.posts, known.unread, known.first)
                continue
            try:
                page = await before(found.first)
            except BaseException as error:
                if self._gives_up(newest.channel, error):
                    log.warning("gap_given_up", channel=newest.channel, after=read_to, until=found.first)
                    return Reading(posts=found.posts, title=newest.title, unread=found.unread, is_cut=True)
                self._kept[newest.channel] = [found, *kept]
                raise
            if page.lowest is None or page.lowest >= found.first:
                break
            found.reach_back(page.posts, page.unread, page.lowest)
        self._fails_since.pop(newest.channel, None)
        is_cut = len(found.posts) >= MAX_POSTS_BACK and self._lacks(read_to, found)
        if is_cut:
            log.warning("gap_not_read_whole", channel=newest.channel, after=read_to, until=found.first)
        return Reading(posts=found.posts, title=newest.title, unread=found.unread, is_cut=is_cut)

    def _gives_up(self, channel: str, error: BaseException) -> bool:
        """Whether this has failed for too long; who is asked to wait, or told that a channel is closed, waits."""
        if not isinstance(error, TransientError) or isinstance(error, BlockedError | ChannelClosedError):
            return False
        now = self._clock()
        if now - self._fails_since.setdefault(channel, now) < GIVES_UP_AFTER:
            return False
        self._fails_since.pop(channel)
        return True

    def _lacks(self, read_to: int | None, found: _Stretch) -> bool:
        """Whether posts may stand between what was read before and these."""
        if read_to is None or found.first <= read_to + 1:
            return False
        return not found.posts or self._clock() - found.posts[0].posted_at < SHOWN_FOR
