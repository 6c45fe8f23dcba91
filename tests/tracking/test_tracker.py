from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.tracking.confirmation import GAP_S, MIN_LIQUIDITY_USD
from domain.tracking.crossings import Crossing
from domain.tracking.ladder import DOWNS, UPS
from domain.tracking.snapshot import dump, restore
from domain.tracking.tracker import Tracker
from tests.tracking.oracle import PlainEntry, PlainToken

BEGAN = 1_800_000_000.0
RICH = 10 * MIN_LIQUIDITY_USD

near = st.sampled_from([1.0, 1.001, 0.9995, 1.003, 1.1, 1.3, 2.0, 2.5, 0.9, 0.6, 0.45, 0.25])
far = st.sampled_from([5.0, 12.0, 60.0, 400.0, 1200.0, 1e4, 1e7, 0.08, 0.02, 1e-3, 1e-4])
factors = st.one_of(near, near, near, far)
broken = st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e300])
steps = st.sampled_from([0.0, 0.4, 1.0, 15.0, 31.0, 180.0, 599.0, GAP_S + 1])
liquidity = st.sampled_from([None, None, 0.0, 400.0, MIN_LIQUIDITY_USD, RICH, RICH, math.nan, -1.0, 1e300])
ticks = st.tuples(st.integers(0, 2), factors, steps, st.integers(0, 1), liquidity)


def flat(found: Any) -> list[Crossing]:
    return [crossing for crossings in found for crossing in crossings]


class TrackerAgreesWithThePlainOne(RuleBasedStateMachine):
    """Whatever comes and goes: the same rungs, peaks and states, and no rung of an entry twice."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = Tracker(many=1)
        self.plain: dict[str, PlainToken] = {}
        self.given: Counter[tuple[int, float]] = Counter()
        self.now = BEGAN

    @initialize(entries=st.integers(1, 9))
    def begin(self, entries: int) -> None:
        for address in "abc":
            self.open(address)
            for number in range(entries):
                self.add(address, 1.0 + number / 10, 0.0)

    def open(self, address: str) -> PlainToken:
        if address not in self.plain:
            number = self.tracker.open(address, 1.0, self.now)
            self.plain[address] = PlainToken(number, 1.0, self.now, 1.0, settled=1.0, moved=(1.0, self.now))
        return self.plain[address]

    def compare(self, found: list[Crossing], expected: list[Crossing]) -> None:
        assert sorted(found) == sorted(expected)
        self.given.update((crossing.entry, crossing.multiple) for crossing in found)

    @rule(address=st.sampled_from("abc"), factor=factors, ago=st.sampled_from([0.0, 3.0, 300.0, 7200.0]))
    def add(self, address: str, factor: float, ago: float) -> None:
        plain = self.open(address)
        price = min(1e20, max(1e-20, plain.settled * factor))
        called_at = math.floor(self.now - ago)
        entry_id = self.tracker.add(plain.number, 7, called_at=called_at, price_usd=price, market_cap_usd=None)
        late = plain.at - called_at > GAP_S
        plain.entries.append(PlainEntry(entry_id, 7, price, called_at, late, price, called_at))
        plain.ath = max(plain.ath, price)

    @rule(
        address=st.sampled_from("abc"),
        some=st.lists(st.tuples(factors, st.sampled_from([0.0, 3.0, 300.0, 7200.0])), max_size=9),
    )
    def add_many(self, address: str, some: list[tuple[float, float]]) -> None:
        plain = self.open(address)
        prices = [min(1e20, max(1e-20, plain.settled * factor)) for factor, _ in some]
        ats = [float(math.floor(self.now - ago)) for _, ago in some]
        unknown = np.full(len(some), math.nan)
        ids = self.tracker.add_many(
            plain.number, np.full(len(some), 7, dtype=np.uint32), np.array(ats), np.array(prices), unknown
        )
        for entry_id, price, at in zip(ids, prices, ats, strict=True):
            plain.entries.append(PlainEntry(entry_id, 7, price, at, plain.at - at > GAP_S, price, at))
            plain.ath = max(plain.ath, price)

    def values(self, plain: PlainToken, tick: tuple[int, float, float, int, float | None]) -> tuple[Any, ...]:
        _, factor, step, source, liquidity_usd = tick
        self.now += step
        return min(1e25, max(1e-25, plain.settled * factor)), self.now, source, liquidity_usd

    @rule(some=st.lists(ticks, min_size=1, max_size=6))
    def update(self, some: list[tuple[int, float, float, int, float | None]]) -> None:
        for tick in some:
            plain = self.open("abc"[tick[0]])
            values = self.values(plain, tick)
            self.compare(flat([*self.tracker.update(plain.number, *values)]), plain.update(*values))

    @rule(token=st.integers(0, 2), factor=factors, source=st.integers(0, 1), step=steps)
    def hold(self, token: int, factor: float, source: int, step: float) -> None:
        """A price that lasts, in a market with money."""
        plain = self.open("abc"[token])
        price = min(1e25, max(1e-25, plain.settled * factor))
        for _ in range(3):
            self.now += step
            values = (price, self.now, source, RICH)
            self.compare(flat(self.tracker.update(plain.number, *values)), plain.update(*values))

    @rule(some=st.lists(ticks, min_size=1, max_size=8), with_liquidity=st.booleans())
    def update_batch(self, some: list[tuple[int, float, float, int, float | None]], *, with_liquidity: bool) -> None:
        rows: list[tuple[int, float, float, int, float]] = []
        expected: list[Crossing] = []
        for tick in some:
            plain = self.open("abc"[tick[0]])
            price, at, source, liquidity_usd = self.values(plain, tick)
            liquidity_usd = liquidity_usd if with_liquidity else None
            expected += plain.update(price, at, source, liquidity_usd)
            rows.append((plain.number, price, at, source, math.nan if liquidity_usd is None else liquidity_usd))
        tokens, prices, ats, sources, liquidities = zip(*rows, strict=True)
        found = self.tracker.update_batch(
            np.array(tokens, dtype=np.intp),
            np.array(prices),
            np.array(ats),
            np.array(sources, dtype=np.uint16),
            np.array(liquidities) if with_liquidity else None,
        )
        self.compare(flat(found), expected)

    @rule(address=st.sampled_from("abc"), price=broken, liquidity_usd=liquidity)
    def break_it(self, address: str, price: float, liquidity_usd: float | None) -> None:
        plain = self.open(address)
        assert not self.tracker.update(plain.number, price, self.now, 0, liquidity_usd)
        assert not self.tracker.update(plain.number, plain.price, math.nan, 0, liquidity_usd)

    @rule(address=st.sampled_from("abc"), age=st.sampled_from([0.0, 1.0, 500.0]), factor=factors)
    def repeat_or_come_late(self, address: str, age: float, factor: float) -> None:
        plain = self.open(address)
        price, source = (plain.price * factor, 1) if age else (plain.price, plain.source or 0)
        values = (min(1e25, max(1e-25, price)), plain.at - age, source, None)
        self.compare(flat(self.tracker.update(plain.number, *values)), plain.update(*values))

    @precondition(lambda self: any(token.entries for token in self.plain.values()))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        plain = data.draw(st.sampled_from([token for token in self.plain.values() if token.entries]))
        gone = data.draw(st.sets(st.sampled_from([entry.id for entry in plain.entries]), min_size=1))
        assert self.tracker.remove(plain.number, [*gone, 10**9]) == len(gone)
        plain.entries = [entry for entry in plain.entries if entry.id not in gone]

    @precondition(lambda self: any(token.entries for token in self.plain.values()))
    @rule(data=st.data(), rung=st.sampled_from([1.2, 2.0, 10.0, 0.5]))
    def mark(self, data: st.DataObject, rung: float) -> None:
        plain = data.draw(st.sampled_from([token for token in self.plain.values() if token.entries]))
        entry = data.draw(st.sampled_from(plain.entries))
        self.tracker.mark_reached(plain.number, entry.id, rung)
        entry.reached |= {other for other in UPS if other <= rung} if rung > 1 else {o for o in DOWNS if o >= rung}

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.plain)))
        self.tracker.close(self.plain.pop(address).number)
        assert address not in self.tracker

    @rule(parts=st.integers(1, 2))
    def restart(self, parts: int) -> None:
        addresses = self.tracker.addresses
        snapshots = [dump(self.tracker, addresses[part::parts]) for part in range(parts)]
        self.tracker = Tracker(many=1)
        restored = [address for data in snapshots for address in restore(self.tracker, data)]
        assert sorted(restored) == sorted(addresses)
        for address, plain in self.plain.items():
            plain.number = self.tracker.number_of(address)
            if plain.price != plain.settled:
                plain.price, plain.source = plain.settled, None
            plain.resumed = True
            plain.forget_evidence()

    @invariant()
    def nothing_is_given_twice(self) -> None:
        assert not [what for what, times in self.given.items() if times > 1]

    @invariant()
    def everything_stands_as_it_should(self) -> None:
        assert self.tracker.count == sum(len(plain.entries) for plain in self.plain.values())
        for plain in self.plain.values():
            state = self.tracker.state(plain.number)
            assert (state.price_usd, state.at, state.ath_usd) == (plain.settled, plain.at, plain.ath)
            assert (state.liquidity_usd, state.gap) == (plain.liquidity, plain.gap)
            assert state.moved_at == plain.moved[1]
            assert state.wick_usd == (plain.wick if plain.wick > plain.ath else None)
            found = [
                (entry.entry, entry.price_usd, entry.called_at, entry.peak_usd, entry.peak_at, entry.at_least)
                for entry in self.tracker.standings(plain.number)
            ]
            gap_to = plain.gap[1] if plain.gap else 0.0
            assert found == [
                (e.id, e.price, e.called_at, e.peak, e.peak_at, e.late or gap_to > e.called_at) for e in plain.entries
            ]


TestTracker = pytest.mark.timeout(300)(TrackerAgreesWithThePlainOne.TestCase)
TestTracker.settings = settings(max_examples=40, stateful_step_count=30)

LEVELS = (1.0, 1.15, 1.25, 1.6, 2.1, 2.6, 3.3, 0.8, 0.6, 0.4)
happenings = st.one_of(
    st.tuples(st.just("tick"), st.sampled_from(LEVELS)),
    st.tuples(st.just("tick"), st.sampled_from(LEVELS)),
    st.tuples(st.just("call"), st.sampled_from(LEVELS)),
    st.tuples(st.just("end"), st.integers(0, 5)),
)


@given(st.lists(happenings, min_size=10, max_size=60), st.integers(1, 7))
def test_calls_come_and_end_while_a_level_is_being_confirmed(some: list[tuple[str, float]], batch: int) -> None:
    """One token with money behind it, ticks a second apart, in batches of any size."""
    tracker = Tracker(many=1)
    number = tracker.open("a", 1.0, BEGAN)
    plain = PlainToken(number, 1.0, BEGAN, 1.0, settled=1.0)
    rows: list[tuple[float, float]] = []
    expected: list[Crossing] = []
    found: list[Crossing] = []

    def take_in() -> None:
        if rows:
            count = len(rows)
            prices, ats = (np.array(column) for column in zip(*rows, strict=True))
            sources, money = np.ones(count, dtype=np.uint16), np.full(count, RICH)
            found.extend(flat(tracker.update_batch(np.full(count, number), prices, ats, sources, money)))
            rows.clear()

    for step, (what, value) in enumerate(some):
        at = BEGAN + 1 + step
        if what == "tick":
            expected += plain.update(value, at, 1, RICH)
            rows.append((value, at))
            if len(rows) >= batch:
                take_in()
            continue
        take_in()
        if what == "call":
            entry_id = tracker.add(number, 7, called_at=at, price_usd=value)
            plain.entries.append(PlainEntry(entry_id, 7, value, at, False, value, at))
        elif value < len(plain.entries):
            gone = plain.entries.pop(int(value))
            tracker.remove(number, [gone.id])
    take_in()
    assert sorted(found) == sorted(expected)
    assert [(s.entry, s.peak_usd, s.peak_at) for s in tracker.standings(number)] == [
        (e.id, e.peak, e.peak_at) for e in plain.entries
    ]
