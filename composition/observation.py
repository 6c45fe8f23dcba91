"""What is watched of every part: health for people, numbers for /metrics, alarms for admins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bot.health import api_health, clock_health, data_health, feed_health, telegram_health, updates_health
from bot.intake import QUEUE_SIZE
from bot.roles import SENDING
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.clock import now
from services.claims.dead_letters import DeadLetters
from services.cluster.members import Member, Members
from services.monitoring import conditions, gauges
from services.monitoring.health import answers
from services.monitoring.readings import Reading, ReadingsService
from services.stores.database import Database, Standing
from services.stores.journal import Journal, JournalLag

if TYPE_CHECKING:
    from composition.parts import Composition

REDIS_AWAY_S = 2.0
DISK_FILLING_S = 2.0
DATA_LOST_S = 0.0
"""It is written back within moments, and has to be told all the same."""
ROLE_MISSING_S = 15.0
"""A process that was started again is there by then."""


class Readings:
    """What has to be asked over a connection."""

    def __init__(
        self,
        redis: RedisManager,
        postgres: PostgresManager,
        journal: Journal,
        letters: DeadLetters,
        database: Database,
    ) -> None:
        self.redis = Reading(redis.ping)
        self.postgres = Reading(postgres.ping)
        self.journal = Reading[JournalLag](journal.lag)
        self.letters = Reading(letters.count)
        self.database = Reading[Standing](database.look)
        self.service = ReadingsService([self.redis, self.postgres, self.journal, self.letters, self.database])


def observe(composition: Composition) -> None:
    """Tell the monitoring how to ask each part, the metrics what to read, the alarms what is wrong."""
    _watch_health(composition)
    _show_numbers(composition)
    _watch_for_alarms(composition)


def _watch_health(composition: Composition) -> None:
    parts, monitoring = composition.parts, composition.monitoring
    role, bot = composition.place.role, composition.bot
    monitoring.watch("data", partial(data_health, lambda: composition.readings.database.value))
    monitoring.watch("redis", partial(answers, "redis", parts.redis.ping))
    if role in {"all", "gateway"}:
        monitoring.watch("postgresql", partial(answers, "postgresql", parts.postgres.ping))
    if role in SENDING:
        monitoring.watch("telegram", partial(telegram_health, parts.telegram, bot))
    if role in {"all", "gateway"}:
        monitoring.watch("updates", partial(updates_health, parts.telegram, composition.why_unanswered, bot))
    if role in {"all", "ingest"}:
        monitoring.watch("feed", partial(feed_health, bot))
    monitoring.watch("clock", clock_health)
    if role == "all":
        monitoring.watch("api", partial(api_health, parts.api))


def _show_numbers(composition: Composition) -> None:
    metrics, engine, parts = composition.metrics, composition.bot.engine, composition.parts
    feed, readings, caches = engine.intake.feed, composition.readings, composition.caches
    for name in ("calls", "ticks", "repeats", "malformed", "refused", "reconnects", "backfilled"):
        metrics.gauge(f"feed_{name}", f"Feed: {name}.", partial(getattr, feed.stats, name))
    numbers: dict[str, tuple[str, Callable[[], float]]] = {
        "token_queue_size": ("Calls waiting to be matched.", engine.intake.token_queue.qsize),
        "alerts_held": ("Alerts waiting for their turn.", lambda: engine.delivery.held),
        "subscribers_receiving": ("Subscribers who are matched.", lambda: composition.users.roster.counts().receiving),
        "partitions_sent": ("Partitions whose alerts are sent here.", lambda: len(engine.delivery.owned)),
        "local_operations": ("Operations that Redis does not know yet.", lambda: engine.spool.waiting),
        "local_alerts": ("Alerts claimed without Redis and not settled.", lambda: engine.spool.local_alerts),
        "journal_drained": ("Entries committed to PostgreSQL since the start.", lambda: engine.journal.drained),
        "journal_rejected": ("Entries that PostgreSQL refused.", lambda: engine.journal.rejected),
    }
    for name, (meaning, read) in numbers.items():
        metrics.gauge(name, meaning, read)
    for cache in (caches.channels, caches.settings, caches.permissions, caches.media):
        gauges.show_cache(metrics, cache)
    gauges.show_redis(metrics, parts.redis)
    gauges.show_postgres(metrics, readings.postgres)
    gauges.show_journal(metrics, lambda: readings.journal.value)
    gauges.show_letters(metrics, readings.letters)
    gauges.show_limiter(metrics, parts.limiter)
    gauges.show_telegram(metrics, lambda: parts.telegram.foreign_answers)
    gauges.show_updates(metrics, parts.telegram.queue, lambda: parts.telegram.inbox.unreadable)
    gauges.show_api(metrics, parts.api)
    gauges.show_unreadable(metrics, parts.source.name, lambda: parts.source.unreadable)
    if (jupiter := parts.jupiter) is not None:
        gauges.show_unreadable(metrics, "jupiter", lambda: jupiter.unreadable)


def _watch_for_alarms(composition: Composition) -> None:
    alarms, engine, parts = composition.alarms, composition.bot.engine, composition.parts
    readings, intake = composition.readings, engine.intake
    alarms.watch("token queue", conditions.queue_filling(intake.token_queue.qsize, QUEUE_SIZE))
    alarms.watch("journal", conditions.journal_behind(lambda: readings.journal.value))
    alarms.watch("Redis", parts.redis.why_unusable, after_s=REDIS_AWAY_S)
    alarms.watch("disk", conditions.disk_filling(composition.data_dir), after_s=DISK_FILLING_S)
    alarms.watch("PostgreSQL", conditions.unanswered(readings.postgres))
    standing = readings.database
    alarms.watch("PostgreSQL's data", conditions.data_lost(lambda: standing.value), after_s=DATA_LOST_S)
    alarms.watch("dead letters", conditions.LettersGrew(readings.letters))
    without_redis = conditions.because("alarm.without_redis")
    alarms.watch("local store", conditions.flagged(lambda: engine.spool.is_local, without_redis))
    queue, health = parts.telegram.queue, parts.telegram.health
    alarms.watch("updates", conditions.nobody_answered(lambda: health().problem, *composition.why_unanswered))
    alarms.watch("waiting updates", conditions.updates_waiting(lambda: queue.oldest_age_s, lambda: len(queue)))
    members, owner = composition.stores.members, composition.place.owner
    others = partial(_others, members, owner)
    alarms.watch("clock", conditions.clocks_wrong(lambda: now.wrong_by_s, others))
    if composition.place.role == "all":
        counts = composition.metrics.counts
        alarms.watch("old calls", conditions.CallsOutdated(lambda: counts.calls_stale))
        alarms.watch("feed", conditions.feed_silent(intake.feed.health))
    if composition.place.role == "gateway":
        alarms.watch("processes", conditions.roles_missing(members), after_s=ROLE_MISSING_S)


def _others(members: Members, owner: str) -> list[Member]:
    return [one for one in members.living() if one.owner != owner]
