"""What people pay for: plans, and who has one until when."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.time_of_day import once_sure
from composition.feature import Alarm, Base, Feature
from domain.payments.plans import Plans
from handlers.conversation.base import Services
from handlers.payments.showing import refresh_invoice
from managers.telegram.payments import TelegramPayments
from runtime.clock import now
from services.cards.names import Names
from services.claims.putting import Putting
from services.delivery.payment_messages import PaymentComposer
from services.monitoring import conditions, payment_conditions
from services.monitoring.readings import Reading
from services.payments.group import PaymentServices, SettlingServices
from services.payments.invoice_ends import InvoiceEnds
from services.payments.invoices import InvoicesService, ShownInvoices
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotices
from services.payments.reconciliation import Comparison, Reconciliation, StarsSource
from services.payments.settling.search import PaymentSearch
from services.payments.settling.settling import Settling
from services.payments.stars import StarsService
from services.plans.entitling import EntitlingService
from services.plans.group import PlanServices
from services.plans.notices import PlanNoticeComposer
from services.plans.reminders import ReminderComposer, RemindersService
from services.plans.subscriptions import SubscriptionsService
from services.running.controls import Controls
from services.schedule.due_times import DueTimes
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices

ENTITLE = JobSpec(
    name="entitle",
    does="lets people's documents show what they were given",
    lease="entitle",
    roles=frozenset({"all", "gateway"}),
)
JOBS = (ENTITLE,)


def build(base: Base) -> Feature:
    plans, putting, due_times = base.of(Plans), base.of(Putting), base.of(DueTimes)
    postgres, subscribers = base.connections.postgres, base.of(SubscriberServices).subscribers
    redis, notices = base.connections.redis, PaymentNotices(clock=now)
    ledger = Ledger(redis, base.of(Journal), messages=notices, clock=now, needs_epoch=True)
    entitling = _entitling(base, ledger)
    reminders = RemindersService(
        subscribers=subscribers, putting=putting, due_times=due_times, postgres=postgres, clock=now
    )
    ends = InvoiceEnds(ledger=ledger, notices=notices, put=putting.put, due_times=due_times, clock=now)
    stars = _stars(base, ledger)
    reminders.renews_at = stars.renews_at
    reconciliation = Reconciliation(redis=redis, due_times=due_times, clock=now)
    compared, unmatched = Reading(reconciliation.comparisons), Reading(reconciliation.count_unmatched)
    payment_conditions.show_ledger(base.metrics, compared, unmatched)
    invoices = InvoicesService(ledger=ledger, clock=now)
    return Feature(
        parts=[ledger, ends],
        services=[
            reconciliation,
            PlanServices(subscriptions=SubscriptionsService(plans, clock=now), entitling=entitling),
            PaymentServices(invoices=invoices, takes_stars=base.settings.takes_stars),
            ShownInvoices(redis),
            stars,
            _settling(base, ledger, stars, reconciliation),
        ],
        jobs=[ENTITLE.run_by(once_sure(entitling.run))],
        kinds=[
            *PaymentComposer(base.texts, lambda who, what: refresh_invoice(base.of(Services), who, what)).rows(),
            PlanNoticeComposer(base.of(Names)).row(),
            ReminderComposer(base.texts).row(),
        ],
        scheduled=[entitling.job(), reminders.job(), ends.job(), reconciliation.job(StarsSource(stars))],
        alarms=[*alarms_of_ledger(compared, unmatched), _unsold(base, plans)],
        readings=[compared, unmatched],
    )


def _entitling(base: Base, ledger: Ledger) -> EntitlingService:
    subscribers = base.of(SubscriberServices).subscribers
    entitling = EntitlingService(
        ledger=ledger,
        subscribers=subscribers,
        plans=base.of(Plans),
        putting=base.of(Putting),
        due_times=base.of(DueTimes),
        postgres=base.connections.postgres,
        clock=now,
    )
    subscribers.welcome = entitling.welcome
    ledger.credited = entitling.wake
    entitling.gives_trials = lambda: not base.of(Controls).is_off("trials")
    return entitling


def _unsold(base: Base, plans: Plans) -> Alarm:
    """Whether plans have a price that nobody can pay."""
    settings, connections = base.settings, base.connections
    ways = (settings.takes_stars, connections.solana is not None, connections.nowpayments is not None)
    cannot_be_paid = bool(plans.sold) and not any(ways)
    condition = conditions.flagged(lambda: cannot_be_paid, conditions.because("alarm.no_way_of_paying"))
    return Alarm("ways of paying", condition, after_s=0.0, is_shared=True)


def _stars(base: Base, ledger: Ledger) -> StarsService:
    """What takes Stars, also while plans are not sold for them: subscriptions go on."""
    telegram, postgres = TelegramPayments(base.connections.telegram), base.connections.postgres
    return StarsService(ledger=ledger, telegram=telegram, postgres=postgres, clock=now)


def _settling(base: Base, ledger: Ledger, stars: StarsService, reconciliation: Reconciliation) -> SettlingServices:
    redis, postgres = base.connections.redis, base.connections.postgres
    search = PaymentSearch(ledger=ledger, redis=redis, postgres=postgres, differences=reconciliation.left, clock=now)
    return SettlingServices(search=search, settling=Settling(ledger=ledger, stars=stars))


def alarms_of_ledger(compared: Reading[list[Comparison]], unmatched: Reading[int]) -> list[Alarm]:
    return [
        Alarm("payments", payment_conditions.payments_differ(compared), is_shared=True),
        Alarm("unmatched payments", payment_conditions.payments_unmatched(unmatched), is_shared=True),
    ]
