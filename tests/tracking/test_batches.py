"""Ticks that are looked at together come to exactly what they come to one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from domain.tracking.confirmation import GAP_S, MIN_LIQUIDITY_USD
from domain.tracking.crossings import Crossing, Crossings
from domain.tracking.snapshot import dump, restore
from domain.tracking.tracker import Tracker

BEGAN = 1_800_000_000.0
RICH = 10 * MIN_LIQUIDITY_USD
TOKENS = 3


class Tick(NamedTuple):
    token: int
    step: float
    """The market moves by it."""
    off: float
    """And the source says so many times that."""
    after_s: float
    source: int
    liquidity_usd: float


class Call(NamedTuple):
    token: int
    factor: float
    ago_s: float


class End(NamedTuple):
    token: int
    place: int


class Closing(NamedTuple):
    """Of a gap."""

    token: int
    factor: float


class Restart(NamedTuple):
    pass


Happening = list[Tick] | Call | End | Closing | Restart

token = st.integers(0, TOKENS - 1)
step = st.sampled_from([1.0, 1.001, 1.0019, 0.9985, 1.005, 0.9965, 1.03, 0.97, 1.25, 1.6, 0.75, 0.4, 2.0, 4.0])
far_off = st.sampled_from([1.0] * 9 + [1.5, 40.0, 0.02, 2e3, 1e-4, 1e6])
unreadable = st.sampled_from([1.0] * 9 + [math.nan, math.inf, 0.0, -1.0, 1e300])
usual = {
    "step": step,
    "off": st.just(1.0),
    "after_s": st.sampled_from([0.5, 1.0, 12.0]),
    "source": st.just(1),
    "liquidity_usd": st.just(math.nan),
}
source = st.sampled_from([1, 1, 1, 2])
rich = st.sampled_from([math.nan, RICH])
unusual: tuple[dict[str, st.SearchStrategy[Any]], ...] = (
    {},
    {"source": source},
    {"off": far_off, "liquidity_usd": rich},
    {"off": far_off, "liquidity_usd": rich, "source": source},
    {"step": st.sampled_from([1.0, 1.0, 1.25, 1.25, 30.0, 900.0, 1 / 900]), "liquidity_usd": rich},
    {"off": unreadable},
    {"after_s": st.sampled_from([1.0, 31.0, 250.0, GAP_S])},
    {"after_s": st.sampled_from([1.0] * 9 + [GAP_S + 1]), "source": source},
    {"after_s": st.sampled_from([1.0] * 9 + [0.0, 0.0, -1.0]), "source": source},
    {"liquidity_usd": st.sampled_from([math.nan, RICH, MIN_LIQUIDITY_USD, MIN_LIQUIDITY_USD - 1, 400.0, -1.0])},
)
"""In what the ticks of a batch are not those of a calm market."""


def batch(what: dict[str, st.SearchStrategy[Any]], tokens: st.SearchStrategy[int]) -> st.SearchStrategy[list[Tick]]:
    return st.lists(st.builds(Tick, tokens, **(usual | what)), min_size=1, max_size=16)


calls = st.builds(Call, token, st.sampled_from([1.0, 0.5, 1.3, 2.0, 30.0, 0.01]), st.sampled_from([0.0, 60.0, 4000.0]))
happenings = st.one_of(
    *(batch(what, tokens) for what in unusual for tokens in (token, st.just(0))),
    calls,
    st.builds(End, token, st.integers(0, 9)),
    st.builds(Closing, token, st.sampled_from([0.5, 1.0, 2.5])),
    st.just(Restart()),
)


class Twin:
    """One market, before a tracker that takes its ticks together, or one after the other."""

    def __init__(self, *, together: bool) -> None:
        self.together = together
        self.tracker = Tracker(many=1)
        self.now = BEGAN
        self.market = [1.0] * TOKENS
        for number in range(TOKENS):
            self.tracker.open(f"token-{number}", 1.0, BEGAN)
            for _ in range(3):
                self.now += 1
                self.tracker.update(number, 1.0, self.now, 1, RICH)

    def live(self, happening: Happening) -> list[tuple[bool, list[Crossing]]]:
        match happening:
            case Call(number, factor, ago_s):
                price = self.market[number] * factor
                self.tracker.add(number, 7, called_at=math.floor(self.now - ago_s), price_usd=price)
            case End(number, place):
                ids = self.tracker.watching.entries[number].column("id").tolist()
                self.tracker.remove(number, ids[place : place + 1])
            case Closing(number, factor):
                return _plain(self.tracker.close_gap(number, self.market[number] * factor, self.now - 30, self.now))
            case Restart():
                data = dump(self.tracker)
                self.tracker = Tracker(many=1)
                restore(self.tracker, data)
            case [*ticks]:
                return self.take_in(ticks)
        return []

    def take_in(self, ticks: Sequence[Tick]) -> list[tuple[bool, list[Crossing]]]:
        tokens, sources = np.array([t.token for t in ticks]), np.array([t.source for t in ticks], dtype=np.uint16)
        money = np.array([tick.liquidity_usd for tick in ticks])
        prices, ats = np.empty(len(ticks)), np.empty(len(ticks))
        for place, tick in enumerate(ticks):
            self.now += tick.after_s
            self.market[tick.token] = min(1e12, max(1e-12, self.market[tick.token] * tick.step))
            prices[place], ats[place] = self.market[tick.token] * tick.off, self.now
        if self.together:
            return _plain(self.tracker.update_batch(tokens, prices, ats, sources, money))
        rows = zip(*(column.tolist() for column in (tokens, prices, ats, sources, money)), strict=True)
        return _plain(
            [
                crossings
                for number, price, at, who, usd in rows
                for crossings in self.tracker.update(number, price, at, who, None if math.isnan(usd) else usd)
            ]
        )


def _plain(found: Sequence[Crossings]) -> list[tuple[bool, list[Crossing]]]:
    return [(crossings.is_up, list(crossings)) for crossings in found]


STILL = Tick(0, 1.0, 1.0, 1.0, 1, math.nan)
WAS_OFF = [STILL._replace(off=2e3, liquidity_usd=RICH), STILL._replace(step=5.0)]
AGREES = STILL._replace(step=1.6, source=2, liquidity_usd=400.0)
FAR_FROM_THE_FIRST = STILL._replace(step=7.5, source=2, liquidity_usd=RICH)


@given(st.lists(calls, min_size=1, max_size=6), st.lists(happenings, min_size=1, max_size=12))
@example([], [[STILL], Call(0, 2.0, 0.0), [STILL._replace(after_s=0.0)], [STILL, STILL]])
@example([Call(0, 1.0, 0.0)], [[*WAS_OFF, AGREES], [FAR_FROM_THE_FIRST]])
def test_many_ticks_together_are_the_same_as_one_after_the_other(some: list[Call], then: list[Happening]) -> None:
    together, singly = Twin(together=True), Twin(together=False)
    for happening in [*some, *then]:
        assert together.live(happening) == singly.live(happening)
        assert sorted(together.tracker.uncertain) == sorted(singly.tracker.uncertain)
        assert together.tracker.refused == singly.tracker.refused
        for number in range(TOKENS):
            assert together.tracker.standings(number) == singly.tracker.standings(number)
            assert together.tracker.next_up(number) == singly.tracker.next_up(number)
            for who in (1, 2):
                assert together.tracker.is_doubted(number, who) == singly.tracker.is_doubted(number, who)
        assert dump(together.tracker) == dump(singly.tracker)
