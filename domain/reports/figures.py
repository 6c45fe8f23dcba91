"""What reports say, in numbers: of what somebody got, of the best calls, of presets and of channels.

Rates are by token, with their interval and beside the base rate; `domain.tracking.records` has the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain.reports.pictures import MAX_POINTS
from domain.tracking.outcome import HORIZONS_S, Outcome
from domain.tracking.records import Rate, Record, first_calls, record

BEST: Final = 3
"""Calls that are named in a report about more."""
TOP: Final = 5
RANKED: Final = 8
_NAME: Final = 14
_SIGNS: Final = 6
"""Characters of a name and of an address beside each other."""
_DAY_S: Final = HORIZONS_S[1]


class Window(Struct, frozen=True, kw_only=True):
    start: datetime
    end: datetime

    @property
    def days(self) -> int:
        return round((self.end - self.start).total_seconds() / 86_400)


class TrackedCall(Struct, frozen=True, kw_only=True):
    """A call as it stands."""

    number: int
    name: str
    """Attacker-controlled text, like the channel's."""
    channel: str
    outcome: Outcome
    told_at: float | None = None
    """When somebody was alerted to it."""
    market_cap_usd: float | None = None
    set_number: int = 0


class ReportedCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call as a report names it."""

    number: int
    name: str
    channel: str
    multiple: float
    after_s: float
    is_least: bool = False
    """It may have been higher, or may become so."""


class PersonFigures(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="person"):
    record: Record
    best: tuple[ReportedCall, ...] = ()


class BestFigures(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="best"):
    calls: tuple[ReportedCall, ...]
    base: Rate | None = None


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel, or a preset by its name or key, among others."""

    name: str
    tokens: int
    wins: Rate | None = None
    """`None` below `MIN_TOKENS`."""
    median_multiple: float | None = None
    average_multiple: float | None = None
    best: ReportedCall | None = None


class ChannelFigures(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="channels"):
    standings: tuple[Standing, ...]
    base: Rate | None = None
    of: int = 0
    """Channels with enough tokens to be ranked."""


class PresetFigures(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="presets"):
    standings: tuple[Standing, ...]
    base: Rate | None = None


Figures = PersonFigures | BestFigures | ChannelFigures | PresetFigures


class EquityPoint(Struct, frozen=True):
    at: float
    won: float
    """Stakes, all together."""


class EquityCurve(Struct, frozen=True):
    points: tuple[EquityPoint, ...]
    missing: int
    """Alerts of which nothing is known, and which are left out."""


def person_figures(calls: Sequence[TrackedCall], as_of: datetime, base: Rate | None) -> PersonFigures:
    return PersonFigures(
        record=record([call.outcome for call in calls], as_of=as_of.timestamp(), base=base),
        best=listed(best_of(calls, BEST)),
    )


def best_of(calls: Iterable[TrackedCall], count: int) -> list[TrackedCall]:
    """The highest multiples, each token by its first call."""
    by_outcome = {id(call.outcome): call for call in calls}
    firsts = [by_outcome[id(one)] for one in first_calls([call.outcome for call in by_outcome.values()])]
    return sorted(firsts, key=lambda call: (-call.outcome.peak_multiple, call.outcome.called_at))[:count]


def listed(calls: Sequence[TrackedCall]) -> tuple[ReportedCall, ...]:
    """The calls of one list: tokens that share a name are told apart by the first signs of their addresses."""
    found = [reported(call) for call in calls]
    shared = Counter(one.name.casefold() for one in found)
    return tuple(
        one if shared[one.name.casefold()] == 1 else _with_signs(one, call.outcome.token)
        for one, call in zip(found, calls, strict=True)
    )


def _with_signs(one: ReportedCall, address: str) -> ReportedCall:
    return replace(one, name=f"{one.name[:_NAME]} {address[:_SIGNS]}…")


def reported(call: TrackedCall) -> ReportedCall:
    outcome = call.outcome
    return ReportedCall(
        number=call.number,
        name=call.name or outcome.token,
        channel=call.channel,
        multiple=outcome.peak_multiple,
        after_s=outcome.peak_after_s,
        is_least=outcome.at_least or outcome.ended_at is None,
    )


def standing_of(name: str, calls: Sequence[TrackedCall], as_of: datetime) -> Standing:
    kept = record([call.outcome for call in calls], as_of=as_of.timestamp())
    best = best_of(calls, 1)
    return Standing(
        name=name,
        tokens=kept.tokens,
        wins=kept.wins,
        median_multiple=kept.median_multiple,
        average_multiple=kept.average_multiple,
        best=reported(best[0]) if best else None,
    )


def ranked(standings: Iterable[Standing]) -> list[Standing]:
    """By what their rate is at least; those with too few tokens last."""
    return sorted(standings, key=lambda one: (-(one.wins.low_percent if one.wins else -1.0), -one.tokens, one.name))


def multiples_of(calls: Sequence[TrackedCall]) -> tuple[float, ...]:
    """The highest multiple of each token, at most so many as can be drawn."""
    firsts = first_calls([call.outcome for call in calls])
    return tuple(one.peak_multiple for one in firsts[-MAX_POINTS:])


def sold_at_best(calls: Sequence[TrackedCall]) -> EquityCurve:
    """Bought as the alert came, sold at the highest confirmed price since: nobody can do better."""
    return _curve(calls, lambda call: call.outcome.counted_reachable)


def held_for_a_day(calls: Sequence[TrackedCall]) -> EquityCurve:
    """Bought at the price of the call, sold a day later; what was dead by then is lost."""
    return _curve(calls, lambda call: _after_a_day(call.outcome))


def _curve(calls: Sequence[TrackedCall], multiple_of: Callable[[TrackedCall], float | None]) -> EquityCurve:
    firsts = {id(one) for one in first_calls([call.outcome for call in calls])}
    counted = sorted((call for call in calls if id(call.outcome) in firsts), key=_at)
    known = [(call, multiple) for call in counted if (multiple := multiple_of(call)) is not None]
    won = accumulate(multiple - 1 for _, multiple in known)
    points = [EquityPoint(_at(call), total) for (call, _), total in zip(known, won, strict=True)]
    return EquityCurve(tuple(points[-MAX_POINTS:]), len(counted) - len(known))


def _at(call: TrackedCall) -> float:
    return call.outcome.called_at if call.told_at is None else call.told_at


def _after_a_day(outcome: Outcome) -> float | None:
    multiple = outcome.returns.get(_DAY_S)
    if multiple is None and outcome.died and (outcome.ended_at or 0.0) <= outcome.called_at + _DAY_S:
        return 0.0
    return multiple
