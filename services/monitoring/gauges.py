"""Which numbers of which part stand in /metrics, and under which names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from managers.http.api import APIRetryManager
from managers.telegram.rate_limiter import Lane, LimiterStats
from services.monitoring.memory import MemoryUse, own_bytes
from services.monitoring.metrics import Metrics, Read
from services.monitoring.readings import Reading
from services.providers.figures import FiguresService
from services.providers.price_sources import PriceSources
from services.stores.journal import JournalLag

_API_COUNTS = {
    "requests": "Requests to the host.",
    "retries": "Those of the requests that repeat an earlier one.",
    "failures": "Those of the requests that ended in a time-out, a broken connection, a 5xx or a foreign answer.",
    "foreign_answers": "Those of the failures that somebody else answered: a proxy, a login page.",
    "breaker_opened": "How often the host was shut out after failing.",
    "refused_by_budget": "Questions not asked because the host's limit was used up.",
    "refused_by_breaker": "Questions not asked because the host was shut out.",
}
"""Of `managers.http.api.HostCounts`."""

_FIGURE_COUNTS = {
    "requests": "Requests for figures of tokens.",
    "answered": "Tokens of which a provider knew something.",
    "unknown": "Tokens that a provider did not know.",
    "failed": "Tokens in requests that ended without an answer.",
    "dropped": "Tokens that were not asked about: too many were wanted at once.",
}
_PRICE_COUNTS = {
    "requests": "Requests for prices.",
    "asked": "Tokens whose price was asked for.",
    "answered": "Those of them that got one.",
    "unknown": "Those of them that the provider does not know.",
    "failed": "Those of them whose request got no answer.",
    "limited": "Those of them whose request was refused for the limit's sake.",
    "set_aside": "Prices that were plainly off and were not believed.",
}
"""Of `services.providers.price_source.SourceCounts`."""


class CacheCounts(Protocol):
    """What every `managers.storage.cache.SmartCache` knows about itself, whatever it keeps."""

    name: str
    hits: int
    misses: int

    def __len__(self) -> int: ...


class RedisCounts(Protocol):
    """What `managers.redis.client.RedisManager` knows about itself."""

    commands_sent: int
    round_trips: int
    latency_s: float | None

    @property
    def is_unavailable(self) -> bool: ...

    @property
    def reconnects(self) -> int: ...


class Limiter(Protocol):
    @property
    def stats(self) -> LimiterStats: ...


def show_cache(metrics: Metrics, cache: CacheCounts) -> None:
    labels = {"cache": cache.name}
    metrics.counter("cache_hits", "Look-ups that memory answered.", lambda: cache.hits, labels)
    metrics.counter("cache_misses", "Look-ups that memory could not answer.", lambda: cache.misses, labels)
    metrics.gauge("cache_entries", "Values in memory.", lambda: len(cache), labels)


def show_redis(metrics: Metrics, redis: RedisCounts) -> None:
    metrics.counter("redis_commands", "Commands sent to Redis.", lambda: redis.commands_sent)
    metrics.counter("redis_round_trips", "Waits for an answer of Redis.", lambda: redis.round_trips)
    metrics.counter("redis_reconnects", "How often Redis came back.", lambda: redis.reconnects)
    metrics.gauge("redis_unavailable", "1 while Redis does not answer.", lambda: float(redis.is_unavailable))
    metrics.gauge(
        "redis_round_trip_seconds",
        "The last round trip that was measured; nothing while Redis is unavailable.",
        lambda: None if redis.is_unavailable else redis.latency_s,
    )


def show_postgres(metrics: Metrics, latency_s: Reading[float]) -> None:
    metrics.gauge(
        "postgresql_unavailable", "1 while PostgreSQL does not answer.", lambda: float(bool(latency_s.problem))
    )
    metrics.gauge(
        "postgresql_round_trip_seconds",
        "The last round trip that was measured; nothing while PostgreSQL is unavailable.",
        lambda: latency_s.value,
    )


def show_journal(metrics: Metrics, lag: Callable[[], JournalLag | None]) -> None:
    """`lag`: as last seen; `None` where nobody can tell."""
    metrics.gauge("journal_entries", "Entries on their way to PostgreSQL.", lambda: (known := lag()) and known.entries)
    metrics.gauge("journal_age_seconds", "Age of the oldest of them.", lambda: (known := lag()) and known.age_s)


def show_dead_letters(metrics: Metrics, dead_letters: Reading[int]) -> None:
    metrics.gauge("dead_letters", "Alerts that wait for an admin to send them again.", lambda: dead_letters.value)


def show_api(metrics: Metrics, api: APIRetryManager) -> None:
    """By host, as far as they have been asked or have a limit."""
    for name, meaning in _API_COUNTS.items():
        metrics.counter_each(f"api_{name}", meaning, "host", partial(_by_host, api, name))
    metrics.gauge_each(
        "api_breaker_open",
        "1 while the host is shut out after failing.",
        "host",
        lambda: {host: float(not health.ok) for host, health in api.health().items()},
    )


def show_subscribers(metrics: Metrics, *, receiving: Read, unreadable: Read) -> None:
    metrics.gauge("subscribers_receiving", "Subscribers who are matched.", receiving)
    metrics.gauge("subscribers_unreadable", "Subscribers whose documents could not be read here.", unreadable)


def show_unreadable(metrics: Metrics, source: str, unreadable: Callable[[], int]) -> None:
    """`source`: whose answers they are items of."""
    meaning = "Items of an answer that could not be read and were skipped."
    metrics.counter("items_unreadable", meaning, unreadable, {"source": source})


def show_figures(metrics: Metrics, figures: FiguresService) -> None:
    """By provider."""
    for name, meaning in _FIGURE_COUNTS.items():
        metrics.counter_each(f"figures_{name}", meaning, "source", partial(_figure_counts, figures, name))


def _figure_counts(figures: FiguresService, name: str) -> dict[str, int]:
    return {source: getattr(counts, name) for source, counts in figures.sources.items()}


def show_price_sources(metrics: Metrics, sources: PriceSources) -> None:
    """By provider."""
    for name, meaning in _PRICE_COUNTS.items():
        metrics.counter_each(f"prices_{name}", meaning, "source", partial(_by_source, sources, name))
    metrics.gauge_each(
        "prices_answer_age_seconds",
        "Since the last answer; nothing before the first.",
        "source",
        lambda: {one.name: one.age_s for one in sources.health() if one.age_s is not None},
    )
    metrics.counter("highs_asked", "Gaps of prices that candles were to close.", lambda: sources.highs_asked)
    metrics.counter("highs_found", "Those of them that candles closed.", lambda: sources.highs_found)
    metrics.counter("highs_refused", "Those of them without room or answer.", lambda: sources.highs_refused)


def _by_source(sources: PriceSources, name: str) -> dict[str, float]:
    return {source: getattr(counts, name) for source, counts in sources.counts.items()}


def _by_host(api: APIRetryManager, name: str) -> dict[str, float]:
    return {host: getattr(counts, name) for host, counts in api.counts.items()}


def show_limiter(metrics: Metrics, limiter: Limiter) -> None:
    metrics.counter("telegram_sent", "Messages that left under a slot.", lambda: limiter.stats.sent)
    metrics.counter("telegram_waited", "Messages that had to wait for a slot.", lambda: limiter.stats.waited)
    metrics.counter("telegram_refusals", "Answers 429 of Telegram.", lambda: limiter.stats.refusals)
    metrics.gauge("telegram_in_flight", "Slots that are taken right now.", lambda: limiter.stats.in_flight)
    metrics.gauge("telegram_chats", "Chats that hold, cool or wait for a slot.", lambda: limiter.stats.chats)
    for lane in Lane:
        metrics.gauge(
            "telegram_waiting",
            "Messages waiting for a slot.",
            partial(_waiting, limiter, lane),
            {"lane": lane.name.lower()},
        )


def show_telegram(metrics: Metrics, foreign_answers: Callable[[], int]) -> None:
    meaning = (
        "Answers in Telegram's place that were not its own: a proxy's page, half a body; what was asked is unknown."
    )
    metrics.counter("telegram_foreign_answers", meaning, foreign_answers)


class Queue(Protocol):
    """What `managers.telegram.update_queue.UpdateQueue` knows about itself."""

    handled: int
    dropped: int
    given_up: int

    def __len__(self) -> int: ...

    @property
    def oldest_age_s(self) -> float: ...


def show_updates(metrics: Metrics, queue: Queue, unreadable: Read) -> None:
    metrics.gauge("updates_waiting", "Updates that wait or are being handled.", lambda: len(queue))
    metrics.gauge("updates_oldest_age_seconds", "Age of the oldest of them.", lambda: queue.oldest_age_s)
    metrics.counter("updates_handled", "Updates that were handled.", lambda: queue.handled)
    metrics.counter("updates_dropped", "Updates beyond somebody's share; dropped.", lambda: queue.dropped)
    metrics.counter("updates_given_up", "Updates whose handling did not come to an end.", lambda: queue.given_up)
    metrics.counter("updates_unreadable", "Updates that could not be read; dropped.", unreadable)


def _waiting(limiter: Limiter, lane: Lane) -> int:
    return limiter.stats.waiting[lane]


def show_jobs(metrics: Metrics, ages_s: Callable[[], Mapping[str, float]]) -> None:
    metrics.gauge_each("job_progress_age_seconds", "Since a job has last reported progress.", "name", ages_s)


def show_alarms(metrics: Metrics, stands: Callable[[], Mapping[str, bool]]) -> None:
    """`stands`: by name of an alarm, whether it does."""
    metrics.gauge_each(
        "alarm_active",
        "1 while an alarm stands: what admins are told of.",
        "alarm",
        lambda: {name: float(is_active) for name, is_active in stands().items()},
    )


def show_process(metrics: Metrics, role: str, memory: Callable[[], MemoryUse | None]) -> None:
    metrics.gauge("bot_info", "Always 1; the labels say which process it is.", lambda: 1.0, {"role": role})
    metrics.gauge(
        "memory_used_bytes", "Memory that counts against the limit.", lambda: (m := memory()) and m.used_bytes
    )
    metrics.gauge("memory_limit_bytes", "Nothing where there is none.", lambda: (m := memory()) and m.limit_bytes)
    metrics.counter("process_cpu_seconds", "Time that the processor worked for this process.", time.process_time)
    metrics.gauge("process_resident_memory_bytes", "Memory of this process alone.", own_bytes)
