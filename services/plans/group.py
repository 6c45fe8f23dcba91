"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.plans.entitling import EntitlingService
from services.plans.subscriptions import SubscriptionsService


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanServices:
    subscriptions: SubscriptionsService
    entitling: EntitlingService
