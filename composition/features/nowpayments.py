"""Many other coins through NOWPayments: its payments, its notifications, the watch over both. Nothing without a key."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.time_of_day import once_sure
from composition.connections import NowPaymentsConnection
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from services.monitoring import payment_conditions as conditions
from services.payments.checks import InvoiceChecks
from services.payments.group import NowPaymentsServices
from services.payments.invoice_ends import InvoiceEnds
from services.payments.invoices import InvoicesService
from services.payments.ledger import Ledger
from services.payments.nowpayments import NowPaymentsService
from services.payments.nowpayments_orders import NowPaymentsOrders
from services.payments.nowpayments_watch import NowPaymentsWatch
from services.payments.reconciliation import NowPaymentsSource, Reconciliation
from web.payments import NOWPAYMENTS_PATH, NowPaymentsNotifications

WATCH = JobSpec(
    name="nowpayments",
    does="asks NOWPayments how open payments stand",
    lease="nowpayments",
    roles=frozenset({"all", "gateway"}),
)
JOBS = (WATCH,)
UNANSWERED_AFTER_S = 300.0


def build(base: Base) -> Feature:
    connection = base.connections.nowpayments
    return _built(base, connection) if connection else Feature()


def _built(base: Base, connection: NowPaymentsConnection) -> Feature:
    ledger, redis, secret = base.of(Ledger), base.connections.redis, connection.access.ipn_secret
    payments = NowPaymentsService(connection.manager, ledger, redis, base.connections.postgres, clock=now)
    orders = NowPaymentsOrders(
        connection.manager,
        ledger,
        redis,
        clock=now,
        ipn_url=lambda: base.edge.at(NOWPAYMENTS_PATH) if secret else None,
    )
    watch = NowPaymentsWatch(payments, ledger, clock=now)
    invoices = InvoicesService(ledger=ledger, clock=now)
    checks = InvoiceChecks(invoices=invoices, redis=redis, look=payments.look_for, clock=now)
    base.of(InvoiceEnds).looks["nowpayments"] = payments.look_for
    conditions.show_nowpayments(base.metrics, watch)
    notifications = NowPaymentsNotifications(secret=secret, notified=payments.notified)
    return Feature(
        parts=[payments, watch, notifications],
        services=[NowPaymentsServices(orders=orders, payments=payments, checks=checks)],
        jobs=[WATCH.run_by(once_sure(watch.run))],
        scheduled=[base.of(Reconciliation).job(NowPaymentsSource(payments))],
        routes=[notifications.router],
        alarms=alarms_of_nowpayments(watch),
    )


def alarms_of_nowpayments(watch: NowPaymentsWatch) -> list[Alarm]:
    return [Alarm("nowpayments", conditions.nowpayments_unanswered(watch), after_s=UNANSWERED_AFTER_S, is_shared=True)]
