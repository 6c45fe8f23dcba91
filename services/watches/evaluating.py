"""Holds what people watch against every price that comes in, where prices are followed.

What is watched is in memory; what it has come to is a row before anybody is told. A process that is killed in between
has written down nothing, and whoever goes on finds the same from the next prices.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, Protocol

import structlog

from domain.calls.events import PriceTick
from domain.prices.readings import PriceReading
from domain.tracking.standing import TokenState
from domain.watches.crossing import judge
from domain.watches.evidence import Levels, Reading
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause
from services.watches.memory import Live, Memory, WatchedToken
from services.watches.rows import LATELY_S, Met, Seen, WatchRows
from services.watches.telling import WatchTeller

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
RETRY_S: Final = 2.0
RELOAD_S: Final = 60.0
SEEN_EVERY_S: Final = 5.0
FORGET_EVERY_S: Final = 3_600.0
AHEAD_S: Final = 5.0
"""A price that claims to be from later than this counts as from now."""
_PAGE: Final = 500
_SOURCES: Final = ("feed", "jupiter", "dexscreener", "geckoterminal")


class Tracked(Protocol):
    """`services.tracking.tracking.TrackingService` in the running bot."""

    @property
    def is_here(self) -> bool:
        """Whether this process follows prices."""
        ...

    def state_of(self, address: str, /) -> TokenState | None: ...


class Evaluator:
    def __init__(
        self, *, rows: WatchRows, tracked: Tracked, teller: WatchTeller, clock: Callable[[], datetime]
    ) -> None:
        self._rows = rows
        self._tracked = tracked
        self._teller = teller
        self._clock = clock
        self._wake = asyncio.Event()
        self._events: list[Met | int] = []
        """What is to be written down, in order: it has come to that, or a watch (its id) may be met again."""
        self._bases: list[tuple[int, float]] = []
        self._changed_read_at = self._reloaded_at = self._seen_at = self._forgotten_at = -RELOAD_S - FORGET_EVERY_S
        self.memory = Memory()
        self.met = 0
        """Since the start."""

    @property
    def unwritten(self) -> int:
        return len(self._events)

    # Prices

    def take_in(self, ticks: Mapping[str, PriceTick]) -> None:
        """Prices of the feed, by address."""
        for address in self.memory.tokens.keys() & ticks.keys():
            tick = ticks[address]
            at = self._not_ahead(tick.at)
            self._take(address, Reading(tick.price_usd, at, 0, None, tick.market_cap_usd))

    def hear(self, reading: PriceReading) -> None:
        """A price that was asked for."""
        address = reading.token.address
        token = self.memory.tokens.get(address)
        if token is None:
            return
        source = _SOURCES.index(reading.source) if reading.source in _SOURCES else len(_SOURCES)
        # The feed may have been heard meanwhile, or its clock be a little ahead.
        at = max(self._not_ahead(reading.at), token.evidence.at)
        self._take(address, Reading(reading.price_usd, at, source, reading.liquidity_usd, reading.market_cap_usd))

    def due(self, now: float, room: int) -> Sequence[str]:
        """Watched tokens whose prices are to be asked for now."""
        return self.memory.due(now, room)

    def _not_ahead(self, at: datetime) -> float:
        return min(at.timestamp(), self._clock().timestamp() + AHEAD_S)

    def _take(self, address: str, reading: Reading) -> None:
        token = self.memory.tokens[address]
        state = self._tracked.state_of(address)
        if state is not None and state.liquidity_usd is not None:
            token.evidence.take_liquidity(state.liquidity_usd, state.liquidity_at)
        levels = token.evidence.take(reading)
        token.is_seen = False
        price, is_agreed = token.evidence.price_usd, token.evidence.settled_usd == token.evidence.price_usd
        for live in token.watches:
            if live.base_usd is None and live.condition.subject == "multiple" and is_agreed:
                live.base_usd = price
                self._bases.append((live.id, price))
            self._judge(token, live, levels)
        if self._events:
            self._wake.set()

    def _judge(self, token: WatchedToken, live: Live, levels: Levels) -> None:
        target = live.condition.target_usd(live.base_usd, token.evidence.supply)
        found = None if target is None else judge(live.condition.side, target, levels, armed=live.armed)
        if found is None:
            return
        change, level = found
        live.armed = change == "armed"
        if live.armed:
            self._events.append(live.id)
            return
        supply, gap_from = token.evidence.supply, levels.gap_from
        self._events.append(
            Met(
                watch_id=live.id,
                price_usd=level.price,
                market_cap_usd=level.price * supply if supply else None,
                reached_at=_moment(level.at),
                confirmed_at=_moment(token.evidence.at),
                since=_moment(gap_from) if level.after_gap and gap_from is not None else None,
            )
        )

    # Rows

    async def run(self, progress: Progress) -> None:
        """Evaluate and tell for ever, while prices are followed here."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                await self.round(progress)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("watches_delayed", reason=str(error), unwritten=len(self._events))
                await pause(RETRY_S, progress)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                stop_if_cancelled()
            self._wake.clear()

    async def round(self, progress: Progress = lambda: None) -> None:
        """Take up what people changed, write down what it has come to, and tell it."""
        await self._write()
        if not self._tracked.is_here:
            self.memory.clear()
            self._reloaded_at = time.monotonic() - RELOAD_S
            return
        await self._read()
        await self._write()
        while await self._teller.tell(progress):
            pass
        await self._note_seen()

    async def _read(self) -> None:
        now = time.monotonic()
        is_certain = now - self._changed_read_at < LATELY_S / 2 and now - self._reloaded_at < RELOAD_S
        if is_certain:
            self.memory.apply(await self._rows.changed(), self._tracked.state_of)
        else:
            pending = self._events
            self.memory.load(await self._rows.all(), self._tracked.state_of, keep=lambda: set(_ids(pending)))
            self._reloaded_at = now
        self._changed_read_at = now

    async def _write(self) -> None:
        if self._bases:
            bases = self._bases[:_PAGE]
            await self._rows.based(bases)
            del self._bases[: len(bases)]
        while self._events:
            await self._write_some([*_alike(self._events)][:_PAGE])

    async def _write_some(self, some: list[Met | int]) -> None:
        fault_point("watch_crossed")
        met = [one for one in some if isinstance(one, Met)]
        if met:
            await self._rows.met(met)
        else:
            await self._rows.armed([one for one in some if isinstance(one, int)])
        del self._events[: len(some)]
        self.met += len(met)
        fault_point("watch_met")

    async def _note_seen(self) -> None:
        now = time.monotonic()
        if now - self._seen_at >= SEEN_EVERY_S:
            self._seen_at = now
            await self._put_seen()
        if now - self._forgotten_at >= FORGET_EVERY_S:
            self._forgotten_at = now
            await self._rows.forget(self._clock())

    async def _put_seen(self) -> None:
        tokens = [(address, one) for address, one in self.memory.tokens.items() if not one.is_seen and one.evidence.at]
        if tokens:
            await self._rows.seen([_seen(address, token) for address, token in tokens])
        for _, token in tokens:
            token.is_seen = True

    async def drained(self) -> None:
        """Write down everything: whoever goes on has nothing to find out again."""
        try:
            await self._write()
            await self._put_seen()
        except TransientError as error:
            stop_if_cancelled()
            log.warning("watches_not_written", reason=str(error))


def _alike(events: Sequence[Met | int]) -> Iterator[Met | int]:
    """The first ones that are of one kind, each watch once: what came after them has to be written after them."""
    _, first = next(iter(groupby(events, key=type)))
    return first


def _ids(events: Sequence[Met | int]) -> Iterator[int]:
    return (one.watch_id if isinstance(one, Met) else one for one in events)


def _seen(address: str, token: WatchedToken) -> Seen:
    evidence = token.evidence
    price, at = evidence.price_usd, _moment(evidence.at)
    return Seen(token_address=address, price_usd=price, supply=evidence.supply, seen_at=at)


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
