"""The tracker, and what is not written down of it yet. Nothing here waits, so between two awaits it is consistent.

The id of an entry is the number of its call in PostgreSQL: nothing has to be remembered to get from one to the other.

A call is tracked by its price, or where it has none by its market cap: those of one token are never mixed, since they
stand under different keys in the tracker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, Literal
from zlib import crc32

import numpy as np
from msgspec import Struct

from domain.calls.events import PriceTick
from domain.prices.readings import PriceReading
from domain.tracking.confirmation import MAX_PRICE_USD, MIN_PRICE_USD
from domain.tracking.crossings import Crossings
from domain.tracking.ladder import UPS
from domain.tracking.tracker import MAX_ID, Tracker

Measure = Literal["price", "market_cap"]

CHUNKS: Final = 64
STORED_FROM: Final = 1.5
"""Lower rungs are nobody's milestones, and what they say stands in the peaks."""
AHEAD_S: Final = 5.0
"""A price that claims to be from later than this would make all the others old; it counts as from now."""
_CAP: Final = "/cap"
"""Stands in no address."""
SOURCES: Final[tuple[str, ...]] = ("feed", "jupiter", "dexscreener", "geckoterminal")


_Row = tuple[int, float, float, int, float]
"""Token, price, time, source, liquidity (NaN where it is unknown)."""


class TrackedCall(Struct, frozen=True, kw_only=True):
    number: int
    address: str
    channel_id: str
    called_at: float
    """Unix time."""
    price_usd: float | None
    market_cap_usd: float | None
    liquidity_usd: float | None


class Written(Struct, frozen=True, kw_only=True, gc=False):
    """One call reached one rung. Times are Unix seconds."""

    number: int
    rung: float
    multiple: float
    """The confirmed level itself, at or above the rung."""
    reached_at: float
    confirmed_at: float
    late: bool
    since: float | None
    """It was reached after this, where nobody knows when."""
    verified: bool
    """Ticks confirmed it; else it is what candles say."""
    liquidity_usd: float | None


class Ended(Struct, frozen=True):
    """Calls of one token that are tracked no more."""

    address: str
    measure: str
    numbers: list[int]


class Reached(Struct, frozen=True):
    """The highest of a call that is written down."""

    address: str
    measure: str
    number: int
    rung: float
    multiple: float
    reached_at: float


def measure_of(call: TrackedCall) -> Measure | None:
    """By what a call can be tracked; `None`: not at all."""
    if is_price(call.price_usd):
        return "price"
    return "market_cap" if is_price(call.market_cap_usd) else None


def is_price(value: float | None) -> bool:
    return value is not None and MIN_PRICE_USD <= value <= MAX_PRICE_USD


def key_of(address: str, measure: str) -> str:
    """Under what a token stands in the tracker."""
    return address if measure == "price" else address + _CAP


def address_of(key: str) -> str:
    return key.removesuffix(_CAP)


def chunk_of(address: str) -> int:
    return crc32(address.encode()) % CHUNKS


class Book:
    def __init__(self, *, now: Callable[[], float]) -> None:
        """`now`: Unix time."""
        self.tracker = Tracker()
        self.unwritten: list[Written] = []
        """Rungs that were reached and are not in PostgreSQL yet: no snapshot may be taken while there are any."""
        self.next_number = 1
        """Calls from this one on are not in it."""
        self.keys: list[set[str]] = [set() for _ in range(CHUNKS)]
        self.updates = 0
        """Prices that were taken in."""
        self.opened: list[int] = []
        """Numbers of tokens that were opened since somebody looked, and of those that were closed."""
        self.closed: list[int] = []
        self.untracked = 0
        """Calls with neither price nor market cap."""
        self._skip_below = [0] * CHUNKS
        self._now = now

    # Calls

    def resumed(self, chunk: int, keys: Iterable[str], next_number: int) -> None:
        """A part was restored: it holds calls below this number."""
        self.keys[chunk].update(keys)
        self._skip_below[chunk] = next_number

    def opens(self, calls: Iterable[TrackedCall], called_since: float) -> list[tuple[TrackedCall, Measure]]:
        """Which of these calls are to be tracked, and by what."""
        found: list[tuple[TrackedCall, Measure]] = []
        for call in calls:
            if call.called_at < called_since or call.number < self._skip_below[chunk_of(call.address)]:
                continue
            measure = measure_of(call)
            if measure is None:
                self.untracked += 1
            elif call.number <= MAX_ID:
                found.append((call, measure))
        return found

    def add(self, call: TrackedCall, measure: Measure) -> None:
        """Track a call; they come in the order of their numbers."""
        tracker, key = self.tracker, key_of(call.address, measure)
        price = call.price_usd if measure == "price" else call.market_cap_usd
        if price is None:
            raise ValueError("a call without what it is tracked by")
        is_new = key not in tracker
        token = tracker.open(key, price, call.called_at)
        if is_new:
            self.opened.append(token)
            self.keys[chunk_of(call.address)].add(key)
        if call.called_at > tracker.columns.floats["at"][token]:
            self._took(tracker.update(token, price, call.called_at, 0, call.liquidity_usd))
        elif call.liquidity_usd is not None:
            tracker.columns.take_liquidity(token, call.liquidity_usd, call.called_at)
        tracker.next_id = call.number
        tracker.add(token, 0, called_at=call.called_at, price_usd=price, market_cap_usd=call.market_cap_usd)

    def mark(self, one: Reached) -> None:
        """Know what is written down: the rung is not given again, and the peak is as high at least."""
        tracker, key = self.tracker, key_of(one.address, one.measure)
        if key not in tracker:
            return
        token = tracker.number_of(key)
        entries = tracker.watching.entries[token]
        with suppress(KeyError):  # it has ended
            price = float(entries.column("price")[entries.place_of(one.number)])
            tracker.mark_reached(token, one.number, one.rung)
            tracker.mark_peak(token, one.number, price * one.multiple, one.reached_at)

    def forget(self, key: str, numbers: Sequence[int]) -> None:
        """These calls have ended; a token without any is closed."""
        token = self.tracker.number_of(key)
        self.tracker.remove(token, numbers)
        if not self.tracker.watching.entries[token].count:
            self.tracker.close(token)
            self.keys[chunk_of(address_of(key))].discard(key)
            self.closed.append(token)

    # Prices

    def take_in(self, ticks: Mapping[str, PriceTick]) -> None:
        """Prices of the feed, by address."""
        latest, rows = self._now() + AHEAD_S, list[_Row]()
        for address, tick in ticks.items():
            at = min(tick.at.timestamp(), latest)
            tracked = self._tracked(address, tick.price_usd, tick.market_cap_usd)
            rows += ((token, price, at, 0, math.nan) for token, price in tracked)
        self._update(rows)

    def take_readings(self, readings: Iterable[PriceReading]) -> None:
        """Prices that were asked for, one for each token."""
        latest, rows, last = self._now() + AHEAD_S, list[_Row](), self.tracker.columns.floats["at"]
        for reading in readings:
            at = min(reading.at.timestamp(), latest)
            source = SOURCES.index(reading.source) if reading.source in SOURCES else len(SOURCES)
            liquidity = math.nan if reading.liquidity_usd is None else reading.liquidity_usd
            tracked = self._tracked(reading.token.address, reading.price_usd, reading.market_cap_usd)
            # The feed may have been heard meanwhile, or its clock be a little ahead.
            rows += ((token, price, max(at, last[token]), source, liquidity) for token, price in tracked)
        self._update(rows)

    def _tracked(self, address: str, price_usd: float, market_cap_usd: float | None) -> Iterator[tuple[int, float]]:
        """Under which numbers this is followed, and what is said of each."""
        for key, price in ((address, price_usd), (address + _CAP, market_cap_usd)):
            if price is not None and key in self.tracker:
                yield self.tracker.number_of(key), price

    def _update(self, rows: Sequence[_Row]) -> None:
        if not rows:
            return
        self.updates += len(rows)
        tokens, prices, ats, sources, liquidity = zip(*rows, strict=True)
        self._took(
            self.tracker.update_batch(
                np.array(tokens, dtype=np.intp),
                np.array(prices, dtype=np.float64),
                np.array(ats, dtype=np.float64),
                np.array(sources, dtype=np.uint16),
                np.array(liquidity, dtype=np.float64),
            )
        )

    def close_gap(self, address: str, high_usd: float, reached_at: float) -> None:
        """Candles say what the price was at most while nobody looked."""
        if is_price(high_usd) and address in self.tracker:
            token = self.tracker.number_of(address)
            self._took(self.tracker.close_gap(token, high_usd, reached_at, self._now()), verified=False)

    def _took(self, crossings: Sequence[Crossings], *, verified: bool = True) -> None:
        for some in crossings:
            if some.is_up:
                self.unwritten += self._written(some, verified=verified)

    def _written(self, crossings: Crossings, *, verified: bool) -> list[Written]:
        watching, token = self.tracker.watching, crossings.token
        entries = watching.entries[token]
        prices = entries.column("price")[entries.column("id").searchsorted(crossings.entries)].tolist()
        floats = self.tracker.columns.floats
        liquidity, gap_from = floats["liquidity"][token], floats["gap_from"][token]
        since = gap_from if crossings.late and not math.isnan(gap_from) else None
        found: list[Written] = []
        columns = (crossings.entries.tolist(), crossings.before.tolist(), crossings.after.tolist(), prices)
        for number, before, after, price in zip(*columns, strict=True):
            found += (
                Written(
                    number=number,
                    rung=rung,
                    multiple=crossings.price_usd / price,
                    reached_at=crossings.reached_at,
                    confirmed_at=crossings.confirmed_at,
                    late=crossings.late,
                    since=since,
                    verified=verified,
                    liquidity_usd=None if math.isnan(liquidity) else liquidity,
                )
                for rung in UPS[before:after]
                if rung >= STORED_FROM
            )
        return found
