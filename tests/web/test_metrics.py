"""What /metrics shows of numbers that other parts keep."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bot.health import api_health
from managers.http.api import FAILURES_IN_A_ROW, APIRetryManager
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from managers.telegram.rate_limiter import Lane, TelegramRateLimiter
from runtime.errors import TransientError
from runtime.latencies import Spread
from services.claims.dead_letters import DeadLetters
from services.monitoring.gauges import (
    show_api,
    show_cache,
    show_dead_letters,
    show_journal,
    show_limiter,
    show_postgres,
    show_redis,
)
from services.monitoring.metrics import LATENCY_BUCKETS_S, Metrics
from services.monitoring.readings import ASK_TIMEOUT_S, Reading, ReadingsService
from services.providers.asked import AskedProviders
from services.stores.journal import Journal, JournalLag
from tests.telegram.virtual_time import run
from tests.wiring import add_entry


def samples(metrics: Metrics) -> dict[str, float]:
    """What Prometheus reads: `name{label}` -> value."""
    text = generate_latest(metrics.registry).decode()
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_latencies_are_counted_by_what_they_do_not_exceed() -> None:
    metrics, at = Metrics(), datetime(2026, 1, 1, tzinfo=UTC)
    for seconds in (-1, 0, 0.002, 0.0021, 300, 301):  # less than nothing is the clock's doing and counts as nothing
        metrics.decided(at, at + timedelta(seconds=seconds))
    metrics.sent(at, at + timedelta(seconds=0.125), at + timedelta(seconds=0.25))
    shown = samples(metrics)
    name = "frame_to_decided_seconds"
    buckets = [shown[f"{name}_bucket{{{bound}}}"] for bound in (0.0005, 0.001, 0.002, 0.005, 60.0, 300.0, "+Inf")]
    assert buckets == [2, 2, 3, 4, 4, 5, 6]
    assert (shown[f"{name}_count"], shown[f"{name}_sum"]) == (6, pytest.approx(601.0041))
    assert shown[f"{name}_created"] > 0
    assert sum(key.startswith(f"{name}_bucket") for key in shown) == len(LATENCY_BUCKETS_S) + 1
    assert (shown["frame_to_sent_seconds_bucket{0.1}"], shown["frame_to_sent_seconds_bucket{0.25}"]) == (0, 1)
    assert metrics.counts.alerts_sent == 1
    assert metrics.speeds == Spread(count=1, p50_s=0.125, p99_s=None)
    assert metrics.confirmed == Spread(count=1, p50_s=0.25, p99_s=None)


async def test_every_host_says_how_it_answers(unused_tcp_port: int) -> None:
    metrics, host = Metrics(), f"127.0.0.1:{unused_tcp_port}"
    async with aiohttp.ClientSession() as session:
        api = APIRetryManager(session)
        show_api(metrics, api)
        assert not [name for name in samples(metrics) if name.startswith("api_")]
        assert (await api_health(api, AskedProviders([]))).detail == "nothing asked yet"
        for _ in range(FAILURES_IN_A_ROW + 1):
            with pytest.raises(TransientError):
                await api.get(f"http://{host}/", timeout_s=2, attempts=1)
    shown = samples(metrics)
    counted = [shown[f"api_{name}_total{{{host}}}"] for name in ("requests", "retries", "failures", "breaker_opened")]
    assert counted == [FAILURES_IN_A_ROW, 0, FAILURES_IN_A_ROW, 1]
    assert [shown[f"api_refused_by_{why}_total{{{host}}}"] for why in ("breaker", "budget")] == [1, 0]
    assert shown[f"api_breaker_open{{{host}}}"] == 1
    health = await api_health(api, AskedProviders([]))
    assert health.ok
    assert health.detail.startswith(f"{host} shut out for ")
    assert health.detail.endswith(f", {FAILURES_IN_A_ROW} requests, repeats among them: 0")


async def test_caches_say_how_often_they_helped() -> None:
    metrics = Metrics()
    channels, media = SmartCache[str, int].of("channels"), SmartCache[str, int].of("media")
    for cache in (channels, media):
        show_cache(metrics, cache)
    channels.put("a", 1)
    assert [channels.get(key) for key in ("a", "a", "b")] == [1, 1, None]
    shown = samples(metrics)
    assert (shown["cache_hits_total{channels}"], shown["cache_misses_total{channels}"]) == (2, 1)
    assert (shown["cache_entries{channels}"], shown["cache_entries{media}"]) == (1, 0)


async def test_redis_says_what_it_is_asked_and_how_fast_it_is(redis_manager: RedisManager) -> None:
    metrics = Metrics()
    show_redis(metrics, redis_manager)
    assert "redis_round_trip_seconds" not in samples(metrics)
    before = samples(metrics)
    await redis_manager.transaction([("SET", "a", 1), ("SET", "b", 1)])
    await redis_manager.ping()
    shown = samples(metrics)
    assert shown["redis_commands_total"] > before["redis_commands_total"] + 2
    assert shown["redis_round_trips_total"] == before["redis_round_trips_total"] + 2
    assert shown["redis_round_trip_seconds"] > 0
    assert (shown["redis_unavailable"], shown["redis_reconnects_total"]) == (0, 0)


async def test_what_has_to_be_asked_is_shown_as_it_was_last(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    metrics, journal = Metrics(), Journal(redis_manager, postgres_manager)
    lag, dead_letters = Reading(journal.lag), Reading(DeadLetters(redis_manager, metrics).count)
    latency_s = Reading(postgres_manager.ping)
    show_journal(metrics, lambda: lag.value)
    show_dead_letters(metrics, dead_letters)
    show_postgres(metrics, latency_s)
    assert "journal_entries" not in samples(metrics)
    await add_entry(redis_manager, "journal", {"kind": "call", "data": "{}"})
    await add_entry(redis_manager, "dead_letters", {"alert": "{}"})
    await ReadingsService([lag, dead_letters, latency_s]).refresh()
    shown = samples(metrics)
    assert (shown["journal_entries"], shown["dead_letters"], shown["postgresql_unavailable"]) == (1, 1, 0)
    assert shown["journal_age_seconds"] >= 0
    assert shown["postgresql_round_trip_seconds"] > 0


async def test_what_is_away_shows_that_and_no_old_number(redis_manager: RedisManager) -> None:
    metrics = Metrics()
    unavailable = Reading(PostgresManager("postgresql://postgres@/postgres?host=/nonexistent").ping)
    await unavailable.refresh()
    show_postgres(metrics, unavailable)
    show_journal(metrics, lambda: None)
    shown = samples(metrics)
    assert shown["postgresql_unavailable"] == 1
    assert not {"postgresql_round_trip_seconds", "journal_entries", "journal_age_seconds"} & set(shown)


async def test_an_empty_journal_is_shown_as_nought() -> None:
    metrics = Metrics()
    show_journal(metrics, lambda: JournalLag(entries=0, age_s=0.0))
    assert (samples(metrics)["journal_entries"], samples(metrics)["journal_age_seconds"]) == (0, 0)


async def test_the_limiter_says_who_waits_in_which_lane() -> None:
    metrics, limiter = Metrics(), TelegramRateLimiter()
    show_limiter(metrics, limiter)
    async with limiter.slot(1, Lane.ALERT), asyncio.TaskGroup() as group:
        waiting = group.create_task(limiter.slot(1, Lane.REPORT).__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        shown = samples(metrics)
        waiting.cancel()
    assert shown["telegram_waiting{report}"] == 1
    assert shown["telegram_waiting{alert}"] == 0
    assert (shown["telegram_in_flight"], shown["telegram_waited_total"], shown["telegram_chats"]) == (1, 1, 1)
    assert {f"telegram_waiting{{{lane.name.lower()}}}" for lane in Lane} <= set(shown)
    await limiter.shutdown()


async def test_a_reading_keeps_no_answer_that_is_no_longer_true() -> None:
    answers: list[int | TransientError] = [1, TransientError("gone"), TransientError(), 2]

    async def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, TransientError):
            raise answer
        return answer

    reading, seen = Reading(ask), list[tuple[int | None, str | None]]()
    for _ in range(4):
        await reading.refresh()
        seen.append((reading.value, reading.problem))
    assert seen == [(1, None), (None, "gone"), (None, "TransientError"), (2, None)]


def test_a_question_that_hangs_holds_up_no_other() -> None:
    async def hang() -> int:
        await asyncio.Event().wait()
        return 0

    async def answer() -> int:
        return 7

    async def story() -> None:
        frozen, well = Reading(hang), Reading(answer)
        service, asked = ReadingsService([frozen, well]), asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * ASK_TIMEOUT_S):
                await service.run(asked.set)
        assert asked.is_set()
        assert (frozen.value, frozen.problem, well.value) == (None, "no answer within 2 s", 7)

    run(story())
