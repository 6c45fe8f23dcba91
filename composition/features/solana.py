"""SOL and USDC: invoices for them, and the watch over what comes to our wallet. Nothing where it is not configured."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.time_of_day import once_sure
from composition.connections import SolanaConnection
from composition.feature import Alarm, Base, Feature
from managers.payments.solana_rpc import SolanaRpcManager
from runtime.clock import now
from services.monitoring import payment_conditions as conditions
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.payments.checks import InvoiceChecks, PastedSignatures
from services.payments.group import SolanaServices
from services.payments.invoice_ends import InvoiceEnds
from services.payments.invoices import InvoicesService
from services.payments.invoicing import Invoicing, receiver_of
from services.payments.ledger import Ledger
from services.payments.rates import Rates
from services.payments.reconciliation import Reconciliation
from services.payments.solana_claims import SolanaClaims
from services.payments.solana_receipts import SolanaReceipts
from services.payments.solana_reconciliation import SolanaSource
from services.payments.solana_watcher import SolanaWatcher
from web.pay_page import PayPages, path_of

WATCH = JobSpec(
    name="solana",
    does="watches what comes to our wallet",
    lease="solana",
    roles=frozenset({"all", "gateway"}),
)
JOBS = (WATCH,)
UNWITNESSED_AFTER_S = 300.0
NO_PRICE_AFTER_S = 600.0

LABEL = "TokenFilterBot"
"""Who is paid, as wallets show it."""


def build(base: Base) -> Feature:
    connection = base.connections.solana
    return _built(base, connection) if connection else Feature()


def _built(base: Base, connection: SolanaConnection) -> Feature:
    ledger, access, rpc = base.of(Ledger), connection.access, connection.rpc
    receiver = receiver_of(access.wallet, access.usdc_mint)
    one, other = connection.prices
    rates = Rates(one=one, other=other, clock=now)
    receipts = SolanaReceipts(rpc=rpc, ledger=ledger, rates=rates, receiver=receiver, clock=now)
    watcher = SolanaWatcher(rpc=rpc, ledger=ledger, receipts=receipts, receiver=receiver, clock=now)
    invoicing = Invoicing(ledger=ledger, rates=rates, receiver=receiver, label=LABEL, clock=now)
    claims, invoices = SolanaClaims(ledger=ledger, receipts=receipts), InvoicesService(ledger=ledger, clock=now)
    redis = base.connections.redis
    pages = PayPages(invoices=invoices, request=invoicing.request, texts=base.texts)
    services = SolanaServices(
        invoicing=invoicing,
        claims=claims,
        watcher=watcher,
        checks=InvoiceChecks(invoices=invoices, redis=redis, look=lambda one: watcher.check(one.id), clock=now),
        pasted=PastedSignatures(claims=claims, redis=redis),
        page_url=lambda invoice_id: base.edge.at(path_of(invoice_id)),
    )
    source = SolanaSource(
        rpc=rpc,
        watcher=watcher,
        receipts=receipts,
        ledger=ledger,
        postgres=base.connections.postgres,
        receiver=receiver,
        clock=now,
    )
    looks = base.of(InvoiceEnds).looks
    looks["sol"] = looks["usdc"] = lambda invoice: watcher.check(invoice.id)
    price = conditions.price_reading(rates, now)
    show_solana(base.metrics, watcher, receipts, rates, rpc)
    return Feature(
        parts=[rates, receipts, watcher],
        services=[services],
        jobs=[WATCH.run_by(once_sure(watcher.run))],
        scheduled=[base.of(Reconciliation).job(source)],
        routes=[pages.router],
        alarms=alarms_of_solana(watcher, receipts, rpc, price),
        readings=[price],
    )


def alarms_of_solana(
    watcher: SolanaWatcher, receipts: SolanaReceipts, rpc: SolanaRpcManager, price: Reading[str]
) -> list[Alarm]:
    """`price`: of `payment_conditions.price_reading`; the feature lists it among its readings."""
    unreadable = conditions.CountGrew("alarm.solana_unreadable", lambda: watcher.unreadable)
    contradictions = conditions.CountGrew("alarm.solana_contradiction", lambda: receipts.contradictions)
    return [
        Alarm("solana", conditions.solana_behind(watcher, rpc, now), is_shared=True),
        Alarm("solana servers", conditions.solana_unwitnessed(watcher), after_s=UNWITNESSED_AFTER_S, is_shared=True),
        Alarm("solana unreadable", unreadable, is_shared=True),
        Alarm("solana contradiction", contradictions, is_shared=True),
        Alarm("sol price", conditions.sol_price_unknown(price), after_s=NO_PRICE_AFTER_S, is_shared=True),
    ]


def show_solana(
    metrics: Metrics, watcher: SolanaWatcher, receipts: SolanaReceipts, rates: Rates, rpc: SolanaRpcManager
) -> None:
    conditions.show_solana(metrics, watcher, receipts, rpc)
    conditions.show_rates(metrics, rates)
