"""A reader of channels that notes when it last brought a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from managers.channels.base import ChannelReader, Page


class NotedReader:
    """A `ChannelReader`."""

    def __init__(self, reader: ChannelReader, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self._clock = clock
        self.last_page_at: datetime | None = None

    @property
    def name(self) -> str:
        return self._reader.name

    async def newest(self, channel: str) -> Page:
        return self._noted(await self._reader.newest(channel))

    async def before(self, channel: str, number: int) -> Page:
        return self._noted(await self._reader.before(channel, number))

    def _noted(self, page: Page) -> Page:
        self.last_page_at = self._clock()
        return page
