"""From a channel's newest page back to what was read before, as long as the other side shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from domain.posts.post import Post
from managers.channels.base import PAGE_POSTS, Page

MAX_POSTS_BACK: Final = 100 * PAGE_POSTS
SHOWN_FOR: Final = timedelta(days=14)
"""What is older calls nothing any more, and is not paged back to."""


async def paged_back(
    read_to: int | None, newest: Page, before: Callable[[int], Awaitable[Page]], now: datetime
) -> list[Post]:
    """Return the posts of `newest`, and those between them and `read_to`, the oldest first. Fails as `before` does."""
    posts = list(newest.posts)
    while posts and read_to is not None and _lacks(read_to, posts, now):
        earlier = await before(posts[0].number)
        if not earlier.posts or earlier.posts[0].number >= posts[0].number:
            break
        posts[:0] = earlier.posts
    return posts


def _lacks(read_to: int, posts: Sequence[Post], now: datetime) -> bool:
    """Whether posts may stand between what was read before and these."""
    if posts[0].number <= read_to + 1:
        return False
    return len(posts) < MAX_POSTS_BACK and now - posts[0].posted_at < SHOWN_FOR
