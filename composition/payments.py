"""What people pay for: plans, and who has one until when."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.time_of_day import once_sure
from composition.feature import Alarm, Base, Feature
from domain.payments.plans import Plans
from managers.telegram.payments import TelegramPayments
from runtime.clock import now
from services.claims.putting import Putting
from services.delivery.payment_messages import PaymentComposer
from services.monitoring import conditions
from services.monitoring.readings import Reading
from services.payments.group import PaymentServices
from services.payments.invoices import InvoicesService
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotices
from services.payments.stars import StarsService
from services.payments.stars_reconciliation import StarsReconciliation
from services.plans.entitling import EntitlingService
from services.plans.group import PlanServices
from services.plans.notices import PlanNoticeComposer
from services.plans.reminders import ReminderComposer, RemindersService
from services.plans.subscriptions import SubscriptionsService
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
    ledger = Ledger(
        base.connections.redis, base.of(Journal), messages=PaymentNotices(clock=now), clock=now, needs_epoch=True
    )
    entitling = EntitlingService(
        ledger=ledger,
        subscribers=subscribers,
        plans=plans,
        putting=putting,
        due_times=due_times,
        postgres=postgres,
        clock=now,
    )
    subscribers.welcome = entitling.welcome
    ledger.credited = entitling.wake
    reminders = RemindersService(
        subscribers=subscribers, putting=putting, due_times=due_times, postgres=postgres, clock=now
    )
    stars, reconciliation = _stars(base, ledger)
    differ = Reading(reconciliation.left)
    services = PaymentServices(
        invoices=InvoicesService(ledger=ledger, clock=now),
        takes_stars=base.settings.takes_stars,
    )
    return Feature(
        parts=[ledger],
        services=[
            PlanServices(subscriptions=SubscriptionsService(plans, clock=now), entitling=entitling),
            services,
            stars,
        ],
        jobs=[ENTITLE.run_by(once_sure(entitling.run))],
        kinds=[
            *PaymentComposer(base.texts).rows(),
            PlanNoticeComposer(base.texts).row(),
            ReminderComposer(base.texts).row(),
        ],
        scheduled=[entitling.job(), reminders.job(), reconciliation.job()],
        alarms=[Alarm("payments", conditions.payments_differ(differ)), _unsold(base, plans)],
        readings=[differ],
    )


def _unsold(base: Base, plans: Plans) -> Alarm:
    """Plans have a price, and nobody can pay it."""
    settings, connections = base.settings, base.connections
    ways = (settings.takes_stars, connections.solana is not None, connections.nowpayments is not None)
    cannot_be_paid = bool(plans.sold) and not any(ways)
    condition = conditions.flagged(lambda: cannot_be_paid, conditions.because("alarm.no_way_of_paying"))
    return Alarm("ways of paying", condition, after_s=0.0)


def _stars(base: Base, ledger: Ledger) -> tuple[StarsService, StarsReconciliation]:
    """What takes Stars, also while plans are not sold for them: subscriptions go on."""
    telegram, postgres = TelegramPayments(base.connections.telegram), base.connections.postgres
    stars = StarsService(ledger=ledger, telegram=telegram, postgres=postgres, clock=now)
    return stars, StarsReconciliation(stars=stars, redis=base.connections.redis, clock=now)
