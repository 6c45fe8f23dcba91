"""A few channels to be read: posts are put, changed and taken away; who reads gets pages as Telegram shows them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import datetime

from msgspec.structs import replace

from domain.posts.post import Post, Run
from managers.channels.base import PAGE_POSTS, BlockedError, Page
from runtime.errors import TransientError


class ChannelBook:
    """A `ChannelReader`."""

    name = "book"

    def __init__(self) -> None:
        self.posts: defaultdict[str, list[Post]] = defaultdict(list)
        self.asked: Counter[str] = Counter()
        self.title: str | None = None
        self.problem: TransientError | None = None
        self.problems: dict[str, TransientError] = {}
        """Of one channel."""
        self.stops_after: int | None = None
        """So many pages more, and nobody gets any for a moment."""
        self.hidden: set[int] = set()
        """Posts that stand on pages and cannot be read."""
        self.by_the_app: set[int] = set()
        """What stands on pages and is no post: "channel photo updated"."""
        self.answers = asyncio.Event()
        """Cleared, it lets everybody wait."""
        self.answers.set()

    def post(self, channel: str, text: str, at: datetime) -> Post:
        number = self.posts[channel][-1].number + 1 if self.posts[channel] else 1
        post = Post(channel=channel, number=number, runs=(Run(text),), posted_at=at)
        self.posts[channel].append(post)
        return post

    def edit(self, post: Post, text: str, at: datetime) -> None:
        posts = self.posts[post.channel]
        posts[posts.index(post)] = replace(post, runs=(Run(text),), edited_at=at)

    async def newest(self, channel: str) -> Page:
        await self.answers.wait()
        return self._page(channel, self.posts[channel])

    async def before(self, channel: str, number: int) -> Page:
        return self._page(channel, [post for post in self.posts[channel] if post.number < number])

    def _page(self, channel: str, posts: list[Post]) -> Page:
        self.asked[channel] += 1
        if self.stops_after is not None:
            if not self.stops_after:
                raise BlockedError("429", for_s=0.05)
            self.stops_after -= 1
        if problem := self.problem or self.problems.get(channel):
            raise problem
        shown = posts[-PAGE_POSTS:]
        unread = tuple(post.number for post in shown if post.number in self.hidden)
        return Page(
            channel=channel,
            title=self.title or channel.removeprefix("@").title(),
            posts=tuple(post for post in shown if post.number not in self.hidden | self.by_the_app),
            unreadable=len(unread),
            unread=unread,
            first_number=shown[0].number if shown else None,
        )
