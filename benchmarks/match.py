"""One call against all filter sets: our index and matcher, and what else could do it, every answer checked equal.

15 numeric fields, 3 to 5 rules a set, 30 % of the sets choose channels, about 1.2 % of the sets pass a call. Times
are medians in microseconds per call, over rounds in which every engine has its turn, so that what disturbs one
disturbs all.

A first call is held against everybody; a repeat call is of a token whose passing subscribers were all accepted
before, whom our index leaves out by one bitmap. "Against the loop" is our repeat call against one pass of the loop,
which has to look at every set whoever was accepted. "Against the best other" is our first call, the slower one,
against the fastest peer, which answers the same question.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter, perf_counter_ns
from typing import Any

import msgspec

from benchmarks.kit.peers import Peer, every_peer
from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from benchmarks.kit.workload import CHANNELS, FIELDS, calls, filter_sets
from domain.calls.events import Call, Channel
from domain.filters.registry import FilterSet
from domain.matching.bits import Bitmap, add_rows
from domain.matching.matcher import Matcher

MILLION = 1_000_000
SIZES = (1_000, 10_000, 100_000)
BATCH = 32
CALLS = 64
CHANGES = 500
ROUNDS = 7
TURN_NS = 100_000_000
"""An engine answers calls for so long in a turn, at least one: time enough to warm the caches the others left cold."""

FIRST_CALL_US = {100_000: 300.0, MILLION: 3000.0}
REPEAT_CALL_US = {100_000: 50.0, MILLION: 400.0}
CHANGE_US = {100_000: 50.0}
MEMORY_MB = {100_000: 60.0}
TIMES_FASTER = {100_000: 1500.0}
FASTEST_FROM = 10_000
"""Sets; from here on nothing else is as fast."""

FIRST, REPEAT, IN_BATCH = "first call", "repeat call", f"first call, in a batch of {BATCH}"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of filter sets")
    parser.add_argument("--million", action="store_true", help="a million filter sets as well (6 GB, 3 minutes)")


def run(arguments: argparse.Namespace) -> list[Row]:
    return measure([*arguments.sizes, *([MILLION] if arguments.million else [])])


def measure(sizes: Sequence[int]) -> list[Row]:
    return [row for size in dict.fromkeys(sizes) for row in _measure_size(size)]


class WrongAnswerError(Exception):
    """Two engines disagree: no figure of this run means anything."""


class Turns:
    """One way to answer calls: it takes its turns, and knows what it took."""

    def __init__(self, name: str, answer: Callable[[int], Any], check: Callable[[int, Any], bool], share: int) -> None:
        self.name = name
        self._answer = answer
        self._check = check
        self._share = share
        """Calls that one answer is for."""
        self._times_us: list[float] = []
        self._next = 0

    @property
    def median_us(self) -> float:
        return statistics.median(self._times_us)

    def turn(self) -> None:
        """Answer call after call until the time is over; every answer is checked."""
        spent_ns, answered = 0, 0
        while spent_ns < TURN_NS or not answered:
            number = self._next
            start = perf_counter_ns()
            answer = self._answer(number)
            took_ns = perf_counter_ns() - start
            if not self._check(number, answer):
                raise WrongAnswerError(f"{self.name} differs from the index at call {number}")
            self._times_us.append(took_ns / 1000 / self._share)
            self._next = (number + self._share) % CALLS
            spent_ns += took_ns
            answered += 1


def _measure_size(size: int) -> list[Row]:
    sys.stderr.write(f"{size:,} filter sets …\n")
    sets = list(filter_sets(size))
    matcher = Matcher(FIELDS)
    gc.collect()
    start = perf_counter()
    matcher.load(sets)
    load_s = perf_counter() - start
    memory_mb = matcher.index.memory_bytes() / 1e6
    incoming = calls(CALLS)
    answers = [_users(matcher, call) for call in incoming]
    with _undisturbed():
        peers = every_peer(sets)
        ours, others = _our_turns(matcher, incoming, answers), _their_turns(peers, incoming, answers)
        for _ in range(ROUNDS):
            for engine in (*ours, *others):
                engine.turn()
        rows = _rows(size, ours, others)
        del peers, others
        rows.append(_row(f"{size:,}: one change", _measure_changes(matcher, sets), "µs", CHANGE_US.get(size)))
        if [_users(matcher, call) for call in incoming] != answers:
            raise WrongAnswerError("changes there and back left other answers")
        rows += _measure_matcher(matcher, size, incoming)
    rows.append(_row(f"{size:,}: memory", memory_mb, "MB", MEMORY_MB.get(size)))
    rows.append(for_comparison(f"{size:,}: load", load_s, "s"))
    passing = statistics.mean(len(answer) for answer in answers) / size
    rows.append(for_comparison(f"{size:,}: sets that pass a call", 100 * passing, "%"))
    return rows


@contextmanager
def _undisturbed() -> Generator[None]:
    """The collector would go through millions of sets again and again, in whoever's turn it is."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def _users(matcher: Matcher, call: Call) -> list[int]:
    return sorted(matcher.index.owners[matcher.index.match(call)].tolist())


def _our_turns(matcher: Matcher, incoming: list[Call], answers: list[list[int]]) -> list[Turns]:
    index = matcher.index
    rows = [index.match(call) for call in incoming]
    seen: list[Bitmap] = []
    for some in rows:
        bitmap = index.bitmap()
        add_rows(bitmap, some)
        seen.append(bitmap)
    expected = [some.tolist() for some in rows]
    if [sorted(index.owners[some].tolist()) for some in rows] != answers:
        raise WrongAnswerError("the index differs from itself")

    def in_batch(number: int, answer: Any) -> bool:
        return [some.tolist() for some in answer] == expected[number : number + BATCH]

    return [
        Turns(FIRST, lambda at: index.match(incoming[at]), lambda at, answer: answer.tolist() == expected[at], 1),
        Turns(REPEAT, lambda at: index.match(incoming[at], seen[at]), lambda _, answer: not answer.size, 1),
        Turns(IN_BATCH, lambda at: index.match_batch(incoming[at : at + BATCH]), in_batch, BATCH),
    ]


def _their_turns(peers: Sequence[Peer], incoming: list[Call], answers: list[list[int]]) -> list[Turns]:
    def turns(peer: Peer) -> Turns:
        return Turns(
            peer.name,
            lambda at: peer.match(incoming[at]),
            lambda at, answer: sorted(peer.users(answer)) == answers[at],
            1,
        )

    return [turns(peer) for peer in peers]


def _row(what: str, value: float, unit: str, target: float | None) -> Row:
    return for_comparison(what, value, unit) if target is None else at_most(what, value, unit, target)


def _rows(size: int, ours: Sequence[Turns], others: Sequence[Turns]) -> list[Row]:
    us = {engine.name: engine.median_us for engine in (*ours, *others)}
    targets = {FIRST: FIRST_CALL_US.get(size), REPEAT: REPEAT_CALL_US.get(size)}
    rows = [_row(f"{size:,}: {name}", value, "µs", targets.get(name)) for name, value in us.items()]
    loop, best = others[0], min(others, key=lambda engine: engine.median_us)
    factors = [
        (f"repeat call against the {loop.name}", loop.median_us / us[REPEAT], TIMES_FASTER.get(size)),
        (
            f"first call against the best other, {best.name}",
            best.median_us / us[FIRST],
            1.0 if size >= FASTEST_FROM else None,
        ),
    ]
    for name, factor, target in factors:
        what = f"{size:,}: {name}"
        rows.append(for_comparison(what, factor, "x") if target is None else at_least(what, factor, "x", target))
    return rows


def _median_us(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> float:
    times_ns: list[int] = []
    for some in arguments:
        start = perf_counter_ns()
        function(*some)
        times_ns.append(perf_counter_ns() - start)
    return statistics.median(times_ns) / 1000


def _measure_matcher(matcher: Matcher, size: int, incoming: list[Call]) -> list[Row]:
    """The whole decision: flow chart, match, one set for each subscriber, memory of the token."""
    now = incoming[0].received_at
    first_us = _median_us(matcher.decide, [(call, now) for call in incoming])
    again = [
        (msgspec.structs.replace(call, channel=Channel(id=channel)), now + timedelta(seconds=1))
        for channel in CHANNELS[:10]
        for call in incoming
    ]
    _median_us(matcher.decide, again[:CALLS])
    again_us = _median_us(matcher.decide, again[CALLS:])
    return [
        for_comparison(f"{size:,}: decision at the first call", first_us, "µs"),
        for_comparison(f"{size:,}: decision at a new channel's call", again_us, "µs"),
    ]


def _measure_changes(matcher: Matcher, sets: list[FilterSet]) -> float:
    """Filter sets change into others and back, so that the answers stay what they were."""
    before = sets[:: max(1, len(sets) // CHANGES)]
    others = filter_sets(len(before), seed=3)
    after = [
        msgspec.structs.replace(other, user_id=filter_set.user_id)
        for filter_set, other in zip(before, others, strict=True)
    ]
    there_us = _median_us(matcher.index.put, [(filter_set,) for filter_set in after])
    back_us = _median_us(matcher.index.put, [(filter_set,) for filter_set in before])
    return max(there_us, back_us)
