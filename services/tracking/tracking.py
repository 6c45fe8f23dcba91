"""Follows every call: calls from PostgreSQL, prices from the feed and from providers; writes down what was reached.

One process does it, under the lease `track`. What it knows is in memory, and in parts in PostgreSQL; a rung that was
reached is a row before anybody is told. Nothing of it is lost or told twice, wherever it is killed: the parts are
older than the rows, so they are made to know what the rows say, and calls after a part are read again. Prices that
nobody took down are gone: what was reached meanwhile is found by the next price, and is late.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from domain.calls.events import PriceTick
from domain.tracking import snapshot
from domain.tracking.snapshot import UnreadableSnapshotError
from domain.tracking.standing import TokenState
from runtime.cancellation import stop_if_cancelled
from runtime.counted import counted
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, passed_s, pause, waits_s
from services.monitoring.health import PartHealth
from services.tracking.book import CHUNKS, Book, key_of
from services.tracking.endings import Endings
from services.tracking.entries import Entries
from services.tracking.rises import Rises
from services.tracking.rows import TrackingRows
from services.tracking.snapshots import Part, Snapshots, packed

log = structlog.get_logger(__name__)

ROUND_S: Final = 1.0
SNAPSHOTS_EVERY_S: Final = 300.0
"""So long until every part was written once."""
CALLS_AT_ONCE: Final = 200_000
"""So many are dumped without a pause."""
EMPTY_AGAIN_S: Final = 3_600.0
RETRY_S: Final = 2.0
BEHIND_AFTER_S: Final = 60.0
MISSED: Final = 30
"""So many seconds' ticks are kept by who does not track: longer than a lease lasts that nobody renews."""
_PAGE: Final = 1_000
_FIRST_LOOK_BACK: Final = timedelta(hours=1)
"""Where nothing was tracked before, older calls are history: nobody is told now what they did."""
_OVERLAP: Final = timedelta(minutes=5)
"""Clocks of two processes may differ by so much."""


class TrackingService:
    def __init__(
        self,
        *,
        rows: TrackingRows,
        snapshots: Snapshots,
        endings: Endings,
        tracked_for: timedelta,
        clock: Callable[[], datetime],
        written: Callable[[], None] = lambda: None,
        entries: Entries | None = None,
        rises: Rises | None = None,
    ) -> None:
        """`written`: told when there are new rows of milestones."""
        self._entries = entries
        self._rises = rises
        self._rows = rows
        self._snapshots = snapshots
        self._endings = endings
        self._tracked_for = tracked_for
        self._clock = clock
        self._written = written
        self._wake = asyncio.Event()
        self._one_round = asyncio.Lock()
        self._database: object = None
        self._next_chunk = 0
        self._swept_at: dict[int, datetime] = {}
        self._next_part_due: float | None = None
        self._put_empty_at: dict[int, float] = {}
        self._caught_up_at = time.monotonic()
        self._missed: deque[Mapping[str, PriceTick]] = deque(maxlen=MISSED)
        self.ticks = 0
        """Prices that the feed has said since the start, of whatever token."""
        self.rungs = 0
        """That were written down since the start."""
        self.book: Book | None = None
        """What is tracked here; `None` while another process does it."""

    @property
    def behind_s(self) -> float:
        """For how long calls or rungs wait to be taken in or written down."""
        return 0.0 if self.book is None else time.monotonic() - self._caught_up_at

    @property
    def keys(self) -> Sequence[str]:
        """Of the tokens that are followed here."""
        return self.book.tracker.addresses if self.book else ()

    @property
    def calls(self) -> int:
        return self.book.tracker.count if self.book else 0

    @property
    def updates(self) -> int:
        return self.book.updates if self.book else 0

    @property
    def untracked(self) -> int:
        return self.book.untracked if self.book else 0

    @property
    def parts_due(self) -> int:
        """Parts whose turn to be looked at and written down has come."""
        if self.book is None or self._next_part_due is None:
            return 0
        overdue_s = passed_s() - self._next_part_due
        return 0 if overdue_s < 0 else min(CHUNKS, 1 + int(overdue_s / (SNAPSHOTS_EVERY_S / CHUNKS)))

    @property
    def unwritten(self) -> int:
        return len(self.book.unwritten) if self.book else 0

    @property
    def is_here(self) -> bool:
        """Whether this process follows prices."""
        return self.book is not None

    def state_of(self, address: str) -> TokenState | None:
        """How a token stands whose price is followed here."""
        if self.book is None or address not in self.book.tracker:
            return None
        return self.book.tracker.state(self.book.tracker.number_of(address))

    def refused(self) -> dict[str, float]:
        """How many prices counted for nothing, by why."""
        return asdict(self.book.tracker.refused) if self.book else {}

    def price_ages_s(self) -> npt.NDArray[np.float64]:
        """Of every token that is followed here."""
        if self.book is None:
            return np.empty(0)
        tracker = self.book.tracker
        numbers = np.fromiter((tracker.number_of(key) for key in tracker.addresses), dtype=np.intp)
        return self._clock().timestamp() - tracker.columns.view("at")[numbers]

    async def health(self) -> PartHealth:
        """Always well: alerts go out without it, so what is wrong is told and no reason to restart us."""
        if self.book is None:
            detail = "another process does it, or it has not begun"
        else:
            detail = f"{counted(len(self.keys), 'token')}, {counted(self.calls, 'call')}; "
            detail += f"{counted(self.unwritten, 'rung')} to be written down"
            detail += f"; behind for {self.behind_s:,.0f} s" if self.behind_s > BEHIND_AFTER_S else ""
        return PartHealth(name="tracking", ok=True, detail=detail)

    def take_in(self, ticks: Mapping[str, PriceTick]) -> None:
        """Prices of the feed; a process that does not track keeps the latest, for when it does."""
        self.ticks += len(ticks)
        if self.book is None:
            self._missed.append(ticks)
            return
        self.book.take_in(ticks)
        self.look()

    def look(self) -> None:
        """Prices were taken in: write down at once what was reached."""
        if self.book is not None and self.book.unwritten:
            self._wake.set()

    async def run(self, progress: Progress) -> None:
        """Track for ever; what is in memory is given up with the lease."""
        book = await self.take_over(progress)
        try:
            while True:
                stop_if_cancelled()
                progress()
                try:
                    await self.round(progress)
                    self._caught_up_at = time.monotonic()
                except TransientError as error:
                    stop_if_cancelled()
                    log.warning("tracking_delayed", reason=str(error), unwritten=len(book.unwritten))
                    await pause(RETRY_S, progress)
                await self._rest()
        finally:
            self.book = None

    async def take_over(self, progress: Progress = lambda: None) -> Book:
        """Go on where the last one who tracked was."""
        self._database = await self._rows.database()
        book = await self._restored(progress)
        self.book, self._caught_up_at = book, time.monotonic()
        while self._missed:
            book.take_in(self._missed.popleft())
        return book

    async def round(self, progress: Progress = lambda: None) -> None:
        """Take in what there is, write down what was reached, and write a part when it is due."""
        async with self._one_round:
            if self.book is None:
                return
            if await self._rows.database() != self._database:
                log.warning("tracking_begun_again", reason="PostgreSQL was filled again: calls have other numbers")
                await self.take_over(progress)
            book = self.book
            await self._write(book)
            await self._take_in_calls(book, progress)
            await self._write(book)
            if self._entries is not None:
                await self._entries.note(book)
            if self._rises is not None:
                await self._rises.note(book)
            await self._due_parts(book)

    async def sweep(self, parts: int = CHUNKS) -> None:
        """Look at so many parts at once; all of them else takes `SNAPSHOTS_EVERY_S`."""
        async with self._one_round:
            for _ in range(parts):
                if self.book is not None:
                    await self._next_parts(self.book, 1)

    async def _due_parts(self, book: Book) -> None:
        """Look at the parts whose turn has come: one in a while, after a long round several, none of them twice."""
        now_s, every_s = passed_s(), SNAPSHOTS_EVERY_S / CHUNKS
        due = now_s if self._next_part_due is None else self._next_part_due
        self._next_part_due = due = max(due, now_s - SNAPSHOTS_EVERY_S + every_s)
        while due <= now_s:
            parts = min(_at_once(book), 1 + int((now_s - due) / every_s))
            await self._next_parts(book, parts)
            self._next_part_due = due = due + parts * every_s

    async def _next_parts(self, book: Book, parts: int) -> None:
        chunks = [(self._next_chunk + place) % CHUNKS for place in range(parts)]
        for chunk in chunks:
            self._next_chunk = (chunk + 1) % CHUNKS
            await self._sweep(book, chunk)
        await self._put(book, [chunk for chunk in chunks if not self._stands_empty(book, chunk)])

    def _stands_empty(self, book: Book, chunk: int) -> bool:
        """Whether nothing is in it and that is written down; now and then it is again, lest many calls be read anew."""
        put_at = self._put_empty_at.get(chunk)
        return not book.keys[chunk] and put_at is not None and passed_s() - put_at < EMPTY_AGAIN_S

    async def drained(self) -> None:
        """Write down everything: whoever goes on has nothing to find out again."""
        try:
            await self.round()
            async with self._one_round:
                if self.book is not None:
                    await self._put_all(self.book)
        except TransientError as error:
            stop_if_cancelled()
            log.warning("tracking_not_written", reason=str(error))

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(waits_s(ROUND_S)):
                await self._wake.wait()
        except TimeoutError:
            stop_if_cancelled()
        self._wake.clear()

    async def _take_in_calls(self, book: Book, progress: Progress) -> None:
        while True:
            progress()
            calls = await self._rows.calls(book.next_number, _PAGE)
            if calls:
                now = self._clock()
                opens = book.opens(calls, (now - self._tracked_for).timestamp())
                await self._rows.open([(call.number, measure) for call, measure in opens], now)
                for call, measure in opens:
                    try:
                        book.add(call, measure)
                    except ValueError as error:
                        log.warning("call_not_tracked", number=call.number, reason=str(error))
                book.next_number = calls[-1].number + 1
            if len(calls) < _PAGE:
                return
            await self._write(book)

    async def _write(self, book: Book) -> None:
        while rows := book.unwritten[:_PAGE]:
            fault_point("crossed")
            await self._rows.reached(rows, self._clock())
            del book.unwritten[: len(rows)]
            self.rungs += len(rows)
            fault_point("reached")
            self._written()

    async def _sweep(self, book: Book, chunk: int) -> None:
        """Take down returns that are due, and let calls end: in PostgreSQL first, then in memory."""
        now = self._clock()
        await self._endings.sweep(book, chunk, since=self._swept_at.get(chunk), now=now)
        self._swept_at[chunk] = now

    async def _put(self, book: Book, chunks: Sequence[int]) -> None:
        if not chunks:
            return
        await self._write(book)
        # Nothing is awaited from here until all are dumped, so all that they know to be reached is written down.
        data = [snapshot.dump(book.tracker, sorted(book.keys[chunk])) for chunk in chunks]
        empty = [chunk for chunk in chunks if not book.keys[chunk]]
        next_number, now = book.next_number, self._clock()
        some = await asyncio.to_thread(lambda: [packed(one) for one in data])
        await self._snapshots.put(
            [
                Part(chunk=chunk, next_number=next_number, taken_at=now, packed=part)
                for chunk, part in zip(chunks, some, strict=True)
            ]
        )
        for chunk in chunks:
            self._put_empty_at.pop(chunk, None)
        self._put_empty_at |= dict.fromkeys(empty, passed_s())
        fault_point("snapshot")

    async def _put_all(self, book: Book) -> None:
        parts = _at_once(book)
        for start in range(0, CHUNKS, parts):
            await self._put(book, range(start, min(CHUNKS, start + parts)))

    async def _restored(self, progress: Progress) -> Book:
        book, now = Book(now=lambda: self._clock().timestamp()), self._clock()
        parts = await self._snapshots.all(CHUNKS)
        self._swept_at = {part.chunk: part.taken_at for part in parts}
        for part in parts:
            progress()
            await asyncio.sleep(0)
            try:
                keys = snapshot.restore(book.tracker, part.data)
            except (UnreadableSnapshotError, zlib.error) as error:
                log.warning("snapshot_unreadable", chunk=part.chunk, reason=str(error))
                continue
            book.resumed(part.chunk, keys, part.next_number)
        book.next_number = await self._first_number(parts, now)
        oldest = min((part.taken_at for part in parts), default=now)
        log.info("tracking_restored", tokens=len(book.tracker), calls=book.tracker.count, from_call=book.next_number)
        await self._take_in_calls(book, progress)
        for one in await self._rows.reached_since(oldest - _OVERLAP):
            book.mark(one)
        for ended in await self._rows.ended_since(oldest - _OVERLAP):
            key = key_of(ended.address, ended.measure)
            if key in book.tracker:
                book.forget(key, ended.numbers)
        if not parts:
            await self._put_all(book)
        return book

    async def _first_number(self, parts: list[Part], now: datetime) -> int:
        """From where calls are read: from the oldest part on; without any, some that are still news."""
        known = {part.chunk for part in parts}
        if not known:
            return await self._rows.first_number_since(now - _FIRST_LOOK_BACK)
        if len(known) < CHUNKS:
            return await self._rows.first_number_since(now - self._tracked_for)
        return min(part.next_number for part in parts)


def _at_once(book: Book) -> int:
    """How many parts may be written down together."""
    return max(1, min(CHUNKS, CALLS_AT_ONCE * CHUNKS // max(1, book.tracker.count)))
