"""What is known of tokens and channels beyond what a call says, and the prices that come by themselves."""

from __future__ import annotations

import asyncio
from functools import partial

from bot.health import api_health
from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.prices import follow_sol
from composition.feature import Alarm, Base, Feature
from domain.calls.events import Channel
from domain.calls.merges import Merges
from domain.filters.registry import FilterField
from domain.matching.matcher import Matcher
from managers.storage.cache import SmartCache
from runtime.clock import now
from services.calls.channels import ChannelsService
from services.calls.decisive import DecisiveFigures
from services.calls.group import CallServices
from services.calls.tokens import TokensService
from services.monitoring import gauges
from services.monitoring.health import Check
from services.monitoring.process_conditions import providers_failing
from services.providers.asked import AskedProviders
from services.providers.figures import FiguresService
from services.running.controls import Controls

API_CALLS_AT_ONCE = 10

SOL_PRICE = JobSpec(
    name="sol price",
    does="asks what a feed counts in, where it counts in SOL",
    roles=frozenset({"all", "ingest"}),
    phase="intake",
)
CHANNELS = JobSpec(name="channels", does="learns which channels call", roles=frozenset({"all", "gateway"}))
FIGURES = JobSpec(
    name="figures",
    does="asks providers about tokens, each within its limit",
    roles=frozenset({"all", "gateway", "listen", "ingest", "match"}),
    phase="intake",
)
JOBS = (SOL_PRICE, CHANNELS, FIGURES)


def build(base: Base) -> Feature:
    connections, role = base.connections, base.place.role
    at_once = asyncio.Semaphore(API_CALLS_AT_ONCE)
    cache = SmartCache[str, Channel].of("channels")
    figures = FiguresService(connections.figure_providers, now)
    market = DecisiveFigures(figures, partial(_fields_in_use, base))
    channels = ChannelsService(
        source=connections.source,
        redis=connections.redis,
        postgres=connections.postgres,
        cache=cache,
        api_semaphore=at_once,
        metrics=base.metrics,
        clock=now,
        merges=partial(_merges, base),
    )
    tokens = TokensService(
        source=connections.source,
        market=market if connections.figure_providers else None,
        postgres=connections.postgres,
        api_semaphore=at_once,
        metrics=base.metrics,
        clock=now,
        mains=lambda: _merges(base).mains,
    )
    tokens.title_of = channels.title_of
    _show(base, cache, figures)
    jobs = [CHANNELS.run_by(channels.run)]
    if connections.figure_providers:
        jobs.append(FIGURES.run_by(figures.run))
    if connections.sol_price is not None:
        jobs.append(SOL_PRICE.run_by(partial(follow_sol, connections.sol_price)))
    asked = _asked(base, figures)
    health: dict[str, Check] = {"api": partial(api_health, connections.api, asked)} if role == "all" else {}
    return Feature(
        parts=[channels, tokens, figures, asked],
        alarms=[Alarm("providers", providers_failing(asked))],
        caches=[cache],
        services=[CallServices(channels=channels)],
        jobs=jobs,
        steps=Steps(load=tokens.restore if role in {"all", "ingest"} else None),
        health=health,
    )


def _asked(base: Base, figures: FiguresService) -> AskedProviders:
    connections = base.connections
    asked = AskedProviders(
        [*connections.price_providers, *connections.figure_providers, *connections.lookups], figures.failing
    )
    asked.for_figures = base.place.role in FIGURES.roles
    asked.rests = partial(base.of(Controls).stands, "source")
    figures.rest_while(asked.rests)
    return asked


def _merges(base: Base) -> Merges:
    return base.of(Controls).merges


def _fields_in_use(base: Base) -> list[FilterField]:
    return base.of(Matcher).index.fields_in_use()


def _show(base: Base, cache: SmartCache[str, Channel], figures: FiguresService) -> None:
    source = base.connections.source
    gauges.show_cache(base.metrics, cache)
    gauges.show_api(base.metrics, base.connections.api)
    gauges.show_unreadable(base.metrics, source.name, lambda: source.unreadable)
    gauges.show_figures(base.metrics, figures)
