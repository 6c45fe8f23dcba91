"""Whoever reads a channel, by whichever way: of one channel one batch of posts is taken at a time, each on the last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

from cachetools import LRUCache
from msgspec.structs import replace

from domain.posts.post import Post
from services.channels.paging import Reading
from services.channels.rows import ReadChannel
from services.channels.taking import REMEMBERED_CHANNELS, TakingService


class ChannelTurns:
    def __init__(self, taking: TakingService) -> None:
        self._taking: Final = taking
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._latest: LRUCache[str, ReadChannel] = LRUCache(REMEMBERED_CHANNELS)
        self._followed: set[str] = set()

    def is_followed(self, channel: str) -> bool:
        """Whether its posts come by themselves: others only need to check it."""
        return channel in self._followed

    @property
    def followed(self) -> int:
        return len(self._followed)

    def follow(self, channel: str) -> None:
        self._followed.add(channel)

    def unfollow(self, channel: str) -> None:
        self._followed.discard(channel)

    async def take(self, one: ReadChannel, reading: Reading) -> ReadChannel:
        """As `TakingService.take`, on whatever this process has read of the channel meanwhile."""
        async with self._lock(one.channel):
            return await self._take(self._newest(one), reading)

    async def check(self, one: ReadChannel, reading: Reading) -> ReadChannel:
        """As `take`, but of a followed channel only what is new: two ways of seeing the same post differ a little."""
        async with self._lock(one.channel):
            row = self._newest(one)
            if self.is_followed(one.channel) and row.read_to is not None:
                news = [post for post in reading.posts if post.number > row.read_to]
                reading = replace(reading, posts=news)
            return await self._take(row, reading)

    async def take_next(self, one: ReadChannel, posts: Sequence[Post]) -> ReadChannel | None:
        """Take posts that follow on what was read, and edits of that; `None` where there is a gap before one."""
        async with self._lock(one.channel):
            row = self._newest(one)
            if row.read_to is None:
                return None
            read_to = row.read_to
            for post in posts:
                if post.number > read_to + 1:
                    return None
                read_to = max(read_to, post.number)
            for post in posts:
                # An edit may follow on its post at once: each is a batch of its own.
                row = await self._take(row, Reading(posts=[post]))
            return row

    def forget(self, channel: str) -> None:
        """Another process has read on."""
        self._latest.pop(channel, None)
        self._taking.forget(channel)

    def _lock(self, channel: str) -> asyncio.Lock:
        return self._locks.setdefault(channel, asyncio.Lock())

    def _newest(self, one: ReadChannel) -> ReadChannel:
        latest = self._latest.get(one.channel)
        if latest is None or latest.revision <= one.revision:
            return one
        return replace(latest, problem=one.problem, problem_since=one.problem_since, moved_to=one.moved_to)

    async def _take(self, row: ReadChannel, reading: Reading) -> ReadChannel:
        try:
            after = await self._taking.take(row, reading)
        except BaseException:
            self._latest.pop(row.channel, None)
            raise
        self._latest[row.channel] = after
        return after
