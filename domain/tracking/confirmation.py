"""When a price is believed: wicks, single bad marks and pools without money in them reach no rung.

The last `CONFIRM_TICKS` accepted ticks of a token are its evidence. A level counts as reached when every tick at their
end stands at or above it, and this end

- has `CONFIRM_TICKS` ticks, or
- lasts `CONFIRM_S` seconds, or
- comes from two sources,

and the pool can pay for it. Where nobody has said lately how much is in the pool, the price has jumped out of every
proportion, or its source is doubted (`doubts.py`), only a second source counts. Falls need the evidence and no pool:
they are real without one. After a gap evidence begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

CONFIRM_TICKS: Final = 3
"""A wick is one trade and the one that undoes it; a third one at the same height is a market."""
CONFIRM_S: Final = 30.0
"""Bots undo a wick within a few blocks of 0.4 s. Two readings of a poll are at least so far apart."""
GAP_S: Final = 600.0
"""Longer without a tick, and a peak may have passed unseen. Readings every 10 minutes still see about 96 % of it."""

POSITION_USD: Final = 200.0
"""What somebody has at stake around the first milestones: about 1 SOL."""
MAX_PRICE_IMPACT: Final = 0.10
"""What selling it may cost before the multiple is worth less than it says."""
MIN_LIQUIDITY_USD: Final = 2 * POSITION_USD * (1 / MAX_PRICE_IMPACT - 1)
"""Both sides of a constant-product pool: selling s into a side of R pays R*s/(R+s), so R has to be s*(1/impact - 1)."""
LIQUIDITY_FRESH_S: Final = 600.0
"""After that it counts as unknown."""

NEAR: Final = 10.0
"""Two ticks in a row within this factor of each other agree."""
ABSURD: Final = 1000.0
"""Off by this factor from the last price that was agreed on, a mark needs money behind it, and a second source."""

MOVED_BY: Final = 0.002
"""Two sources that round one price to four digits differ by 0.1 % at most; so much again, and somebody has traded: $20
in a pool of $40,000. It is measured from where the price last moved, so that small trades add up."""

MIN_PRICE_USD: Final = 1e-30
MAX_PRICE_USD: Final = 1e30
"""What lies outside is no price, and would not fit single precision with all its multiples."""


class Tick(NamedTuple):
    price: float
    at: float
    source: int
    entries: int
    """How many entries the token had: later ones have not seen it."""
    after_gap: bool
    doubted: bool
    """Only with one of another source beside it that is near is it evidence: what is far off would carry any wick."""


_PRICE: Final = itemgetter(0)


class Level(NamedTuple):
    price: float
    at: float
    """When it was reached."""
    entries: int
    """It counts for so many of the token's entries, from the first on."""
    after_gap: bool
    """Nobody can say when it was reached."""


def is_near(price: float, other: float) -> bool:
    return 1 / NEAR <= price / other <= NEAR


def is_absurd(price: float, settled: float) -> bool:
    return not 1 / ABSURD < price / settled < ABSURD


def has_moved(price: float, moved_from: float) -> bool:
    return abs(price - moved_from) > MOVED_BY * moved_from


def pays(liquidity_usd: float | None) -> bool | None:
    """Whether the pool carries a position; `None` where it is unknown."""
    return None if liquidity_usd is None else liquidity_usd >= MIN_LIQUIDITY_USD


def reached(ticks: Sequence[Tick], *, carried: bool | None) -> Level | None:
    """The highest level that the latest ticks confirm; `carried` as `pays` says."""
    if carried is False:
        return None
    evidence = _evidence(ticks, needs_source=carried is None)
    return _level(evidence, min(map(_PRICE, evidence))) if evidence else None


def fallen_to(ticks: Sequence[Tick]) -> Level | None:
    """The lowest level that the latest ticks confirm from above."""
    evidence = _evidence(ticks, needs_source=False)
    return _level(evidence, max(map(_PRICE, evidence))) if evidence else None


def _level(evidence: Sequence[Tick], price: float) -> Level:
    first = evidence[0]
    return Level(price, first.at, first.entries, first.after_gap)


def _evidence(ticks: Sequence[Tick], *, needs_source: bool) -> Sequence[Tick]:
    """The shortest end of `ticks` that is enough, which confirms most and for most entries; empty if none is."""
    last = ticks[-1]
    needs_source = needs_source or last.doubted
    for place in range(len(ticks) - 2, -1, -1):
        tick = ticks[place]
        needs_source = needs_source or tick.doubted
        if tick.source != last.source and (is_near(tick.price, last.price) or not (tick.doubted or last.doubted)):
            return ticks[place:]
        if not needs_source and (len(ticks) - place >= CONFIRM_TICKS or last.at - tick.at >= CONFIRM_S):
            return ticks[place:]
    return ()
