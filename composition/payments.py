"""What people pay for: plans, and who has one until when."""

from __future__ import annotations

from bot.jobs import JobSpec
from composition.feature import CONFIG, Base, Feature
from domain.payments.plans import load_plans
from runtime.clock import now
from services.payments.group import PaymentServices
from services.payments.subscriptions import SubscriptionsService

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    del base
    subscriptions = SubscriptionsService(load_plans((CONFIG / "plans.toml").read_text("utf-8")), clock=now)
    return Feature(services=[PaymentServices(subscriptions=subscriptions)])
