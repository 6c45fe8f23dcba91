"""What admins see and do of every process: sources, caches, connections, what is left to be done."""

from __future__ import annotations

from functools import partial

from bot.intake import LEASE as INGEST
from bot.intake import Intake
from bot.jobs import JobSpec
from bot.roles import Role
from composition.feature import Base, Feature
from config.logging import LEVELS
from runtime.clock import now
from services.channels.figures import OwnPages
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.monitoring.group import MonitoringServices
from services.providers.asked import AskedProviders
from services.providers.price_sources import PriceSources
from services.running.caches import Caches
from services.running.channels import ChannelsAdmin
from services.running.controls import Controls
from services.running.merging import Merging
from services.running.operating import LET_IN, LOG_LEVEL, LOGS_FOR_S, RECONNECT, Operating
from services.running.orders import Orders
from services.running.processes import HostState, Processes, ProcessReport, SourceState
from services.running.sources import REPLAY, Sources

READING: frozenset[Role] = frozenset({"all", "ingest"})

REPORT = JobSpec(name="process report", does="tells admins' process how this one is")
JOBS = (REPORT,)


def build(base: Base) -> Feature:
    connections, orders = base.connections, base.of(Orders)
    processes = Processes(connections.redis, base.of(Members), partial(_report, base))
    sources = Sources(
        feed=connections.source.name,
        replays=connections.source.replays,
        controls=base.of(Controls),
        orders=orders,
        processes=processes,
        postgres=connections.postgres,
        clock=now,
    )
    orders.on(REPLAY, partial(_replay, base))
    orders.on(RECONNECT, partial(_reconnect, base))
    orders.on(LET_IN, partial(_let_in, base))
    orders.on(LOG_LEVEL, partial(_log_from, base))
    channels = ChannelsAdmin(connections.postgres, base.of(Controls), now)
    merging = Merging(connections.postgres, base.of(Controls), now)
    services = [processes, sources, Operating(orders), channels, merging]
    return Feature(services=services, jobs=[REPORT.run_by(processes.run)])


def _reads(base: Base) -> bool:
    """Whether the feed is this process's."""
    return base.place.role == "all" or (base.place.role in READING and base.of(Leases).is_valid(INGEST))


async def _replay(base: Base, cursor: str) -> bool:
    if not _reads(base) or not base.connections.source.replays:
        return False
    base.of(Intake).feed.replay(int(cursor))
    return True


async def _reconnect(base: Base, part: str) -> bool:
    match part:
        case "feed":
            return base.of(Intake).feed.reconnect()
        case "redis":
            await base.connections.redis.reconnect()
            return True
        case "telegram":
            return base.connections.telegram.reconnect()
        case _:
            return False


async def _let_in(base: Base, host: str) -> bool:
    return base.connections.api.let_in(host)


async def _log_from(base: Base, level: str) -> bool:
    if level not in LEVELS:
        return False
    base.of(MonitoringServices).log_level.set(level, for_s=LOGS_FOR_S)
    return True


def _report(base: Base) -> ProcessReport:
    shut_out = (one for one in base.connections.api.health().values() if not one.ok)
    reads, prices = base.place.role in READING, base.find(PriceSources)
    return ProcessReport(
        owner=base.place.owner,
        sources=(*([_feed(base)] if _reads(base) else ()), *_asked(base, prices)),
        caches=base.of(Caches).states(),
        shut_out=tuple(HostState(host=o.host, again_in_s=o.again_in_s, problem=o.last_problem) for o in shut_out),
        log_level=base.of(MonitoringServices).log_level.current,
        undecided=base.of(Intake).undecided if reads else 0,
    )


def _feed(base: Base) -> SourceState:
    feed, source = base.of(Intake).feed, base.connections.source
    health, own = feed.health(), base.find(OwnPages)
    problem = own.problem if own else None
    return SourceState(
        name=source.name,
        kind="pages" if own else "feed",
        ok=health.connected and not health.stale and problem is None,
        rests=feed.rests(),
        replays=source.replays,
        age_s=own.age_s if own else health.data_age_s,
        asked=feed.stats.calls,
        problem=problem or health.last_problem,
    )


def _asked(base: Base, prices: PriceSources | None) -> list[SourceState]:
    """Everybody who is asked from here about tokens, by whatever part of it."""
    asked, priced = base.of(AskedProviders), {one.name: one for one in prices.health()} if prices else {}
    return [
        SourceState(
            name=one.name,
            kind="prices" if one.name in priced else "figures",
            ok=one.problem is None,
            rests=asked.rests(one.name),
            age_s=one.host.answered_s_ago,
            asked=one.host.requests,
            used=one.host.used,
            limit=one.limit.slots,
            period_s=one.limit.period_s,
            problem=one.problem,
        )
        for one in asked.health()
        if asked.for_figures or one.name in priced
    ]
