"""What people watch: who holds it against the prices that are followed, and who tells them."""

from __future__ import annotations

from collections.abc import Mapping

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import Role
from composition.feature import Alarm, Base, Feature
from domain.calls.events import PriceTick
from domain.payments.plans import Plans
from runtime.clock import now
from services.calls.tokens import TokensService
from services.claims.putting import Putting
from services.monitoring.readings import Reading
from services.subscribers.group import SubscriberServices
from services.tracking.prices import PricesService
from services.tracking.tracking import TrackingService
from services.watches.composing import WatchComposer
from services.watches.evaluating import Evaluator
from services.watches.figures import show_watches, watches_wait
from services.watches.rows import WatchRows
from services.watches.telling import WatchTeller
from services.watches.watches import WatchesService

TRACKING: frozenset[Role] = frozenset({"all", "track"})

WATCHES = JobSpec(name="watches", does="holds personal alerts against prices, and tells them", roles=TRACKING)
JOBS = (WATCHES,)


def build(base: Base) -> Feature:
    postgres, tokens = base.connections.postgres, base.of(TokensService)
    kind = WatchComposer(base.texts).row()
    watches = WatchesService(postgres, plans=base.of(Plans), tokens=tokens, clock=now)
    if base.place.role not in TRACKING:
        return Feature(services=[watches], kinds=[kind])
    tracking, subscribers = base.of(TrackingService), base.of(SubscriberServices).subscribers
    teller = WatchTeller(postgres, subscribers=subscribers, putting=base.of(Putting), clock=now)
    evaluator = Evaluator(rows=WatchRows(postgres), tracked=tracking, teller=teller, clock=now)

    def heard(ticks: Mapping[str, PriceTick]) -> None:
        tracking.take_in(ticks)
        evaluator.take_in(ticks)

    tokens.heard, base.of(PricesService).others = heard, evaluator
    waiting = Reading(teller.waiting)
    show_watches(base.metrics, evaluator, teller, waiting)
    return Feature(
        parts=[evaluator],
        services=[watches],
        kinds=[kind],
        jobs=[WATCHES.run_by(evaluator.run)],
        steps=Steps(drain=evaluator.drained),
        alarms=[Alarm("watches", watches_wait(waiting), after_s=0.0)],
        readings=[waiting],
    )
