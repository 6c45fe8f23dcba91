"""Every call at once: ticks that change nothing, ticks that let calls reach their multiples, and what a call takes.

25,000 tokens and 2.5 million calls, unevenly spread as calls are, confirmation and liquidity included. "Quiet" ticks
stay within what each token has seen, in batches of distinct tokens as providers answer, and one by one as a feed tells
them. In the moving market each token's price is a random walk, a tick at a time; the share of ticks with which some
call reaches a rung is told beside the rate. One object for each call, asked one after the other with the same rule of
confirmation, gets the first ticks of the same market, and has to find the same rungs. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import process_time

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from domain.tracking import confirmation
from domain.tracking.confirmation import CONFIRM_TICKS, MIN_LIQUIDITY_USD, Level, Tick
from domain.tracking.ladder import DOWNS, UPS
from domain.tracking.snapshot import dump, restore
from domain.tracking.tracker import Tracker

BEGAN = 1_800_000_000.0
RICH_USD = 10 * MIN_LIQUIDITY_USD
MOVE = 0.02
"""Standard deviation of a step of the random walk, as a logarithm."""
SPREAD = 0.5
"""Of the prices at the calls of one token, around its price now."""
BATCHES = (64, 256, 4096)
QUIET_PER_S, CROSSING_PER_S, BYTES_PER_CALL = 8e6, 0.4e6, 40.0

Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Rung = tuple[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    tokens: int
    calls: int
    quiet: int
    moving: int
    by_objects: int
    """Ticks that the objects get."""
    promised: bool


FULL = Plan(tokens=25_000, calls=2_500_000, quiet=2_000_000, moving=400_000, by_objects=1_500, promised=True)
QUICK = Plan(tokens=1_000, calls=50_000, quiet=100_000, moving=20_000, by_objects=2_000, promised=False)


class WrongAnswerError(Exception):
    """Two ways to find the rungs disagree: no figure of this run means anything."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the calls, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    plan = QUICK if arguments.quick else FULL
    market = Market(plan)
    gc.disable()
    try:
        return list(_measure(plan, market))
    finally:
        gc.enable()


class Market:
    """Drawn once: how many calls each token has and at which prices, and the ticks that follow."""

    def __init__(self, plan: Plan) -> None:
        self._random = np.random.default_rng(7)
        shares: Floats = np.power(np.arange(1.0, plan.tokens + 1.0), -0.8)
        self._shares = self._random.permutation(shares / float(shares.sum()))
        self.counts = self._random.multinomial(plan.calls, self._shares)
        counts: list[int] = self.counts.tolist()
        self.prices: list[Floats] = [np.exp(self._random.normal(0.0, SPREAD, count)) for count in counts]

    def moving(self, count: int) -> tuple[list[int], list[float], list[float]]:
        """Tokens, prices and times; those that are called more are traded more."""
        tokens = self._random.choice(len(self.counts), count, p=self._shares)
        prices, now = np.ones(len(self.counts)), np.empty(count)
        for place, (token, step) in enumerate(
            zip(tokens.tolist(), np.exp(self._random.normal(0, MOVE, count)).tolist(), strict=True)
        ):
            prices[token] *= step
            now[place] = prices[token]
        times = BEGAN + 4 + np.arange(count) / 1000
        return tokens.tolist(), now.tolist(), times.tolist()

    def batches(self, size: int, total: int) -> Iterator[Ints]:
        for _ in range(max(1, total // size)):
            yield self._random.permutation(len(self.counts))[:size]


def _measure(plan: Plan, market: Market) -> Iterator[Row]:
    sys.stderr.write(f"{plan.calls:,} calls of {plan.tokens:,} tokens …\n")
    before, start = psutil.Process().memory_info().rss, process_time()
    tracker = _loaded(market)
    load_s = process_time() - start
    bytes_per_call = (psutil.Process().memory_info().rss - before) / plan.calls
    calm(tracker, plan.tokens)
    rates = {size: _quiet_in_batches(tracker, market, size, plan.quiet) for size in BATCHES if size <= plan.tokens}
    for size, rate in rates.items():
        what = f"quiet ticks, in batches of {size:,}"
        promised = plan.promised and size == max(rates)
        yield at_least(what, rate, "/s", QUIET_PER_S) if promised else for_comparison(what, rate, "/s")
    yield for_comparison("quiet ticks, one by one", _quiet(tracker, market, plan), "/s")
    yield from _moving(plan, market, tracker)
    what = "memory of a call"
    yield (
        at_most(what, bytes_per_call, "bytes", BYTES_PER_CALL)
        if plan.promised
        else for_comparison(what, bytes_per_call, "bytes")
    )
    yield for_comparison("all calls entered", load_s, "s")
    yield from _snapshots(tracker)


def _loaded(market: Market) -> Tracker:
    tracker = Tracker()
    for token, prices in enumerate(market.prices):
        number, count = tracker.open(f"token-{token}", 1.0, BEGAN), len(prices)
        channels = np.full(count, token % 500, dtype=np.uint32)
        tracker.add_many(number, channels, np.full(count, BEGAN), prices, np.full(count, 1e5))
    return tracker


def calm(tracker: Tracker, tokens: int) -> None:
    """The market agrees that every token is at 1, with money in the pool."""
    for second in range(1, CONFIRM_TICKS + 1):
        for token in range(tokens):
            tracker.update(token, 1.0, BEGAN + second, 1, RICH_USD)


def _quiet_in_batches(tracker: Tracker, market: Market, size: int, total: int) -> float:
    batches = list(market.batches(size, min(total, 100 * size)))
    ats, sources = np.full(size, BEGAN + 3.5), np.ones(size, dtype=np.uint16)
    lower = (tracker.columns.view("low") + 1) / 2
    money = np.full(size, RICH_USD)
    spent_s, ticks = 0.0, 0
    while ticks < total:
        for tokens in batches:
            prices = lower[tokens] if ticks & size else np.ones(size)
            start = process_time()
            found = tracker.update_batch(tokens, prices, ats, sources, money)
            spent_s += process_time() - start
            if found:
                raise WrongAnswerError("a quiet tick let a call reach a rung")
            ticks += size
    return ticks / spent_s


def _quiet(tracker: Tracker, market: Market, plan: Plan) -> float:
    tokens = np.concatenate(list(market.batches(plan.tokens, plan.quiet // 4))).tolist()
    at, update = BEGAN + 3.6, tracker.update
    start = process_time()
    for token in tokens:
        update(token, 1.0, at, 1)
    return len(tokens) / (process_time() - start)


def _moving(plan: Plan, market: Market, tracker: Tracker) -> Iterator[Row]:
    tokens, prices, times = market.moving(plan.moving)
    found: list[Rung] = []
    crossing, rungs = 0, 0
    spent_s = 0.0
    for first, last in ((0, plan.by_objects), (plan.by_objects, plan.moving)):
        start = process_time()
        update = tracker.update
        kept = [
            crossings
            for row in zip(tokens[first:last], prices[first:last], times[first:last], strict=True)
            for crossings in update(*row, 1)
        ]
        spent_s += process_time() - start
        crossing += len({crossings.confirmed_at for crossings in kept})
        rungs += sum(map(len, kept))
        if not first:
            found = [(one.entry, one.multiple) for crossings in kept for one in crossings]
    ours = plan.moving / spent_s
    what = "ticks of a moving market"
    yield at_least(what, ours, "/s", CROSSING_PER_S) if plan.promised else for_comparison(what, ours, "/s")
    yield for_comparison("of these, let calls reach rungs", 100 * crossing / plan.moving, "%")
    yield for_comparison("rungs that calls reached", rungs, "")
    rows = (tokens[: plan.by_objects], prices[: plan.by_objects], times[: plan.by_objects])
    theirs, expected = _by_objects(market, *rows)
    if sorted(found) != sorted(expected):
        raise WrongAnswerError("objects find other rungs")
    yield for_comparison("the same by one object for each call", theirs, "/s")
    yield for_comparison("against one object for each call", ours / theirs, "x")


@dataclass(slots=True)
class CallObject:
    id: int
    price: float
    peak: float
    ups: int = 0
    downs: int = 0


@dataclass(slots=True)
class TokenObject:
    calls: list[CallObject]
    ticks: deque[Tick] = field(default_factory=lambda: deque[Tick](maxlen=CONFIRM_TICKS))

    def update(self, price: float, at: float) -> Iterator[Rung]:
        self.ticks.append(Tick(price, at, 1, 0, after_gap=False, absurd=False))
        ticks = list(self.ticks)
        yield from self._each(self._rise, confirmation.reached(ticks, carried=True))
        yield from self._each(self._fall, confirmation.fallen_to(ticks))

    def _each(self, move: Callable[[CallObject, float], Iterator[Rung]], level: Level | None) -> Iterator[Rung]:
        if level:
            for call in self.calls:
                yield from move(call, level.price)

    def _rise(self, call: CallObject, price: float) -> Iterator[Rung]:
        call.peak = max(call.peak, price)
        while call.ups < len(UPS) and price / call.price >= UPS[call.ups]:
            call.ups += 1
            yield call.id, UPS[call.ups - 1]

    def _fall(self, call: CallObject, price: float) -> Iterator[Rung]:
        while call.downs < len(DOWNS) and price / call.price <= DOWNS[call.downs]:
            call.downs += 1
            yield call.id, DOWNS[call.downs - 1]


def _by_objects(market: Market, tokens: list[int], prices: list[float], times: list[float]) -> tuple[float, list[Rung]]:
    """Ticks in a second, and the rungs; only tokens that trade have objects."""
    starts = np.concatenate(([1], 1 + np.cumsum(market.counts))).tolist()
    books: dict[int, TokenObject] = {}
    for token in set(tokens):
        calls = enumerate(market.prices[token].tolist(), starts[token])
        books[token] = TokenObject([CallObject(entry, price, price) for entry, price in calls])
        for second in range(1, CONFIRM_TICKS + 1):
            list(books[token].update(1.0, BEGAN + second))
    start = process_time()
    found = [
        rung for token, price, at in zip(tokens, prices, times, strict=True) for rung in books[token].update(price, at)
    ]
    return len(tokens) / (process_time() - start), found


def _snapshots(tracker: Tracker) -> Iterator[Row]:
    start = process_time()
    data = dump(tracker)
    yield for_comparison("snapshot of everything", process_time() - start, "s")
    yield for_comparison("size of the snapshot", len(data) / 1e6, "MB")
    start = process_time()
    restore(Tracker(), data)
    yield for_comparison("everything restored", process_time() - start, "s")
