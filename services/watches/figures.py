"""What personal alerts say of themselves: numbers for /metrics, and when something is wrong."""

from __future__ import annotations

from typing import Final

from services.monitoring.conditions import Condition, Reason, because
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.watches.evaluating import Evaluator
from services.watches.telling import Waiting, WatchTeller

UNTOLD_S: Final = 300.0


def watches_wait(waiting: Reading[Waiting]) -> Condition:
    """It has come to what people watch, and they are not told."""

    def reason() -> Reason | None:
        known = waiting.value
        if known is None or known.behind_s <= UNTOLD_S:
            return None
        return because("alarm.watches_behind", rows=f"{known.rows:,}", seconds=f"{known.behind_s:,.0f}")

    return reason


def show_watches(metrics: Metrics, evaluator: Evaluator, teller: WatchTeller, waiting: Reading[Waiting]) -> None:
    metrics.gauge("watches", "Personal alerts that are evaluated here.", lambda: len(evaluator.memory))
    metrics.gauge("watched_tokens", "Tokens that they are about.", lambda: len(evaluator.memory.tokens))
    metrics.counter("watches_met", "Times that it came to what somebody watches.", lambda: evaluator.met)
    metrics.counter("watches_put", "Messages about it that were put into an outbox.", lambda: teller.put)
    metrics.gauge("watches_untold", "Times that are due to be told.", lambda: (v := waiting.value) and v.rows)
