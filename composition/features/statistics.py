"""How the whole is doing, for admins."""

from __future__ import annotations

from bot.jobs import JobSpec
from composition.feature import Base, Feature
from domain.payments.plans import Plans
from runtime.clock import now
from services.statistics.statistics import StatisticsService

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    return Feature(services=[StatisticsService(base.connections.postgres, base.of(Plans), now)])
