"""Alarms and numbers of what watches money, for the builders that make it."""

from __future__ import annotations

from composition.feature import Alarm
from managers.payments.solana_rpc import SolanaRpcManager
from runtime.clock import now
from services.monitoring import payment_conditions as conditions
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.payments.nowpayments_watch import NowPaymentsWatch
from services.payments.rates import Rates
from services.payments.reconciliation import Comparison
from services.payments.solana_receipts import SolanaReceipts
from services.payments.solana_watcher import SolanaWatcher

UNWITNESSED_AFTER_S = 300.0
NO_PRICE_AFTER_S = 600.0
UNANSWERED_AFTER_S = 300.0


def alarms_of_ledger(compared: Reading[list[Comparison]], unmatched: Reading[int]) -> list[Alarm]:
    return [
        Alarm("payments", conditions.payments_differ(compared)),
        Alarm("unmatched payments", conditions.payments_unmatched(unmatched)),
    ]


def alarms_of_solana(
    watcher: SolanaWatcher, receipts: SolanaReceipts, rpc: SolanaRpcManager, price: Reading[str]
) -> list[Alarm]:
    """`price`: of `payment_conditions.price_reading`; the feature lists it among its readings."""
    unreadable = conditions.CountGrew("alarm.solana_unreadable", lambda: watcher.unreadable)
    contradictions = conditions.CountGrew("alarm.solana_contradiction", lambda: receipts.contradictions)
    return [
        Alarm("solana", conditions.solana_behind(watcher, rpc, now)),
        Alarm("solana servers", conditions.solana_unwitnessed(watcher), after_s=UNWITNESSED_AFTER_S),
        Alarm("solana unreadable", unreadable),
        Alarm("solana contradiction", contradictions),
        Alarm("sol price", conditions.sol_price_unknown(price), after_s=NO_PRICE_AFTER_S),
    ]


def alarms_of_nowpayments(watch: NowPaymentsWatch) -> list[Alarm]:
    return [Alarm("nowpayments", conditions.nowpayments_unanswered(watch), after_s=UNANSWERED_AFTER_S)]


def price_reading(rates: Rates) -> Reading[str]:
    """The price of SOL, asked for every minute."""
    return conditions.price_reading(rates, now)


def show_ledger(metrics: Metrics, compared: Reading[list[Comparison]], unmatched: Reading[int]) -> None:
    conditions.show_ledger(metrics, compared, unmatched)


def show_solana(
    metrics: Metrics, watcher: SolanaWatcher, receipts: SolanaReceipts, rates: Rates, rpc: SolanaRpcManager
) -> None:
    conditions.show_solana(metrics, watcher, receipts, rpc)
    conditions.show_rates(metrics, rates)


def show_nowpayments(metrics: Metrics, watch: NowPaymentsWatch) -> None:
    conditions.show_nowpayments(metrics, watch)
