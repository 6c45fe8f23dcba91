"""A gate: many are inside at once, or it is closed and whoever closed it is alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType

from runtime.waiting import Progress, turn


class Gate:
    """Nobody waits on the way out, so whoever is cancelled inside or at the gate keeps nobody else waiting."""

    def __init__(self) -> None:
        self._inside = 0
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._one_closes = asyncio.Lock()

    async def __aenter__(self) -> None:
        """Be inside; waits while the gate is closed. Not to be entered again from inside."""
        while not self._open.is_set():  # it may have been closed once more before this one had its turn
            await self._open.wait()
        self._inside += 1
        self._empty.clear()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    @asynccontextmanager
    async def closed(self, progress: Progress = lambda: None) -> AsyncGenerator[None]:
        """Let nobody in, wait until everybody is out, and be alone. One at a time: to wait for that is progress."""
        async with turn(self._one_closes, progress):
            self._open.clear()
            try:
                await self._empty.wait()
                yield
            finally:
                self._open.set()
