"""Asks the providers for prices of what is tracked: what nobody else has said lately, the most overdue first.

The feed's ticks say no liquidity, so what is near a rung is asked for even while it ticks: without liquidity no rung
counts as reached. A time in which nobody looked is closed by candles where the budget reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Final, Protocol

from domain.prices.readings import High, PriceReading, TokenRef
from domain.tracking.confirmation import POSITION_USD
from domain.tracking.polling import LIVE_S, NEAR_S, Pace, PollPlanner, pace_of
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress, elapse
from services.tracking.book import CHUNKS, SOURCES, Book, address_of
from services.tracking.chains import Chains
from services.tracking.tracking import TrackingService

EVERY_S: Final = 1.0
FEED: Final = SOURCES.index("feed")
LIQUIDITY_FRESH_S: Final = 300.0
"""Half of what a rung needs, so that the next answer comes in time."""
GAPS_AT_ONCE: Final = 2
MAX_GAPS: Final = 2_000


class Room(Protocol):
    @property
    def tokens(self) -> int: ...


class Sources(Protocol):
    """`services.providers.price_sources.PriceSources` in the running bot."""

    def room(self) -> Room: ...
    async def read(self, tokens: Sequence[TokenRef]) -> list[PriceReading]: ...
    async def high(self, token: TokenRef, pool: str, since: datetime, until: datetime) -> High | None: ...


class Others(Protocol):
    """Who wants prices of tokens that need not be tracked."""

    def due(self, now: float, room: int, /) -> Sequence[str]:
        """Addresses to be asked for now, at most so many; they count as asked."""
        ...

    def hear(self, reading: PriceReading, /) -> None:
        """Told of every price that was asked for."""
        ...


class PricesService:
    def __init__(
        self,
        *,
        tracking: TrackingService,
        sources: Sources | None,
        chains: Chains,
        per_s: float,
        clock: Callable[[], datetime],
    ) -> None:
        """`per_s`: how many tokens the sources together may be asked about in a second."""
        self._tracking = tracking
        self._sources = sources
        self._chains = chains
        self._per_s = per_s
        self._clock = clock
        self._book: Book | None = None
        self._planner: PollPlanner | None = None
        self._chunk = 0
        self.others: Others | None = None
        self._gaps: dict[str, str] = {}
        """By address: the pool that candles are asked of."""
        self.asked = 0
        self.read = 0
        self.gaps_closed = 0

    @property
    def stretch(self) -> float:
        """By which factor prices are older than they should be, for want of budget; 1 if it suffices."""
        return self._planner.stretch if self._planner else 1.0

    async def run(self, progress: Progress) -> None:
        """Ask for ever, where there is somebody to ask and something is tracked here."""
        while True:
            stop_if_cancelled()
            progress()
            if self._sources is not None and self._tracking.book is not None:
                await self.poll(self._tracking.book, self._sources)
            await elapse(EVERY_S, progress)

    async def poll(self, book: Book, sources: Sources) -> int:
        """Ask once for as many as there is room for; returns how many prices came."""
        planner, now = self._planned(book), self._clock().timestamp()
        room = sources.room().tokens
        others = self.others.due(now, room) if self.others else ()
        planned = planner.plan(now, max(0, room - len(others)))
        fresh = [token for token in planned if self._is_fresh(book, token, now)]
        planner.answered(fresh, now)
        wanted: dict[str, list[int]] = {address: [] for address in others}
        for token in set(planned).difference(fresh):
            wanted.setdefault(address_of(book.tracker.address_of(token)), []).append(token)
        if wanted:
            await self._ask(book, sources, wanted)
        await self._close_gaps(book, sources)
        return len(wanted)

    async def _ask(self, book: Book, sources: Sources, wanted: Mapping[str, list[int]]) -> None:
        self.asked += len(wanted)
        readings = self._chains.of_one_chain(await sources.read(await self._chains.refs(wanted)))
        if self._tracking.book is not book:
            return  # another process tracks by now
        self._take(book, readings)
        self.read += len(readings)
        self._tracking.look()
        answered = {reading.token.address for reading in readings}
        unanswered = (tokens for address, tokens in wanted.items() if address not in answered)
        if self._planner is not None:
            self._planner.failed(chain.from_iterable(unanswered))

    def _planned(self, book: Book) -> PollPlanner:
        """The planner, with what has opened, closed or come near a rung since."""
        if self._planner is None or self._book is not book:
            self._book, self._planner = book, PollPlanner(self._per_s)
            book.opened = [book.tracker.number_of(key) for key in book.tracker.addresses]
        planner, now = self._planner, self._clock().timestamp()
        self._chunk = (self._chunk + 1) % CHUNKS
        for token in book.closed:
            planner.remove(token)
        some = [book.tracker.number_of(key) for key in book.keys[self._chunk]]
        for token in {*book.opened, *some, *book.tracker.uncertain}:
            if book.tracker.address_of(token):
                planner.put(token, _pace(book, token), now)
        book.opened, book.closed = [], []
        return planner

    def _is_fresh(self, book: Book, token: int, now: float) -> bool:
        """Whether the feed has said all that is needed."""
        if book.tracker.is_doubted(token, FEED):
            return False
        floats = book.tracker.columns.floats
        age, is_near = now - floats["at"][token], _pace(book, token) == "near"
        if age > (NEAR_S if is_near else LIVE_S / 2):
            return False
        return not is_near or now - floats["liquidity_at"][token] <= LIQUIDITY_FRESH_S

    def _take(self, book: Book, readings: Sequence[PriceReading]) -> None:
        if self.others is not None:
            for reading in readings:
                self.others.hear(reading)
        book.take_readings(readings)
        for reading in readings:
            address = reading.token.address
            if reading.pool is None or address not in book.tracker:
                continue
            gap = book.tracker.state(book.tracker.number_of(address)).gap
            if gap is not None and len(self._gaps) < MAX_GAPS:
                self._gaps.setdefault(address, reading.pool)

    async def _close_gaps(self, book: Book, sources: Sources) -> None:
        for address in list(self._gaps)[:GAPS_AT_ONCE]:
            pool = self._gaps.pop(address)
            if address not in book.tracker:
                continue
            gap = book.tracker.state(book.tracker.number_of(address)).gap
            if gap is None:
                continue
            since, until = (datetime.fromtimestamp(at, UTC) for at in gap)
            high = await sources.high(self._chains.ref(address), pool, since, until)
            if high is None or self._tracking.book is not book:
                continue
            # A candle in which less was traded is a wick, and closes nothing.
            if high.volume_usd is None or high.volume_usd >= POSITION_USD:
                book.close_gap(address, high.price_usd, high.at.timestamp())
                self.gaps_closed += 1
                self._tracking.look()


def _pace(book: Book, token: int) -> Pace:
    if book.tracker.is_uncertain(token):
        return "near"
    return pace_of(book.tracker.columns.floats["price"][token], book.tracker.next_up(token), dead=False)
