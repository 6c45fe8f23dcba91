"""What a backtest is asked and what it says; the bot and the process that computes it tell each other these."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from domain.filters.registry import FilterSet
from domain.tracking.records import Rate


class BacktestRequest(Struct, frozen=True, kw_only=True, tag="backtest"):
    archive: str | None
    """Its directory; without one there is what PostgreSQL has."""
    database_url: str
    since: datetime
    until: datetime
    tried: FilterSet
    """Held against calls whether it is on or not."""
    active: tuple[FilterSet, ...] = ()
    """What is on now, for comparison."""


class ArchiveRequest(Struct, frozen=True, kw_only=True, tag="archive"):
    """Put what is missing into the archive."""

    archive: str
    database_url: str
    now: datetime
    tracked_for_days: float
    kept_for_days: int


Request = BacktestRequest | ArchiveRequest


class Performance(Struct, frozen=True, kw_only=True):
    """What the calls became that somebody would have got. A token counts once, by the call that came first."""

    alerts: int
    tokens: int
    known: int
    """Tokens of which it is known what they became; everything below is of these."""
    open: int = 0
    """Not ended: they may still rise."""
    wins: Rate | None = None
    """Of `WIN_MULTIPLE` or more at the peak; `None`, like what follows, below `MIN_TOKENS`."""
    median_multiple: float | None = None
    median_reachable: float | None = None
    median_reachable_peak: float | None = None
    """Of the peaks of the same tokens, of which fewer are known than of those above."""
    reachable_known: int = 0
    worst_run: int = 0
    """Most alerts in a row that did not reach `WIN_MULTIPLE`."""
    worst_run_from: datetime | None = None
    waited: int = 0
    """Tokens that would have waited for a value. What came later is not known, so they are not among the alerts."""


class ShownCall(Struct, frozen=True, kw_only=True):
    call_id: str
    token_address: str
    name: str | None
    """Attacker-controlled, like the next one."""
    channel: str
    at: datetime
    market_cap_usd: float | None
    multiple: float
    is_open: bool = False
    """It is still followed, so it may rise."""


class Daily(Struct, frozen=True):
    """Of one day (UTC)."""

    day: date
    alerts: int
    known: int
    wins: int


class BacktestResult(Struct, frozen=True, kw_only=True, tag="result"):
    covered_from: datetime | None
    """Of the first call that is stored in the time; `None`: there is none."""
    covered_until: datetime
    days: float
    """How much of the time there is data for."""
    days_missing: int
    """Days in between of which nothing is stored, or not what the rules look at."""
    calls: int
    tried: Performance
    active: Performance | None
    base: Rate | None
    """The rate of all tokens that were tracked in the time, by their first call."""
    both: int = 0
    """Tokens that come by either; the next two by one alone."""
    only_tried: int = 0
    only_active: int = 0
    best: tuple[ShownCall, ...] = ()
    worst: tuple[ShownCall, ...] = ()
    daily: tuple[Daily, ...] = ()


class Progressed(Struct, frozen=True, tag="progress"):
    share: float
    """0 to 1."""


class Archived(Struct, frozen=True, kw_only=True, tag="archived"):
    days: int
    """Days that were written."""
    calls: int


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    passes: bool
    """It may work later without anybody changing anything."""
    reason: str


Report = Progressed | BacktestResult | Archived | Failed
