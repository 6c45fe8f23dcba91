"""When something is wrong with what watches money, and the numbers of it.

What a process does not do itself is no condition of its own: who watches, under a lease, knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from managers.payments.solana_rpc import SolanaRpcManager
from services.monitoring.conditions import GREW_WITHIN_S, Condition, Growth, Reason, about, because, each_of
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.payments.nowpayments_watch import NowPaymentsWatch
from services.payments.rates import Rates
from services.payments.reconciliation import UNAVAILABLE, Comparison
from services.payments.solana_receipts import SolanaReceipts
from services.payments.solana_watcher import SolanaWatcher

BEHIND_AFTER: Final = timedelta(minutes=2)
PRICE_ASKED_EVERY: Final = timedelta(minutes=1)
_MINUTES: Final = f"{GREW_WITHIN_S / 60:.0f}"
_RPC_COUNTS: Final = {
    "requests": "Requests to the RPC server.",
    "failures": "Those of the requests that the server did not answer as it should.",
    "foreign_answers": "Those of the failures that were no JSON-RPC.",
}
"""Of `managers.payments.solana_rpc.ServerCounts`."""


def payments_differ(compared: Reading[list[Comparison]]) -> Condition:
    """What the last comparison of each source has left."""

    def reason() -> tuple[Reason, ...] | None:
        return tuple(one for comparison in compared.value or () for one in _reasons(comparison)) or None

    return reason


def _reasons(comparison: Comparison) -> Sequence[Reason]:
    kinds = Counter(one.what for one in comparison.left if one.what != UNAVAILABLE)
    away = [one for one in comparison.left if one.what == UNAVAILABLE]
    found = [
        about(f"{one.source} away", because("alarm.payments_not_compared", source=one.source, problem=one.detail))
        for one in away
    ]
    if kinds:
        said = ", ".join(f"{count} {what}" for what, count in kinds.most_common())
        count = f"{comparison.count - len(away):,}"
        source = comparison.left[-1].source
        differ = because("alarm.payments_differ", source=source, count=count, kinds=said)
        found.append(about((f"{source} {one}" for one in each_of(comparison.count - len(away))), differ))
    return found


def payments_unmatched(count: Reading[int]) -> Condition:
    def reason() -> Reason | None:
        if not count.value:
            return None
        return about(each_of(count.value), because("alarm.payments_unmatched", count=f"{count.value:,}"))

    return reason


def solana_behind(watcher: SolanaWatcher, rpc: SolanaRpcManager, clock: Callable[[], datetime]) -> Condition:
    def reason() -> Reason | None:
        if watcher.watches_since is None:
            return None
        late = clock() - max(watcher.polled_at or watcher.watches_since, watcher.watches_since)
        if late <= BEHIND_AFTER:
            return None
        problem = rpc.problem or "a list does not reach back to where it was read before"
        return because("alarm.solana_behind", seconds=f"{late.total_seconds():,.0f}", problem=problem)

    return reason


def solana_unwitnessed(watcher: SolanaWatcher) -> Condition:
    def reason() -> Reason | None:
        return because("alarm.solana_unwitnessed", count=f"{watcher.waiting:,}") if watcher.waiting else None

    return reason


class CountGrew:
    """Wrong while a count has grown within the last ten minutes."""

    def __init__(self, key: str, count: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._count = count
        self._growth = Growth(clock)
        self._growth.by(0)

    def __call__(self) -> Reason | None:
        came = self._growth.by(self._count())
        return because(self._key, count=f"{came:,}", minutes=_MINUTES) if came else None


def price_reading(rates: Rates, clock: Callable[[], datetime]) -> Reading[str]:
    """Ask for the price of SOL every minute, whether somebody wants to pay or not; the answer is what is wrong."""
    asked_at: datetime | None = None

    async def ask() -> str:
        nonlocal asked_at
        now = clock()
        if asked_at is None or not asked_at <= now < asked_at + PRICE_ASKED_EVERY:
            asked_at = now
            await rates.of("SOL")
        return rates.problem or ""

    return Reading(ask)


def sol_price_unknown(price: Reading[str]) -> Condition:
    def reason() -> Reason | None:
        problem = price.problem or price.value
        return because("alarm.sol_price", problem=problem) if problem else None

    return reason


def nowpayments_unanswered(watch: NowPaymentsWatch) -> Condition:
    def reason() -> Reason | None:
        if watch.problem is None or not watch.count:
            return None
        return because("alarm.nowpayments_unanswered", count=f"{watch.count:,}", problem=watch.problem)

    return reason


def show_solana(metrics: Metrics, watcher: SolanaWatcher, receipts: SolanaReceipts, rpc: SolanaRpcManager) -> None:
    metrics.gauge(
        "solana_polled_timestamp_seconds",
        "When our accounts were last listed down to their cursors; nothing where another process watches.",
        lambda: watcher.polled_at and watcher.polled_at.timestamp(),
    )
    metrics.gauge(
        "solana_waiting",
        "Final transactions that wait for a second server, or cannot be read.",
        lambda: watcher.waiting,
    )
    metrics.counter("solana_unreadable", "Transactions that were given up.", lambda: watcher.unreadable)
    metrics.counter("solana_forked", "Confirmed transactions that came to nothing.", lambda: watcher.forked)
    metrics.counter("solana_incomplete", "Lists that did not reach their cursor.", lambda: watcher.incomplete)
    metrics.counter("solana_dust", "Transfers too small to be kept.", lambda: receipts.dust)
    metrics.counter(
        "solana_contradictions", "How often two servers said different things.", lambda: receipts.contradictions
    )
    for name, meaning in _RPC_COUNTS.items():
        metrics.counter_each(f"solana_rpc_{name}", meaning, "host", lambda name=name: _by_host(rpc, name))


def show_rates(metrics: Metrics, rates: Rates) -> None:
    metrics.counter(
        "sol_price_disagreements", "How often both sources were too far apart.", lambda: rates.disagreements
    )


def show_nowpayments(metrics: Metrics, watch: NowPaymentsWatch) -> None:
    metrics.gauge("nowpayments_watched", "Open payments that are asked about.", lambda: watch.count)
    metrics.counter("nowpayments_unanswered", "Questions that were not answered.", lambda: watch.failures)


def show_ledger(metrics: Metrics, compared: Reading[list[Comparison]], unmatched: Reading[int]) -> None:
    metrics.gauge(
        "payments_differ",
        "On how many payments the ledger and a network did not agree when they were last compared.",
        lambda: None if compared.value is None else sum(one.count for one in compared.value),
    )
    metrics.gauge("payments_unmatched", "Arrivals that fit no invoice and wait.", lambda: unmatched.value)


def _by_host(rpc: SolanaRpcManager, name: str) -> dict[str, float]:
    return {host: getattr(counts, name) for host, counts in rpc.counts.items()}
