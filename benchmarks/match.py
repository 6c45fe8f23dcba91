"""One call against all filter sets: our index and matcher, and two loops, every answer checked equal.

15 numeric fields, 3 to 5 rules a set, 30 % of the sets choose channels, about 1.2 % of the sets pass a call. Times
are medians in microseconds per call. A repeat call is one whose passing subscribers were all accepted before.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, make_dataclass
from datetime import timedelta
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple

import msgspec

from benchmarks.report import Row, at_least, at_most, for_comparison
from benchmarks.workload import CHANNELS, FIELDS, NAMES, calls, filter_sets
from domain.bits import Rows, Words, add_rows
from domain.calls import Call, Channel
from domain.filters import FilterSet
from domain.matching import Matcher
from domain.thresholds import rule_bounds

SIZES = (1_000, 10_000, 100_000)
MILLION = 1_000_000
BATCH = 32
CALLS = 64
CHANGES = 500
LOOPED_SETS = 2_000_000
"""A loop answers as many calls as make this many verdicts, but at least four."""

FIRST_CALL_US = {100_000: 300.0, MILLION: 3000.0}
REPEAT_CALL_US = {100_000: 50.0, MILLION: 400.0}
CHANGE_US = {100_000: 50.0}
MEMORY_MB = {100_000: 60.0}
TIMES_FASTER = {100_000: 1500.0}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of filter sets")
    parser.add_argument("--million", action="store_true", help="a million filter sets as well (4 GB, 2 minutes)")


def run(arguments: argparse.Namespace) -> list[Row]:
    return measure([*arguments.sizes, *([MILLION] if arguments.million else [])])


def measure(sizes: Sequence[int]) -> list[Row]:
    return [row for size in sizes for row in _measure_size(size)]


class WrongAnswerError(Exception):
    """Two engines disagree: no figure of this run means anything."""


# the peers


class RuleOf(NamedTuple):
    name: str
    minimum: float
    maximum: float


Settings: Any = make_dataclass(
    "Settings",
    [
        ("user_id", int),
        ("channels", frozenset[str]),
        *((f"min_{name}", float | None, field(default=None)) for name in NAMES),
        *((f"max_{name}", float | None, field(default=None)) for name in NAMES),
    ],
)
"""One attribute for each bound of each field, as settings usually begin."""


def settings_of(filter_set: FilterSet) -> Any:
    bounds: dict[str, float | None] = {}
    for name, limits in filter_set.ranges.items():
        bounds[f"min_{name}"], bounds[f"max_{name}"] = limits.minimum, limits.maximum
    return Settings(user_id=filter_set.user_id, channels=filter_set.channels, **bounds)


def passes_settings(settings: Any, call: Call) -> bool:
    for name in NAMES:
        value = getattr(call, name)
        minimum, maximum = getattr(settings, f"min_{name}"), getattr(settings, f"max_{name}")
        if minimum is not None and (value is None or value < minimum):
            return False
        if maximum is not None and (value is None or value > maximum):
            return False
    return not settings.channels or call.channel.id in settings.channels


def loop(everybody: Sequence[Any], call: Call) -> list[int]:
    """What a bot does when nobody has thought about it."""
    return [settings.user_id for settings in everybody if passes_settings(settings, call)]


Rules = tuple[int, frozenset[str], tuple[RuleOf, ...]]


def rules_of(filter_set: FilterSet) -> Rules:
    rules = tuple(RuleOf(name, *rule_bounds(limits)) for name, limits in filter_set.ranges.items())
    return filter_set.user_id, filter_set.channels, rules


def tuned_loop(everybody: Sequence[Rules], call: Call) -> list[int]:
    """What a loop can do: only the rules that are set, in one function, out at the first that fails."""
    values = {name: getattr(call, name) for name in NAMES}
    channel_id = call.channel.id
    passed: list[int] = []
    for user_id, channels, rules in everybody:
        if channels and channel_id not in channels:
            continue
        for name, minimum, maximum in rules:
            if not minimum <= values[name] <= maximum:
                break
        else:
            passed.append(user_id)
    return passed


# measuring


def _median_us(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]], rounds: int = 1) -> float:
    times_ns: list[int] = []
    for _ in range(rounds):
        for some in arguments:
            start = perf_counter_ns()
            function(*some)
            times_ns.append(perf_counter_ns() - start)
    return statistics.median(times_ns) / 1000


def _row(what: str, value: float, unit: str, target: float | None) -> Row:
    return for_comparison(what, value, unit) if target is None else at_most(what, value, unit, target)


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
    answers = [matcher.index.match(call) for call in incoming]
    rows = _measure_index(size, matcher, incoming, answers)
    rows += _measure_matcher(matcher, sets, incoming)
    loop_us = _measure_loop(loop, [settings_of(filter_set) for filter_set in sets], matcher, incoming)
    tuned_us = _measure_loop(tuned_loop, [rules_of(filter_set) for filter_set in sets], matcher, incoming)
    rows.append(for_comparison(f"{size:,}: loop over dataclasses", loop_us, "µs"))
    rows.append(for_comparison(f"{size:,}: tuned loop over tuples", tuned_us, "µs"))
    repeat_us = next(row.value for row in rows if row.what.endswith("repeat call"))
    faster, target = loop_us / repeat_us, TIMES_FASTER.get(size)
    what = f"{size:,}: repeat call against the loop"
    rows.append(for_comparison(what, faster, "x") if target is None else at_least(what, faster, "x", target))
    rows.append(_row(f"{size:,}: memory", memory_mb, "MB", MEMORY_MB.get(size)))
    rows.append(for_comparison(f"{size:,}: load", load_s, "s"))
    passing = statistics.mean(len(answer) for answer in answers) / size
    rows.append(for_comparison(f"{size:,}: sets that pass a call", 100 * passing, "%"))
    return rows


def _measure_index(size: int, matcher: Matcher, incoming: list[Call], answers: list[Rows]) -> list[Row]:
    index = matcher.index
    seen: list[Words] = []
    for answer in answers:
        bitmap = index.bitmap()
        add_rows(bitmap, answer)
        seen.append(bitmap)
    repeats = list(zip(incoming, seen, strict=True))
    if any(index.match(*repeat).size for repeat in repeats):
        raise WrongAnswerError("a repeat call found somebody new")
    batch = incoming[:BATCH]
    if any(map(_differ, index.match_batch(batch), answers)):
        raise WrongAnswerError("a batch differs from its calls one by one")
    first_us = _median_us(index.match, [(call,) for call in incoming], rounds=5)
    repeat_us = _median_us(index.match, repeats, rounds=15)
    batch_us = _median_us(index.match_batch, [(batch,)], rounds=15) / BATCH
    return [
        _row(f"{size:,}: first call", first_us, "µs", FIRST_CALL_US.get(size)),
        _row(f"{size:,}: repeat call", repeat_us, "µs", REPEAT_CALL_US.get(size)),
        for_comparison(f"{size:,}: first call, in a batch of {BATCH}", batch_us, "µs"),
    ]


def _differ(one: Rows, other: Rows) -> bool:
    return one.tolist() != other.tolist()


def _measure_matcher(matcher: Matcher, sets: list[FilterSet], incoming: list[Call]) -> list[Row]:
    """The whole decision: flow chart, match, one set for each subscriber, memory of the token."""
    size, now = len(sets), incoming[0].received_at
    first_us = _median_us(matcher.decide, [(call, now) for call in incoming])
    again = [
        (msgspec.structs.replace(call, channel=Channel(id=channel)), now + timedelta(seconds=1))
        for channel in CHANNELS[:10]
        for call in incoming
    ]
    _median_us(matcher.decide, again[:CALLS])
    return [
        for_comparison(f"{size:,}: decision at the first call", first_us, "µs"),
        for_comparison(f"{size:,}: decision at a new channel's call", _median_us(matcher.decide, again[CALLS:]), "µs"),
        _row(f"{size:,}: one change", _measure_changes(matcher, sets), "µs", CHANGE_US.get(size)),
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


def _measure_loop(
    peer: Callable[[Sequence[Any], Call], list[int]], everybody: list[Any], matcher: Matcher, incoming: list[Call]
) -> float:
    """Also the reference that the index is checked against, after the changes."""
    index = matcher.index
    count = min(len(incoming), max(4, LOOPED_SETS // len(everybody)))
    times_us: list[float] = []
    for call in incoming[:count]:
        start = perf_counter_ns()
        expected = peer(everybody, call)
        times_us.append((perf_counter_ns() - start) / 1000)
        if sorted(index.owners[index.match(call)].tolist()) != expected:
            raise WrongAnswerError("the index differs from the loop")
    return statistics.median(times_us)
