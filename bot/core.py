"""TokenFilterBot: the stream's way from frame to alert, and the lifetime of every job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from bot.supervision import Job, Progress, Pulse, notify_systemd, supervise
from domain.calls import Call
from domain.errors import TransientError
from handlers.base import BotBase, Services
from managers.cancellation import end
from managers.jupiter import SolPrice
from managers.sources.base import Source
from managers.telegram import TelegramManager
from managers.websocket import WebSocketManager
from services.decisions import DecisionsService
from services.delivery import DeliveryService
from services.digests import DigestsService
from services.history import HistoryStore
from services.journal import Journal
from services.late import LateService
from services.monitoring import MonitoringService
from services.outbox import FeedCursor, Outbox
from services.persistence import persistently
from services.tokens import TokensService

log = structlog.get_logger(__name__)

QUEUE_SIZE = 10_000
LARGEST_BATCH = 256
IDLE_S = 5.0
"""A loop with nothing to do says so this often; the watchdog counts it as progress."""
STUCK_AFTER_S = 150.0
WATCHDOG_EVERY_S = 5.0
SOL_PRICE_EVERY_S = 30.0
TICKS_EVERY_S = 1.0
LOADING_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What carries calls; the conversation's collaborators are in `Services`."""

    telegram: TelegramManager
    source: Source
    outbox: Outbox
    decisions: DecisionsService
    delivery: DeliveryService
    tokens: TokensService
    late: LateService
    digests: DigestsService
    journal: Journal
    history: HistoryStore
    monitoring: MonitoringService
    sol_price: SolPrice | None
    """Only a feed that counts in SOL needs it."""
    notify_socket: str | None
    say: Callable[[str], None]
    """Tell whoever sits at the terminal."""


class TokenFilterBot(BotBase):
    def __init__(self, services: Services, engine: Engine) -> None:
        self.services = services
        self.engine = engine
        self.token_queue: asyncio.Queue[Call] = asyncio.Queue(QUEUE_SIZE)
        self.feed = WebSocketManager(source=engine.source, emit=self._take_in, resume_cursor=lambda: self._cursor)
        self.pulse = Pulse()
        self._cursor: int | None = None
        self.is_loaded = False
        """Whether every subscriber is in the matcher."""
        self._decided_early: list[Call] = []
        """Calls decided before everybody was loaded: they are decided again for those who came later."""
        self._cursor_is_held = True
        """Until then the feed's stored cursor stays where it was: a kill fetches those calls again."""

    async def run(self, stop: asyncio.Event, *, polling: bool, drain_s: float) -> None:
        """Work until `stop`, then stop the intake, finish what is in flight within `drain_s`, and return."""
        engine = self.engine
        self._cursor = await persistently(lambda: engine.outbox.cursor(engine.source.name))
        async with asyncio.TaskGroup() as group:
            feed = group.create_task(supervise("feed", self._run_feed, self.pulse), name="feed")
            journal = group.create_task(supervise("journal", self._run_journal, self.pulse), name="journal")
            tasks = [
                group.create_task(supervise(name, job, self.pulse), name=name)
                for name, job in self._working_jobs().items()
            ]
            if polling:
                tasks.append(group.create_task(supervise("updates", self._poll, self.pulse), name="updates"))
            tasks.append(group.create_task(self._load(), name="load"))
            tasks.append(group.create_task(self._watch(list(self._working_jobs())), name="watchdog"))
            await stop.wait()
            notify_systemd("STOPPING=1", engine.notify_socket)
            await end([feed])
            await self._drain(drain_s)
            await end([journal, *tasks])

    def _working_jobs(self) -> dict[str, Job]:
        engine = self.engine
        jobs: dict[str, Job] = {
            "decide": self._decide,
            "deliver": engine.delivery.run,
            "monitor": engine.monitoring.run,
            "late": engine.late.run,
            "digests": engine.digests.run,
            "prune": engine.history.run,
            "ticks": self._take_ticks,
        }
        if engine.sol_price:
            jobs["sol price"] = partial(self._refresh, engine.sol_price)
        return jobs

    async def _take_in(self, call: Call) -> None:
        """Queue a call. A full queue makes the feed wait, and with it the socket: nothing is dropped."""
        await self.token_queue.put(call)
        self._cursor = call.cursor or self._cursor

    async def _load(self) -> None:
        """Load all subscribers while the calls already flow; nobody misses one because he was loaded late."""
        started_at = time.monotonic()
        await self.engine.tokens.restore()
        total = await persistently(partial(self.services.users.load, self.engine.say))
        self.engine.say(f"{total:,} subscribers loaded after {time.monotonic() - started_at:.1f} s.")
        self.is_loaded = True
        while self._decided_early:
            batch = self._decided_early[:LARGEST_BATCH]
            del self._decided_early[:LARGEST_BATCH]
            await self._settle(batch, None)
        self._cursor_is_held = False

    async def _run_feed(self, _progress: Progress) -> None:
        await self.feed.run()

    async def _run_journal(self, _progress: Progress) -> None:
        await self.engine.journal.run()

    async def _poll(self, _progress: Progress) -> None:
        await self.engine.telegram.poll()

    async def _decide(self, progress: Progress) -> None:
        """Take what has queued up as one batch, decide it, claim it; a batch is never left half done."""
        while True:
            progress()
            if not self.is_loaded and len(self._decided_early) >= QUEUE_SIZE:
                await asyncio.sleep(LOADING_LOOK_S)  # the queue fills, the socket waits, no call is dropped
                continue
            try:
                async with asyncio.timeout(IDLE_S):
                    batch = [await self.token_queue.get()]
            except TimeoutError:
                continue
            while len(batch) < LARGEST_BATCH and not self.token_queue.empty():
                batch.append(self.token_queue.get_nowait())
            if not self.is_loaded:
                self._decided_early.extend(batch)
            await self._settle(batch, None if self._cursor_is_held else self._cursor_of(batch))
            for _ in batch:
                self.token_queue.task_done()

    async def _settle(self, batch: list[Call], cursor: FeedCursor | None) -> None:
        requests = await self.engine.decisions.decide(batch)
        await persistently(partial(self.engine.decisions.claim, requests, cursor))

    async def _take_ticks(self, progress: Progress) -> None:
        while True:
            progress()
            self.engine.tokens.take_in(self.feed.take_ticks())
            await asyncio.sleep(TICKS_EVERY_S)

    def _cursor_of(self, batch: list[Call]) -> FeedCursor | None:
        positions = [call.cursor for call in batch if call.cursor is not None]
        return FeedCursor(source=self.engine.source.name, position=max(positions)) if positions else None

    async def _refresh(self, sol_price: SolPrice, progress: Progress) -> None:
        while True:
            progress()
            try:
                await sol_price.refresh()
            except TransientError as error:
                log.warning("sol_price_unavailable", reason=str(error))
            await asyncio.sleep(SOL_PRICE_EVERY_S)

    async def _drain(self, drain_s: float) -> None:
        try:
            async with asyncio.timeout(drain_s):
                await self.token_queue.join()
                await self.engine.delivery.drained()
        except TimeoutError:
            log.warning("drain_timed_out", queued=self.token_queue.qsize(), held=self.engine.delivery.held)

    async def _watch(self, names: list[str]) -> None:
        """Tell systemd that the bot lives as long as every loop moves."""
        notify_systemd("READY=1", self.engine.notify_socket)
        while True:
            ages_s = self.pulse.ages_s()
            stuck = [name for name in names if ages_s.get(name, 0.0) > STUCK_AFTER_S]
            if stuck:
                log.error("jobs_stuck", jobs=stuck)
            else:
                notify_systemd("WATCHDOG=1", self.engine.notify_socket)
            await asyncio.sleep(WATCHDOG_EVERY_S)
