"""What tracking says of itself: numbers for /metrics, and when something is wrong."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.monitoring.conditions import Condition, Reason, because
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.tracking.endings import Endings
from services.tracking.fan_out import FanOut
from services.tracking.milestones import Untold
from services.tracking.prices import PricesService
from services.tracking.tracking import TrackingService

BEHIND_S: Final = 60.0
UNTOLD_S: Final = 120.0


def is_behind(tracking: TrackingService) -> Condition:
    """Calls or rungs wait to be taken in or written down."""

    def reason() -> Reason | None:
        behind_s = tracking.behind_s
        return because("alarm.tracking_behind", seconds=f"{behind_s:,.0f}") if behind_s > BEHIND_S else None

    return reason


def milestones_wait(untold: Reading[Untold]) -> Condition:
    def reason() -> Reason | None:
        known = untold.value
        if known is None or known.behind_s <= UNTOLD_S:
            return None
        return because("alarm.milestones_behind", rows=f"{known.rows:,}", seconds=f"{known.behind_s:,.0f}")

    return reason


def show_tracking(
    metrics: Metrics,
    tracking: TrackingService,
    prices: PricesService,
    endings: Endings,
    fan_out: FanOut,
    untold: Reading[Untold],
) -> None:
    metrics.gauge("tracked_tokens", "Tokens whose prices are followed here.", lambda: len(tracking.keys))
    metrics.gauge("tracked_calls", "Calls whose multiples are followed here.", lambda: tracking.calls)
    metrics.counter("tracked_prices", "Prices that were taken in for them.", lambda: tracking.updates)
    metrics.counter("tracking_ticks", "Prices that the feed has said, of whatever token.", lambda: tracking.ticks)
    metrics.gauge("tracking_here", "Whether calls are followed by this process.", lambda: tracking.book is not None)
    metrics.gauge("tracking_parts_due", "Parts that wait to be looked at.", lambda: tracking.parts_due)
    metrics.counter("tracked_rungs", "Rungs that were reached and written down.", lambda: tracking.rungs)
    metrics.counter("untracked_calls", "Calls with neither price nor market cap.", lambda: tracking.untracked)
    metrics.counter_each("refused_prices", "Prices that counted for nothing.", "why", tracking.refused)
    for share in (50, 95):
        metrics.gauge(
            "tracked_price_age_seconds",
            "Age of the prices of what is followed here.",
            lambda share=share: age_s(tracking, share),
            {"percentile": str(share)},
        )
    metrics.gauge("tracking_unwritten", "Rungs that wait to be written down.", lambda: tracking.unwritten)
    metrics.gauge("tracking_behind_seconds", "For how long something waits.", lambda: tracking.behind_s)
    metrics.gauge("prices_stretch", "By which factor prices are older than they should be.", lambda: prices.stretch)
    metrics.counter("gaps_closed", "Times without a price that candles closed.", lambda: prices.gaps_closed)
    metrics.counter_each("ended_calls", "Calls that are followed no more.", "why", lambda: {**endings.ended})
    metrics.counter("milestones_put", "Messages about milestones that were put into an outbox.", lambda: fan_out.put)
    metrics.gauge("milestones_untold", "Milestones that are due to be told.", lambda: (v := untold.value) and v.rows)


def age_s(tracking: TrackingService, percentile: float) -> float | None:
    """How old the prices are; `None` where nothing is followed."""
    ages = tracking.price_ages_s()
    return float(np.percentile(ages, percentile)) if len(ages) else None
