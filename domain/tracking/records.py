"""What many calls became, in numbers that flatter nobody.

Each token counts once, by its first call: reposts add nothing. Open calls count as they stand, dead ones with what they
reached, so survivors are not favoured; the median stands beside the mean, which one lucky call can make. Below
`MIN_TOKENS` only counts are given. A rate says little without the base rate: the same share of all tracked tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Final, Literal

from msgspec import Struct

from domain.calls.statistics import wilson_lower_percent
from domain.tracking.outcome import HORIZONS_S, Outcome

MIN_TOKENS: Final = 5
"""With fewer, the interval covers most of what is possible: 2 of 4 may be 15 % or 85 %."""
WIN_MULTIPLE: Final = 2.0
Window = Literal["life", "30d", "7d", "24h"]
WINDOWS: Final[dict[Window, timedelta | None]] = {
    "life": None,
    "30d": timedelta(days=30),
    "7d": timedelta(days=7),
    "24h": timedelta(days=1),
}
"""Of which records are kept; `None` is the whole life."""


class Rate(Struct, frozen=True):
    """A share with its two-sided 95 % Wilson score interval, in percent."""

    hits: int
    n: int
    percent: float
    low_percent: float
    high_percent: float


class Returns(Struct, frozen=True):
    """Multiples at one horizon, of the calls that are old enough."""

    n: int
    median_multiple: float
    average_multiple: float


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    calls: int
    """Reposts included."""
    tokens: int
    """What everything else is counted by."""
    open: int
    """Not ended: they may still rise."""
    at_least: int = 0
    """Peaks that may have been higher."""
    oldest_at: float | None = None
    """Of its calls."""
    wins: Rate | None = None
    """Peak of `WIN_MULTIPLE` or more. `None`, like all that follows, below `MIN_TOKENS`."""
    base_percent: float | None = None
    died: Rate | None = None
    average_multiple: float | None = None
    median_multiple: float | None = None
    median_reachable_multiple: float | None = None
    median_reachable_peak: float | None = None
    """Of the peaks of the same tokens: what is reachable is held against it, and never above it."""
    reachable_n: int = 0
    """Calls whose reachable multiple is known."""
    median_peak_after_s: float | None = None
    best_multiple: float | None = None
    worst_multiple: float | None = None
    returns: dict[int, Returns] = {}
    """By horizon."""


class Records(Struct, frozen=True):
    """What somebody's calls had become by a moment, in each window that ended there."""

    as_of: datetime
    by_window: dict[Window, Record]


def rate(hits: int, n: int) -> Rate | None:
    """`None` of nothing. Raises `ValueError` unless 0 <= hits <= n.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212. It assumes independent calls: those of one day are less sure than it
    says, which is why tokens are counted and not calls.
    """
    low, missed = wilson_lower_percent(hits, n), wilson_lower_percent(n - hits, n)
    return None if low is None or missed is None else Rate(hits, n, 100 * hits / n, low, 100 - missed)


def record(
    outcomes: Iterable[Outcome], *, as_of: float, window_s: float | None = None, base: Rate | None = None
) -> Record:
    """Of the calls of a window that ends at `as_of`; the outcomes are those that were known then."""
    calls = [
        some for some in outcomes if some.called_at <= as_of and (window_s is None or some.called_at > as_of - window_s)
    ]
    first = first_calls(calls)
    n, still_open = len(first), sum(some.ended_at is None for some in first)
    counts = Record(
        calls=len(calls),
        tokens=n,
        open=still_open,
        at_least=sum(some.at_least for some in first),
        oldest_at=min((some.called_at for some in calls), default=None),
    )
    if n < MIN_TOKENS:
        return counts
    multiples = [some.peak_multiple for some in first]
    told = [(some.peak_multiple, reached) for some in first if (reached := some.counted_reachable) is not None]
    peaks, reachable = zip(*told, strict=True) if len(told) >= MIN_TOKENS else ((), ())
    return Record(
        calls=counts.calls,
        tokens=n,
        open=still_open,
        at_least=counts.at_least,
        oldest_at=counts.oldest_at,
        wins=wins(multiples),
        base_percent=shown_base(base),
        died=rate(sum(some.died for some in first), n),
        average_multiple=fmean(multiples),
        median_multiple=median(multiples),
        median_reachable_multiple=median(reachable) if reachable else None,
        median_reachable_peak=median(peaks) if peaks else None,
        reachable_n=len(told),
        median_peak_after_s=median(some.peak_after_s for some in first),
        best_multiple=max(multiples),
        worst_multiple=min(multiples),
        returns={s: found for s in HORIZONS_S if (found := _returns(first, s, as_of)) is not None},
    )


def shown_base(base: Rate | None) -> float | None:
    """In percent; `None`: of too few."""
    return base.percent if base is not None and base.n >= MIN_TOKENS else None


def wins(multiples: Sequence[float]) -> Rate | None:
    """Of peaks; of all tracked tokens of a window it is the base rate."""
    return rate(sum(multiple >= WIN_MULTIPLE for multiple in multiples), len(multiples))


def first_calls(calls: Iterable[Outcome]) -> list[Outcome]:
    """The earliest of each token."""
    first: dict[str, Outcome] = {}
    for call in calls:
        known = first.get(call.token)
        if known is None or call.called_at < known.called_at:
            first[call.token] = call
    return list(first.values())


def _returns(calls: Sequence[Outcome], horizon_s: int, as_of: float) -> Returns | None:
    """What had died by the horizon and has no price is worth nothing then; what nobody priced is left out."""
    found = [
        multiple
        for call in calls
        if call.called_at + horizon_s <= as_of and not math.isnan(multiple := _return_of(call, horizon_s))
    ]
    return Returns(len(found), median(found), fmean(found)) if len(found) >= MIN_TOKENS else None


def _return_of(call: Outcome, horizon_s: int) -> float:
    multiple = call.returns.get(horizon_s)
    if multiple is not None:
        return multiple
    was_dead = call.died and call.ended_at is not None and call.ended_at <= call.called_at + horizon_s
    return 0.0 if was_dead else math.nan
