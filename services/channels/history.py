"""The calls of channels that are read, in order, for whoever asks: those since a cursor, and those that come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, cast

import structlog

from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.channels import statements
from services.channels.rows import ChannelRows, Kept

log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(days=14)
TOKENS_KEPT_FOR: Final = timedelta(days=60)
"""After so long a channel that names a token again calls it again."""
MAX_PAGE: Final = 1_000
LOOK_EVERY_S: Final = 1.0
"""What another process has written is seen so late."""
_TIDY_EVERY_S: Final = 3600.0
_BATCH: Final = 1_000


class KeptCall(NamedTuple):
    cursor: int
    frame: str


class CallHistory:
    def __init__(self, postgres: PostgresManager, rows: ChannelRows, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._rows = rows
        self._clock = clock
        self._news = asyncio.Event()
        self.wakes = 0
        """How often calls were written, since the start."""
        self.readers = 0
        """Who reads what comes, by now."""

    def wake(self) -> None:
        """Calls were written."""
        self.wakes += 1
        self._news.set()
        self._news = asyncio.Event()

    async def came(self, wakes: int) -> None:
        """Return when calls were written here, or it is time to look whether somebody else has written some.

        `wakes`: as it was before the caller looked, so that nothing is missed that was written while they did.
        """
        if self.wakes != wakes:
            return
        news = self._news
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await news.wait()
        except TimeoutError:
            return

    async def newest(self) -> int:
        """Return the cursor of the newest call. `TransientError`."""
        row = await self._postgres.fetch_row(statements.NEWEST)
        return cast("int", row["cursor"]) if row else 0

    async def since(self, cursor: int, limit: int) -> Sequence[KeptCall]:
        """Return at most `limit` calls after a cursor, the oldest first. `TransientError`."""
        rows = await self._postgres.fetch(statements.SINCE, cursor, max(1, min(limit, MAX_PAGE)))
        return [KeptCall(row["cursor"], row["frame"]) for row in rows]

    async def run(self, progress: Progress) -> None:
        """Let go what is too old, once an hour, for ever."""
        while True:
            try:
                await self.tidy(progress)
            except TransientError as error:
                log.warning("old_calls_kept", reason=str(error))
            await pause(_TIDY_EVERY_S, progress)

    async def tidy(self, progress: Progress = lambda: None) -> None:
        now = self._clock()
        before: dict[Kept, datetime] = {
            "calls": now - KEPT_FOR,
            "posts": now - KEPT_FOR,
            "tokens": now - TOKENS_KEPT_FOR,
        }
        for what, moment in before.items():
            while await self._rows.forget(what, moment, _BATCH) == _BATCH:
                progress()
