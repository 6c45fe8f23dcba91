"""The bot, put together of its features. Opens nothing, decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from bot.console import Terminal
from bot.jobs import JobSpec
from bot.lifecycle import Lifecycle
from bot.telegram_bot import TelegramBot
from composition.connections import Connections, ProcessConfig
from composition.engine import (
    admins,
    calls,
    claims,
    cluster,
    controls,
    delivery,
    joining,
    monitoring,
    recovery,
    stores,
    subscribers,
    telegram,
    tokens,
    why,
)
from composition.feature import Alarm, Base, Builder, Feature
from composition.features import (
    backtest,
    broadcasts,
    channels,
    completing,
    export,
    nowpayments,
    payments,
    people,
    records,
    reports,
    retention,
    running,
    sessions,
    solana,
    statistics,
    tokens_asked,
    tracking,
    watches,
)
from config.settings import Settings
from handlers.conversation.base import ConversationServices, Services
from handlers.conversation.dispatch import Dispatcher
from runtime.errors import FatalError
from runtime.supervision import Pulse
from services.calls.group import CallServices
from services.claims.group import ClaimServices
from services.cluster.leases import Leases
from services.delivery.kinds import Kinds
from services.monitoring.alarms import AlarmsService
from services.monitoring.gauges import show_jobs
from services.monitoring.group import MonitoringServices
from services.monitoring.metrics import Metrics
from services.monitoring.process_conditions import jobs_stuck
from services.monitoring.readings import ReadingsService
from services.plans.group import PlanServices
from services.running.caches import Caches
from services.schedule.schedule import Schedule
from services.subscribers.group import SubscriberServices
from services.why.group import WhyServices
from texts import Texts
from web.address import EdgeAddress

T = TypeVar("T")

BUILDERS: Final[tuple[Builder, ...]] = (
    cluster,
    stores,
    controls,
    admins,
    telegram,
    joining,
    claims,
    tokens,
    subscribers,
    payments,
    solana,
    nowpayments,
    why,
    calls,
    delivery,
    tracking,
    records,
    channels,
    sessions,
    completing,
    watches,
    tokens_asked,
    export,
    retention,
    people,
    reports,
    broadcasts,
    statistics,
    backtest,
    recovery,
    running,
    monitoring,
)
"""Each may ask for what those before it gave; their steps are taken in this order."""


def job_specs() -> list[JobSpec]:
    """Every row of every feature."""
    return [spec for builder in BUILDERS for spec in builder.JOBS]


class Composition:
    def __init__(
        self, settings: Settings, connections: Connections, terminal: Terminal, place: ProcessConfig | None = None
    ) -> None:
        self.connections = connections
        self.place = place or ProcessConfig()
        self.metrics = Metrics()
        self.edge = EdgeAddress(settings.public_url)
        self._base = base = Base(
            settings=settings,
            connections=connections,
            place=self.place,
            terminal=terminal,
            texts=Texts.load(),
            metrics=self.metrics,
            lifecycle=Lifecycle(),
            edge=self.edge,
            pulse=Pulse(),
        )
        features = [_built(builder, base) for builder in BUILDERS]
        _join(base, features)
        self.routes = [route for feature in features for route in feature.routes]
        services = _services(base, features)
        base.give(services)
        self.bot = TelegramBot(
            services,
            jobs=[job for feature in features for job in feature.jobs],
            steps=[feature.steps for feature in features],
            lifecycle=base.lifecycle,
            leases=base.of(Leases),
            role=self.place.role,
            notify_socket=settings.notify_socket,
            pulse=base.pulse,
        )
        watched = self.bot.watched_jobs()
        Dispatcher(self.bot, double_tap_s=settings.double_tap_s).install(connections.telegram.application)
        _watch(base, features, Alarm("jobs", jobs_stuck(self.bot.stuck), after_s=0.0))
        show_jobs(base.metrics, lambda: {name: s for name, s in base.pulse.ages_s().items() if name in watched})

    def alive(self) -> dict[str, object]:
        """Whether the jobs of this process move, for `/healthz`: what the watchdog sees, and nothing of the outside."""
        stuck = self.bot.stuck()
        return {"ok": not stuck, "stuck": stuck, "state": self.bot.lifecycle.state}

    def of(self, kind: type[T]) -> T:
        """What some builder gave of this class."""
        return self._base.of(kind)


def _built(builder: Builder, base: Base) -> Feature:
    feature = builder.build(base)
    for part in (*feature.parts, *feature.services):
        base.give(part)
    undeclared = [job.spec.name for job in feature.jobs if job.spec not in builder.JOBS]
    if undeclared:
        raise FatalError(f"{builder.__name__} gives jobs that its JOBS lack: {', '.join(undeclared)}.")
    return feature


def _join(base: Base, features: Sequence[Feature]) -> None:
    kinds, schedule, caches = base.of(Kinds), base.of(Schedule), base.of(Caches)
    for feature in features:
        for cache in feature.caches:
            caches.add(cache)
        for kind in feature.kinds:
            kinds.add(kind)
        for job in feature.scheduled:
            schedule.add(job)


def _services(base: Base, features: Sequence[Feature]) -> Services:
    return Services(
        conversation=base.of(ConversationServices),
        subscribers=base.of(SubscriberServices),
        plans=base.of(PlanServices),
        calls=base.of(CallServices),
        claims=base.of(ClaimServices),
        why=base.of(WhyServices),
        monitoring=base.of(MonitoringServices),
        groups={type(group): group for feature in features for group in feature.services},
    )


def _watch(base: Base, features: Sequence[Feature], *more: Alarm) -> None:
    """Tell the monitoring how to ask each part, and the alarms what is wrong."""
    alarms, monitor, readings = base.of(AlarmsService), base.of(MonitoringServices).monitor, base.of(ReadingsService)
    for feature in features:
        for name, check in feature.health.items():
            monitor.watch(name, check)
        for reading in feature.readings:
            readings.watch(reading)
    for alarm in (*(one for feature in features for one in feature.alarms), *more):
        alarms.watch(alarm.name, alarm.condition, after_s=alarm.after_s, is_shared=alarm.is_shared)
