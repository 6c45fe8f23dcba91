"""Where everything is kept: Redis, PostgreSQL, the journal between them, and what works while Redis is unavailable."""

from __future__ import annotations

from functools import partial

from bot.health import data_health
from bot.jobs import JobSpec
from composition.feature import Alarm, Base, Feature
from migrations import migrate
from services.cluster.members import Members
from services.monitoring import conditions, gauges
from services.monitoring.health import Check, answers
from services.monitoring.process_conditions import redis_escalated
from services.monitoring.readings import Reading
from services.stores.database import Database, DatabaseStatus
from services.stores.in_flight_log import InFlightLog
from services.stores.journal import Journal, JournalLag
from services.stores.sealing import Sealer
from services.stores.spool import Spool

REDIS_UNAVAILABLE_S = 2.0
DISK_FILLING_S = 2.0
DATA_LOST_S = 0.0
"""It is written back within moments, and has to be told all the same."""

REDIS = JobSpec(name="redis", does="asks whether Redis is there", phase="connection", watched=False)
JOURNAL = JobSpec(
    name="journal",
    does="Redis → PostgreSQL; fills a PostgreSQL that was emptied",
    lease="journal",
)
JOBS = (REDIS, JOURNAL)


def build(base: Base) -> Feature:
    connections, role = base.connections, base.place.role
    redis, postgres, data_dir = connections.redis, connections.postgres, connections.data_dir
    database = Database(
        redis,
        postgres,
        known=data_dir / "database" if data_dir else None,
        migrate=partial(migrate, connections.database_url),
    )
    sealer = Sealer(base.settings.data_keys)
    journal = Journal(redis, postgres, sealer)
    journal.check = database.check
    if role == "all" and data_dir is not None:
        journal.begun = InFlightLog(data_dir / "begun.log")
    members = base.of(Members)
    spool = Spool(redis, store=connections.store, tail=journal.tail, is_alone=lambda: members.alone)
    asked, lag, standing = (
        Reading(postgres.ping),
        Reading[JournalLag](journal.lag),
        Reading[DatabaseStatus](database.poll),
    )
    _show(base, journal, spool, asked, lag)
    health: dict[str, Check] = {
        "data": partial(data_health, lambda: standing.value),
        "redis": partial(answers, "redis", redis.ping),
    }
    if role in {"all", "gateway"}:
        health["postgresql"] = partial(answers, "postgresql", postgres.ping)
    return Feature(
        parts=[database, journal, spool, sealer],
        jobs=[REDIS.run_by(redis.run), JOURNAL.run_by(journal.run)],
        health=health,
        alarms=[
            Alarm("journal", conditions.journal_behind(lambda: lag.value), is_shared=True),
            Alarm("Redis", redis.why_unusable, REDIS_UNAVAILABLE_S, is_shared=True),
            Alarm("Redis for long", redis_escalated(redis.why_unusable), REDIS_UNAVAILABLE_S, is_shared=True),
            Alarm("disk", conditions.disk_filling(base.settings.data_dir), DISK_FILLING_S),
            Alarm("PostgreSQL", conditions.unanswered(asked), is_shared=True),
            Alarm("PostgreSQL's data", conditions.data_lost(lambda: standing.value), DATA_LOST_S, is_shared=True),
            Alarm("local store", conditions.flagged(lambda: spool.is_local, conditions.because("alarm.without_redis"))),
        ],
        readings=[Reading(redis.ping), asked, lag, standing],
    )


def _show(base: Base, journal: Journal, spool: Spool, asked: Reading[float], lag: Reading[JournalLag]) -> None:
    metrics = base.metrics
    metrics.gauge("local_operations", "Operations that Redis does not know yet.", lambda: spool.waiting)
    metrics.gauge("local_alerts", "Alerts claimed without Redis and not settled.", lambda: spool.local_alerts)
    metrics.gauge("journal_drained", "Entries committed to PostgreSQL since the start.", lambda: journal.drained)
    metrics.gauge("journal_rejected", "Entries that PostgreSQL refused.", lambda: journal.rejected)
    gauges.show_redis(metrics, base.connections.redis)
    gauges.show_postgres(metrics, asked)
    gauges.show_journal(metrics, lambda: lag.value)
