"""What is known of tokens and channels beyond what a call says, and the prices that come by themselves."""

from __future__ import annotations

import asyncio
from functools import partial

from bot.health import api_health
from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.prices import follow_sol
from composition.feature import Base, Feature
from domain.calls.events import Channel
from managers.storage.cache import SmartCache
from runtime.clock import now
from services.calls.channels import ChannelsService
from services.calls.group import CallServices
from services.calls.tokens import TokensService
from services.monitoring import gauges
from services.monitoring.health import Check

API_CALLS_AT_ONCE = 10

SOL_PRICE = JobSpec(
    name="sol price",
    does="asks what a feed counts in, where it counts in SOL",
    roles=frozenset({"all", "ingest"}),
    phase="intake",
)
CHANNELS = JobSpec(name="channels", does="learns which channels call", roles=frozenset({"all", "gateway"}))
JOBS = (SOL_PRICE, CHANNELS)


def build(base: Base) -> Feature:
    connections, role = base.connections, base.place.role
    at_once = asyncio.Semaphore(API_CALLS_AT_ONCE)
    cache = SmartCache[str, Channel].of("channels")
    channels = ChannelsService(
        source=connections.source,
        redis=connections.redis,
        postgres=connections.postgres,
        cache=cache,
        api_semaphore=at_once,
        metrics=base.metrics,
        clock=now,
    )
    tokens = TokensService(
        source=connections.source,
        jupiter=connections.jupiter,
        postgres=connections.postgres,
        api_semaphore=at_once,
        metrics=base.metrics,
        clock=now,
    )
    _show(base, cache)
    jobs = [CHANNELS.run_by(channels.run)]
    if connections.sol_price is not None:
        jobs.append(SOL_PRICE.run_by(partial(follow_sol, connections.sol_price)))
    health: dict[str, Check] = {"api": partial(api_health, connections.api)} if role == "all" else {}
    return Feature(
        parts=[channels, tokens],
        caches=[cache],
        services=[CallServices(channels=channels)],
        jobs=jobs,
        steps=Steps(load=tokens.restore if role in {"all", "ingest"} else None),
        health=health,
    )


def _show(base: Base, cache: SmartCache[str, Channel]) -> None:
    source, jupiter = base.connections.source, base.connections.jupiter
    gauges.show_cache(base.metrics, cache)
    gauges.show_api(base.metrics, base.connections.api)
    gauges.show_unreadable(base.metrics, source.name, lambda: source.unreadable)
    if jupiter is not None:
        gauges.show_unreadable(base.metrics, "jupiter", lambda: jupiter.unreadable)
