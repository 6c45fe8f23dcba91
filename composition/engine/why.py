"""Why somebody got an alert, or did not: what was decided, kept as long as it may be asked for."""

from __future__ import annotations

from datetime import timedelta

from bot.jobs import JobSpec
from composition.feature import Base, Feature
from runtime.clock import now
from services.subscribers.group import SubscriberServices
from services.why.explanations import ExplanationsService
from services.why.group import WhyServices
from services.why.history import HistoryStore

PRUNE = JobSpec(name="prune", does="deletes rows older than they are kept", roles=frozenset({"all", "gateway"}))
JOBS = (PRUNE,)


def build(base: Base) -> Feature:
    history = HistoryStore(
        base.connections.redis, base.connections.postgres, now, timedelta(days=base.settings.calls_kept_days)
    )
    subscribers = base.of(SubscriberServices).subscribers
    explanations = ExplanationsService(history=history, subscribers=subscribers, clock=now)
    return Feature(services=[WhyServices(explanations=explanations)], jobs=[PRUNE.run_by(history.run)])
