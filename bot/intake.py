"""The stream's way in: from the feed into the queue, and from there to a decision or to those who decide."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

import structlog

from domain.calls.events import Call
from managers.feed.sources.base import Source
from managers.feed.websocket import WebSocketManager
from runtime.fault_points import fault_point
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.supervision import Progress
from runtime.waiting import REPORT_EVERY_S
from services.calls.call_stream import CallStream
from services.calls.decisions import DecisionsService
from services.claims.outbox import ClaimRequest, FeedCursor, Outbox
from services.cluster.fencing import LeaseLostError
from services.cluster.leases import Leases
from services.cluster.ownership import Ownership

log = structlog.get_logger(__name__)

T = TypeVar("T")

QUEUE_SIZE: Final = 10_000
MAX_BATCH: Final = 128
MAX_UNCLAIMED: Final = 384
"""Calls: with more than these decided and not yet claimed, the next ones wait in the queue. Three batches: one is on
its way to Redis and one lies ready for the next claim while one is decided; with fewer, each waits for the other."""
GARBAGE_THRESHOLDS: Final = (10_000, 20, 20)
"""Hardly anything here is a cycle; looking for one as often as Python does by default takes a tenth of the time."""
LOADING_POLL_S: Final = 0.1
LEASE: Final = "ingest"
"""Who holds it reads the feed."""


class _DecidedBatch(NamedTuple):
    calls: int
    requests: list[ClaimRequest]
    cursor: FeedCursor | None


class Intake:
    def __init__(
        self,
        *,
        source: Source,
        outbox: Outbox,
        decisions: DecisionsService,
        calls: CallStream,
        leases: Leases,
        ownership: Ownership,
        rests: Callable[[], bool] = lambda: False,
        polls: bool = True,
    ) -> None:
        """`rests`: whether calls are taken in and not decided. `polls`: as `WebSocketManager` has it."""
        self._source = source
        self._rests = rests
        self._outbox = outbox
        self._decisions = decisions
        self._calls = calls
        self._leases = leases
        self._ownership = ownership
        self.token_queue: asyncio.Queue[Call] = asyncio.Queue(QUEUE_SIZE)
        self.feed = WebSocketManager(source=source, emit=self.take_in, resume_cursor=lambda: self._cursor, polls=polls)
        self._cursor: int | None = None
        self._decided: deque[_DecidedBatch] = deque()
        """Not yet claimed, oldest first."""
        self._unclaimed = 0
        """Calls in these."""
        self._in_hand = 0
        """Calls that were taken from the queue, and are being decided or handed on."""
        self._awaits_calls = False
        self._news = asyncio.Event()
        self._claimed = asyncio.Event()
        self._decided_early: list[Call] = []
        """Calls decided before everybody was loaded: they are decided again for those who came later."""
        self._cursor_is_held = True
        """Until then the feed's stored cursor stays where it was: a kill fetches those calls again."""

    async def run_feed(self, progress: Progress) -> None:
        """Read the feed from where it was left, until cancelled."""
        stored = await retry_until_done(partial(self._outbox.cursor, self._source.name), progress)
        self._cursor = stored if self._cursor is None or (stored or 0) > self._cursor else self._cursor
        await self.feed.run(progress)

    async def take_in(self, call: Call) -> None:
        """Queue a call. A full queue makes the feed wait, and with it the socket: nothing is dropped."""
        await self.token_queue.put(call)
        fault_point("received")
        self._cursor = call.cursor or self._cursor

    def _note_decided(self, batch: list[Call], requests: list[ClaimRequest]) -> None:
        cursor = None if self._cursor_is_held else self._cursor_of(batch)
        self._decided.append(_DecidedBatch(len(batch), requests, cursor))
        self._unclaimed, self._in_hand = self._unclaimed + len(batch), 0
        self._news.set()

    async def drained(self) -> None:
        """Return when everything that was taken in is claimed, or handed on.

        While it rests, at once: a feed with a past brings it again, since the stored cursor did not move.
        """
        if not self._rests():
            await self.token_queue.join()

    @property
    def undecided(self) -> int:
        """Calls that were taken in and are not claimed yet, nor handed on."""
        return self.token_queue.qsize() + self._in_hand + self._unclaimed

    async def decide(self, progress: Progress) -> None:
        """Decide what has queued up, batch by batch, and claim it meanwhile, in the same order."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._decide_queued(progress), name="decide queued calls")
            jobs.create_task(self._claim_decided(progress), name="claim decided calls")
            jobs.create_task(self._say_idle(progress), name="say that no call came")

    async def _say_idle(self, progress: Progress) -> None:
        """Nothing to do is no standstill. A time-out of every wait for a call would cost more than the wait."""
        while True:
            if self._awaits_calls and not self._decided:
                progress()
            await asyncio.sleep(pace.seconds(REPORT_EVERY_S))

    async def _decide_queued(self, progress: Progress) -> None:
        while True:
            if not self._decided:
                progress()  # as long as something is to be claimed, it is the claim that has to move
            if not self._ownership.is_loaded and len(self._decided_early) >= QUEUE_SIZE:
                await asyncio.sleep(LOADING_POLL_S)  # the queue fills, the socket waits, no call is dropped
                continue
            batch = await self._next_batch()
            while self._rests():
                progress()
                await asyncio.sleep(LOADING_POLL_S)
            if not self._ownership.is_loaded:
                self._decided_early.extend(batch)
            self._note_decided(batch, await self._decisions.decide(batch))
            while self._unclaimed > MAX_UNCLAIMED:
                self._claimed.clear()
                await self._claimed.wait()

    async def _claim_decided(self, progress: Progress) -> None:
        """Claim everything that was decided while the claim before was on its way in one round trip.

        What is decided stays in line until it is claimed: a claim that fails holds up those behind it.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            while batches := tuple(self._decided):
                requests = [request for batch in batches for request in batch.requests]
                cursors = [batch.cursor for batch in batches if batch.cursor]
                cursor = max(cursors, key=lambda cursor: cursor.position, default=None)
                await while_leading(partial(self._decisions.claim, requests, cursor), progress)
                for batch in batches:
                    self._forget_first(batch)
                self._claimed.set()

    def _forget_first(self, batch: _DecidedBatch) -> None:
        self._decided.popleft()
        self._unclaimed -= batch.calls
        for _ in range(batch.calls):
            self.token_queue.task_done()

    async def publish(self, progress: Progress) -> None:
        """Hand on what has queued up, enriched, to those who decide."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._publish_queued(progress), name="publish queued calls")
            jobs.create_task(self._say_idle(progress), name="say that no call came")

    async def _publish_queued(self, progress: Progress) -> None:
        while True:
            progress()
            batch = await self._next_batch()
            calls = await self._decisions.enrich(batch)
            cursor = self._cursor_of(batch)
            fences = partial(self._leases.fences, [LEASE])
            publish = partial(self._calls.publish, calls, cursor, fences, progress)
            try:
                await retry_until_done(publish, progress)
            except LeaseLostError as error:
                # Whoever has the feed now fetches these again, and what is queued: the stored cursor did not move.
                log.warning("calls_left_to_others", calls=len(batch), reason=str(error))
                self._forget_queued()
            for _ in batch:
                self.token_queue.task_done()
            self._in_hand = 0

    def _forget_queued(self) -> None:
        self._cursor = None
        while not self.token_queue.empty():
            self.token_queue.get_nowait()
            self.token_queue.task_done()

    async def loaded(self, progress: Progress = lambda: None) -> None:
        """Everybody is in the matcher: decide again, for those who came later, what was decided meanwhile."""
        self._ownership.is_loaded = True
        while self._decided_early:
            batch = self._decided_early[:MAX_BATCH]
            del self._decided_early[:MAX_BATCH]
            requests = await self._decisions.decide_again(batch)
            await while_leading(partial(self._decisions.claim, requests), progress)
        self._cursor_is_held = False
        # What is in memory now stays there; walking over it again and again, the garbage collector would stop the bot
        # for up to a third of a second each time.
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)

    async def _next_batch(self) -> list[Call]:
        if not self.token_queue.empty():
            await asyncio.sleep(0)  # there may always be more: let others have a turn
        self._awaits_calls = True
        try:
            batch = [await self.token_queue.get()]
        finally:
            self._awaits_calls = False
        while len(batch) < MAX_BATCH and not self.token_queue.empty():
            batch.append(self.token_queue.get_nowait())
        self._in_hand = len(batch)
        return batch

    def _cursor_of(self, batch: list[Call]) -> FeedCursor | None:
        positions = [call.cursor for call in batch if call.cursor is not None]
        return FeedCursor(source=self._source.name, position=max(positions)) if positions else None


async def while_leading(operation: Callable[[], Awaitable[T]], progress: Progress) -> T:
    """Do it persistently; where a lease is in doubt, wait until it is held again (or the process ends)."""
    while True:
        try:
            return await retry_until_done(operation, progress)
        except LeaseLostError as error:
            log.warning("lease_in_doubt", reason=str(error))
            progress()
            await asyncio.sleep(LOADING_POLL_S)
