"""Every call at once: ticks that change nothing, ticks that let calls reach their multiples, and what a call takes.

25,000 tokens and 2.5 million calls, unevenly spread as calls are, confirmation and liquidity included. "Quiet" ticks
stay within what each token has seen, in batches of distinct tokens as providers answer, and one by one as a feed tells
them. In the moving market each token's price is a random walk; its ticks come in batches, in which a token has as many
as it is traded, and some one by one. The share of ticks with which some call reaches a rung is told beside the rate. In
the middle of it pools are emptied: every token is asked whether it is dead, and calls of dead ones end. Two peers with
the same rule of confirmation get the first ticks of the same market, and have to find the same rungs: a plain one, an
object for each call that is asked each time, and a heap of the next rungs of each token. Times are those of the
processor.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import process_time

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from benchmarks.kit.trackers import HeapToken, PlainToken, Rung
from domain.tracking.columns import DEAD_LIQUIDITY_USD
from domain.tracking.confirmation import CONFIRM_TICKS, MIN_LIQUIDITY_USD
from domain.tracking.crossings import Crossings
from domain.tracking.outcome import THIN_FOR_S, cause_of_death
from domain.tracking.snapshot import dump, restore
from domain.tracking.tracker import Tracker

BEGAN = 1_800_000_000.0
RICH_USD = 10 * MIN_LIQUIDITY_USD
MOVE = 0.02
"""Standard deviation of a step of the random walk, as a logarithm."""
SPREAD = 0.5
"""Of the prices at the calls of one token, around its price now."""
DYING = 100
"""One token of so many."""
CROSSING_SHARE_PERCENT = 15.0
BATCHES = (64, 256, 4096)
"""Of quiet ticks."""
MOVING_BATCH = 16_384
"""What a feed of the promised rate tells in 40 ms."""
QUIET_PER_S, CROSSING_PER_S, BYTES_PER_CALL = 8e6, 0.4e6, 40.0

Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Row3 = tuple[int, float, float]
"""Token, price, time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    tokens: int
    calls: int
    quiet: int
    moving: int
    by_peers: int
    """Ticks that the peers get."""
    one_by_one: int
    """Moving ticks that do not come in batches."""
    promised: bool


FULL = Plan(
    tokens=25_000, calls=2_500_000, quiet=2_000_000, moving=400_000, by_peers=3_000, one_by_one=20_000, promised=True
)
QUICK = Plan(tokens=1_000, calls=50_000, quiet=100_000, moving=20_000, by_peers=2_000, one_by_one=2_000, promised=False)


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
    _give_back()
    before, start = psutil.Process().memory_info().rss, process_time()
    tracker = _loaded(market)
    load_s = process_time() - start
    _give_back()
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


def _give_back() -> None:
    """Let the allocator return what was freed: what arrays took on the way is no part of a call."""
    with suppress(OSError, AttributeError):  # another C library than that of GNU
        ctypes.CDLL("libc.so.6").malloc_trim(0)


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
    rows = list(zip(*market.moving(plan.moving), strict=True))
    half, batched = plan.moving // 2, plan.by_peers + plan.one_by_one
    expected = _play(tracker, rows[: plan.by_peers])
    singly = _one_by_one(tracker, rows[plan.by_peers : batched])
    first = _play(tracker, rows[batched:half])
    deaths = _deaths(plan, tracker, at=rows[half - 1][2])
    dead = set(range(0, plan.tokens, DYING))
    last = _play(tracker, [row for row in rows[half:] if row[0] not in dead])
    played = (expected, first, last)
    ticks, crossing = sum(one.ticks for one in played), sum(one.crossing for one in played)
    ours, share = ticks / sum(one.spent_s for one in played), 100 * crossing / ticks
    what = f"ticks of a moving market, in batches of {MOVING_BATCH:,}"
    yield at_least(what, ours, "/s", CROSSING_PER_S) if plan.promised else for_comparison(what, ours, "/s")
    what = "of these, let calls reach rungs"
    yield at_least(what, share, "%", CROSSING_SHARE_PERCENT) if plan.promised else for_comparison(what, share, "%")
    yield for_comparison("rungs that calls reached", sum(one.rungs for one in played), "")
    yield for_comparison("ticks of a moving market, one by one", singly, "/s")
    yield from deaths
    for what, peer in (("one object for each call", PlainToken), ("a heap of next rungs for each token", HeapToken)):
        theirs = _by_peer(peer, market, rows[: plan.by_peers])
        if sorted(theirs.found) != sorted(expected.found):
            raise WrongAnswerError(f"{what}: other rungs")
        rate = theirs.ticks / theirs.spent_s
        yield for_comparison(f"the same by {what}", rate, "/s")
        yield for_comparison(f"against {what}, same ticks", expected.ticks / expected.spent_s / rate, "x")


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    ticks: int
    crossing: int
    """Ticks with which a call reached a rung."""
    rungs: int
    spent_s: float
    found: list[Rung]


def _play(tracker: Tracker, rows: list[Row3]) -> Played:
    """In batches."""
    kept: list[Crossings] = []
    spent_s = 0.0
    for start in range(0, len(rows), MOVING_BATCH):
        tokens, prices, ats = zip(*rows[start : start + MOVING_BATCH], strict=True)
        columns = np.array(tokens), np.array(prices), np.array(ats), np.ones(len(ats), dtype=np.uint16)
        start_s = process_time()
        kept += tracker.update_batch(*columns)
        spent_s += process_time() - start_s
    return Played(
        ticks=len(rows),
        crossing=len({one.confirmed_at for one in kept}),
        rungs=sum(map(len, kept)),
        spent_s=spent_s,
        found=[(one.entry, one.multiple) for crossings in kept for one in crossings],
    )


def _one_by_one(tracker: Tracker, rows: list[Row3]) -> float:
    update = tracker.update
    start = process_time()
    for row in rows:
        update(*row, 1)
    return len(rows) / (process_time() - start)


def _deaths(plan: Plan, tracker: Tracker, *, at: float) -> list[Row]:
    """Empty some pools for as long as it takes, ask every token whether it is dead, and let calls end."""
    for token in range(0, plan.tokens, DYING):
        for asked_at in (at, at + THIN_FOR_S):
            tracker.columns.take_liquidity(token, DEAD_LIQUIDITY_USD / 2, asked_at)
    before, start = tracker.count, process_time()
    states = ((token, tracker.state(token)) for token in range(plan.tokens))
    dead = [token for token, state in states if cause_of_death(state, state.at)]
    for token in dead:
        tracker.close(token)
    spent_s = process_time() - start
    if dead != list(range(0, plan.tokens, DYING)):
        raise WrongAnswerError("other tokens are dead than those whose pools are empty")
    return [
        for_comparison("every token asked whether it is dead", 1e3 * spent_s, "ms"),
        for_comparison("calls that ended with their tokens", before - tracker.count, ""),
    ]


def _by_peer(peer: type[PlainToken | HeapToken], market: Market, rows: list[Row3]) -> Played:
    """Only tokens that trade get one."""
    starts: list[int] = np.concatenate(([1], 1 + np.cumsum(market.counts))).tolist()
    books: dict[int, PlainToken | HeapToken] = {}
    for token in {row[0] for row in rows}:
        prices: list[float] = market.prices[token].tolist()
        books[token] = book = peer(list(enumerate(prices, starts[token])))
        for second in range(1, CONFIRM_TICKS + 1):
            book.update(1.0, BEGAN + second)
    start = process_time()
    kept = [found for token, price, at in rows if (found := books[token].update(price, at))]
    spent_s = process_time() - start
    found = [rung for some in kept for rung in some]
    return Played(ticks=len(rows), crossing=len(kept), rungs=len(found), spent_s=spent_s, found=found)


def _snapshots(tracker: Tracker) -> Iterator[Row]:
    start = process_time()
    data = dump(tracker)
    yield for_comparison("snapshot of everything", process_time() - start, "s")
    yield for_comparison("size of the snapshot", len(data) / 1e6, "MB")
    start = process_time()
    restore(Tracker(), data)
    yield for_comparison("everything restored", process_time() - start, "s")
