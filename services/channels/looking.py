"""One look at a channel, by whichever way it is read: what is asked for, how often one tries again, what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec import Struct

from managers.channels.base import ChannelReader, Page
from services.channels.paging import PagesBack, Reading


class LookCounts(Struct):
    """Since the start."""

    requests: int = 0
    paged_back: int = 0
    """Those of `requests` that fetched what was posted while nobody read."""
    blocked: int = 0
    failed: int = 0
    unreadable: int = 0
    """Posts."""
    cut: int = 0
    """How often more had been posted than is read back to."""


async def _at_once() -> None:
    return None


class Looks:
    def __init__(
        self,
        counts: LookCounts,
        clock: Callable[[], datetime],
        *,
        room: Callable[[], Awaitable[None]] = _at_once,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """`room` returns when one may ask for a page more than the newest; `answered` is told of each that came."""
        self._counts = counts
        self._room = room
        self._answered = answered
        self._back = PagesBack(clock)

    async def read(
        self,
        reader: ChannelReader,
        channel: str,
        read_to: int | None,
        *,
        took: Callable[[float], object] = lambda _: None,
    ) -> Reading:
        """Read the newest page, and back to what was read before. Fails as the reader does.

        `took` is told for how many seconds the newest page, or its failure, was waited for.
        """

        async def before(number: int) -> Page:
            await self._room()
            page = await self._asked(reader.before(channel, number))
            self._counts.paged_back += 1
            return page

        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            newest = await self._asked(reader.newest(channel))
        finally:
            took(loop.time() - began_s)
        reading = await self._back.read(read_to, newest, before)
        self._counts.cut += reading.is_cut
        return reading

    async def _asked(self, asked: Awaitable[Page]) -> Page:
        self._counts.requests += 1
        page = await asked
        self._answered()
        self._counts.unreadable += page.unreadable
        return page
