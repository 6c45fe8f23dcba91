"""Backtests that people ask for: one at a time, one for each person, a few in the queue.

Whoever asks gets their answer on a screen (`Screen`), which also shows how far it has come. Nothing of it lasts: what
runs or waits when the bot stops is told so, as far as there is time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol
from uuid import uuid4

import structlog
from msgspec import Struct

from domain.backtest.results import BacktestRequest, BacktestResult
from domain.filters.registry import FilterSet
from domain.filters.rules import naming_all
from runtime.errors import BotError, UserFacingError
from runtime.pace import pace
from runtime.waiting import REPORT_EVERY_S, Progress, reporting
from services.backtest.process import Computing, ComputingFailedError, ComputingUnavailableError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_WAITING: Final = 10
SHOWN_EVERY_S: Final = 3.0
TOLD_WITHIN_S: Final = 3.0
Source = Literal["set", "preset"]
Show = Callable[[], Awaitable[None]]


class Asked(Struct, frozen=True, kw_only=True):
    """What somebody wants to have tried, and where they see it."""

    user_id: int
    chat_id: int
    message_id: int
    language: str
    source: Source
    key: str
    """Number of the set, or key of the preset."""
    tried: FilterSet
    active: tuple[FilterSet, ...]
    days: int
    light_pictures: bool
    time_zone: str = "UTC"


class Screen(Protocol):
    """Where a person sees it; each method replaces what stood there. What fails is a `BotError`."""

    async def waiting(self, asked: Asked, run_id: str, ahead: int) -> None: ...
    async def computing(self, asked: Asked, run_id: str, share: float) -> None: ...
    async def finished(self, asked: Asked, result: BacktestResult) -> None: ...
    async def cancelled(self, asked: Asked) -> None: ...
    async def failed(self, asked: Asked, *, passes: bool) -> None: ...
    async def interrupted(self, asked: Asked) -> None: ...


class _Run:
    def __init__(self, asked: Asked) -> None:
        self.id = uuid4().hex[:8]
        self.asked = asked
        self.cancelled = asyncio.Event()
        self.share = 0.0

    def tell(self, share: float) -> None:
        self.share = share


class Backtests:
    def __init__(
        self,
        *,
        computing: Computing,
        screen: Screen,
        archive: Path | None,
        database_url: str,
        clock: Callable[[], datetime],
        ids_of: Callable[[str], Iterable[str]] = lambda channel_id: (channel_id,),
    ) -> None:
        """`ids_of`: all ids by which a channel is known now."""
        self._ids_of = ids_of
        self.computing = computing
        self._screen = screen
        self._archive = archive
        self._database_url = database_url
        self._clock = clock
        self._waiting: deque[_Run] = deque()
        self._current: _Run | None = None
        self._asked = asyncio.Event()
        self.done: dict[str, int] = {}
        """Since the start, by how they ended."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def check(self, user_id: int) -> None:
        """Raise `backtest.busy` for whoever has one already, `backtest.queue_full` where too many wait."""
        if any(run.asked.user_id == user_id for run in self._open()):
            raise UserFacingError("backtest.busy")
        if len(self._waiting) >= MAX_WAITING:
            raise UserFacingError("backtest.queue_full", limit=MAX_WAITING)

    async def ask(self, asked: Asked) -> None:
        """Put it into the queue; raises as `check` does."""
        self.check(asked.user_id)
        run = _Run(asked)
        if ahead := len(self._open()):
            await self._show(partial(self._screen.waiting, asked, run.id, ahead))
        self._waiting.append(run)
        self._asked.set()

    async def cancel(self, user_id: int, run_id: str) -> bool:
        """End one's own; `False` where there is none any more."""
        for run in self._open():
            if run.asked.user_id == user_id and run.id == run_id:
                run.cancelled.set()
                if run in self._waiting:
                    self._waiting.remove(run)
                    await self._end(run, "cancelled", partial(self._screen.cancelled, run.asked))
                return True
        return False

    async def run(self, progress: Progress) -> None:
        """Do one after the other, until cancelled."""
        try:
            while True:
                progress()
                self._asked.clear()
                if self._waiting:
                    self._current = self._waiting.popleft()
                    await self._do(self._current, progress)
                    self._current = None
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(pace.seconds(REPORT_EVERY_S)):
                        await self._asked.wait()
        finally:
            await asyncio.shield(self._say_interrupted())

    def _open(self) -> list[_Run]:
        return [*([self._current] if self._current else []), *self._waiting]

    async def _do(self, run: _Run, progress: Progress) -> None:
        """Whatever goes wrong with one costs that one alone."""
        asked = run.asked
        try:
            result = await self._computed(run, progress)
        except (ComputingFailedError, ComputingUnavailableError) as error:
            log.warning("backtest_failed", user_id=asked.user_id, reason=str(error))
            showing = partial(self._screen.failed, asked, passes=isinstance(error, ComputingUnavailableError))
            await reporting(self._end(run, "failed", showing), progress)
            return
        if result is None:
            await reporting(self._end(run, "cancelled", partial(self._screen.cancelled, asked)), progress)
        else:
            await reporting(self._end(run, "finished", partial(self._screen.finished, asked, result)), progress)

    async def _end(self, run: _Run, outcome: str, show: Show) -> None:
        self.done[outcome] = self.done.get(outcome, 0) + 1
        log.info("backtest_ended", user_id=run.asked.user_id, outcome=outcome)
        await self._show(show)

    async def _computed(self, run: _Run, progress: Progress) -> BacktestResult | None:
        """Return the result, or `None` where it was cancelled."""
        if run.cancelled.is_set():
            return None
        computing = asyncio.ensure_future(self.computing.ask(self._request(run.asked), run.tell))
        cancelled = asyncio.ensure_future(run.cancelled.wait())
        try:
            shown = -1.0
            while not computing.done() and not cancelled.done():
                progress()
                if run.share > shown:
                    shown = run.share
                    showing = self._show(partial(self._screen.computing, run.asked, run.id, shown))
                    await reporting(showing, progress)
                await asyncio.wait({computing, cancelled}, timeout=SHOWN_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if computing.done():
                result = computing.result()
                return result if isinstance(result, BacktestResult) else None
            return None
        finally:
            cancelled.cancel()
            computing.cancel()
            await asyncio.wait({computing, cancelled})

    def _request(self, asked: Asked) -> BacktestRequest:
        now = self._clock()
        return BacktestRequest(
            archive=None if self._archive is None else str(self._archive),
            database_url=self._database_url,
            since=now - timedelta(days=asked.days),
            until=now,
            tried=naming_all(asked.tried, self._ids_of),
            active=tuple(naming_all(one, self._ids_of) for one in asked.active),
        )

    async def _show(self, show: Show) -> None:
        try:
            await show()
        except BotError as error:
            # They deleted the message, blocked the bot, or Telegram is unavailable.
            log.info("backtest_not_shown", reason=str(error))

    async def _say_interrupted(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                for run in self._open():
                    await self._show(partial(self._screen.interrupted, run.asked))
