"""How long what grows without end is kept."""

from __future__ import annotations

from datetime import timedelta

from bot.jobs import JobSpec
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from services.monitoring.readings import Reading
from services.retention.retention import KeptFor, RetentionService, partition_missing

RETENTION = JobSpec(
    name="retention",
    does="makes partitions for the weeks to come, drops those that are too old",
    roles=frozenset({"all", "gateway"}),
    lease="retention",
)
JOBS = (RETENTION,)


def build(base: Base) -> Feature:
    settings = base.settings
    kept_for = KeptFor(
        deliveries=timedelta(days=settings.deliveries_kept_days),
        messages=timedelta(days=settings.messages_kept_days),
        settings=timedelta(days=settings.settings_history_kept_days),
        outcomes=timedelta(days=settings.outcomes_kept_days),
        actions=timedelta(days=settings.admin_actions_kept_days),
        activity=timedelta(days=settings.activity_kept_days),
    )
    retention = RetentionService(base.connections.postgres, kept_for, now)
    lacking = Reading(retention.lacking)
    return Feature(
        parts=[retention],
        jobs=[RETENTION.run_by(retention.run)],
        alarms=[Alarm("partitions", partition_missing(lacking), is_shared=True)],
        readings=[lacking],
    )
