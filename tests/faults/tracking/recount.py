"""What became of calls, by a plain program that has nothing but the raw ticks, and knows when a pool was emptied.

A level counts when two ticks in a row stand at or above it: they are further apart than what confirms a price, and
providers say all the time that the pool can pay for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from domain.tracking.confirmation import GAP_S, MOVED_BY
from domain.tracking.ladder import MILESTONES
from domain.tracking.outcome import FALLEN_SILENT_FOR_S, FALLEN_TO, HORIZONS_S, SILENT_FOR_S, THIN_FOR_S
from services.tracking.endings import LATE_BY
from tests.faults.tracking.lives import STEP_S, Life

Ticks = Sequence[tuple[float, float]]

FOUND_WITHIN_S: Final = 4 * STEP_S
"""That a call has ended: the next answer of a provider, and the next look at its part."""
ASKED_BEFORE_S: Final = STEP_S
"""A price is of the moment at which it was asked for; while a request is on its way the clock leaps by a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    peak_multiple: float
    milestones: dict[float, float]
    """Rung -> when it was reached, those that people are told of without asking."""
    returns: dict[int, frozenset[float] | None]
    """Horizon -> the multiples that may be told, from the price before that time to the last one that is not too late;
    `None` where the call has ended before. A horizon that is absent may be told or not."""
    ending: str
    ends_s: float


def recount(life: Life, ticks: Ticks, *, called_s: float, price_usd: float, tracked_for_s: float) -> Expected:
    """Return what became of a call at this time and price; times are seconds since the beginning."""
    ending, ends_s = _end(life, ticks, called_s, tracked_for_s)
    seen = [(at_s, price) for at_s, price in ticks if called_s <= at_s <= ends_s]
    levels = list(_levels(seen))
    return Expected(
        peak_multiple=max([price_usd, *(price for _, price in levels)]) / price_usd,
        milestones={
            rung: at_s
            for rung in sorted(MILESTONES)
            if (at_s := next((at_s for at_s, price in levels if price / price_usd >= rung), None)) is not None
        },
        returns=dict(_returns(life, ticks, called_s, price_usd, ends_s)),
        ending=ending,
        ends_s=ends_s,
    )


def _levels(seen: Ticks) -> Iterator[tuple[float, float]]:
    for (at_s, price), (_, following) in pairwise(seen):
        yield at_s, min(price, following)


def _end(life: Life, ticks: Ticks, called_s: float, tracked_for_s: float) -> tuple[str, float]:
    ends = [(called_s + tracked_for_s, "age")]
    if life.end == "liquidity":
        ends.append((life.dies_s + THIN_FOR_S, "liquidity"))
    ends.extend(_silences(ticks))
    ends_s, ending = min(one for one in ends if one[0] > called_s)
    return ending, ends_s


def _silences(ticks: Ticks) -> Iterator[tuple[float, str]]:
    highest = moved_s = moved_from = before = 0.0
    for at_s, price in ticks:
        highest, before = max(highest, min(price, before)), price
        if abs(price - moved_from) > MOVED_BY * moved_from:
            moved_s, moved_from = at_s, price
        if at_s - moved_s >= SILENT_FOR_S:
            yield at_s, "silence"
        if at_s - moved_s >= FALLEN_SILENT_FOR_S and price <= FALLEN_TO * highest:
            yield at_s, "fallen"


def _returns(
    life: Life, ticks: Ticks, called_s: float, price_usd: float, ends_s: float
) -> Iterator[tuple[int, frozenset[float] | None]]:
    for horizon in HORIZONS_S:
        due_s = called_s + horizon
        if due_s > ends_s + FOUND_WITHIN_S:
            yield horizon, None
        elif due_s < ends_s - FOUND_WITHIN_S:
            latest_s = due_s + LATE_BY * horizon
            since_s = max(at_s for at_s, _ in ticks if at_s < due_s)
            if due_s - since_s > GAP_S:
                continue  # nobody said what it cost then
            in_time = [(at_s, price) for at_s, price in ticks if since_s <= at_s <= latest_s]
            # A tick may be a wick; providers say what it costs else.
            said = (price for at_s, tick in in_time for price in (tick, life.told(at_s)))
            yield horizon, frozenset(price / price_usd for price in said)
