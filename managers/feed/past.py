"""What a feed called while nobody listened: fetched from its HTTP side after a gap, and while the socket stays away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from domain.calls.events import Call
from managers.feed.sources.base import Source
from runtime.errors import TransientError
from runtime.waiting import Progress, pause

log = structlog.get_logger(__name__)

PAGE_CALLS: Final = 500
GAP_RETRY_S: Final = 30.0
POLL_EVERY_S: Final = 2.0
"""So often the HTTP side is asked while the socket stays away."""


class PastCalls:
    def __init__(self, source: Source, hand_on: Callable[[Call], Awaitable[bool]]) -> None:
        """`hand_on` says whether a call was new."""
        self._source = source
        self._hand_on = hand_on
        self._from: int | None = None
        """Cursor after which calls may be missing."""
        self._retry_at = 0.0
        self._began_at: int | None = None

    def position(self, cursor: int | None) -> int | None:
        """Where to go on: after the last call, or where the feed was when it was asked for the first time."""
        return self._began_at if cursor is None else cursor

    def lack_since(self, cursor: int) -> None:
        self._from = cursor if self._from is None else min(cursor, self._from)

    def again(self, cursor: int) -> None:
        """Fetch what was called after `cursor`, at once."""
        self.lack_since(cursor)
        self._retry_at = 0.0

    async def fill(self, progress: Progress) -> bool:
        """Fetch what may be missing; whether it was asked for and is all there. A failure is tried again later."""
        if self._from is None or asyncio.get_running_loop().time() < self._retry_at:
            return False
        filled = 0
        try:
            while page := await self._source.calls_since(self._from, PAGE_CALLS):
                progress()
                for call in page:
                    filled += await self._hand_on(call)
                newest = max(call.cursor or 0 for call in page)
                if newest <= self._from:
                    break
                self._from = newest
        except TransientError as error:
            self._retry_at = asyncio.get_running_loop().time() + GAP_RETRY_S
            log.warning("backfill_failed", source=self._source.name, reason=str(error))
            return False
        self._from = None
        if filled:
            log.info("gap_filled", source=self._source.name, calls=filled)
        return True

    async def poll_for(
        self, seconds: float, cursor: Callable[[], int | None], answered: Callable[[], None], progress: Progress
    ) -> None:
        """Let so much time pass, and hand on what is called meanwhile; `answered` whenever the HTTP side has."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            try:
                if self._began_at is None and cursor() is None:
                    self._began_at = await self._source.newest_cursor()
                if (position := self.position(cursor())) is not None:
                    self.again(position)
                    if await self.fill(progress):
                        answered()
            except TransientError as error:
                log.warning("feed_not_polled", source=self._source.name, reason=str(error))
            left_s = until - loop.time()
            if left_s <= 0:
                return
            await pause(min(left_s, POLL_EVERY_S), progress)
