"""What a subscriber is entitled to, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec import Struct

from domain.payments.plans import Plans
from domain.subscribers.subscriber import Subscriber

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DAY = timedelta(days=1)


class SubscriptionStatus(Struct, frozen=True, kw_only=True):
    plan: str
    ends_at: datetime | None
    days_left: int
    """Whole days, rounded up: somebody with an hour left reads 1, not 0."""
    active: bool


class SubscriptionsService:
    def __init__(self, plans: Plans, *, clock: Callable[[], datetime]) -> None:
        self.plans = plans
        self._clock = clock

    def grant_trial(self, user_id: int) -> datetime:
        """Return the end of a trial that starts now."""
        until = self._clock() + self.plans.trial_days * DAY
        log.info("trial_granted", user_id=user_id, until=until.isoformat())
        return until

    def filter_sets_limit(self, subscriber: Subscriber) -> int:
        """How many filter sets the subscriber's plan holds; a plan that is sold no more holds what the trial does."""
        return self.plans.of(subscriber.plan).filter_sets

    def status(self, subscriber: Subscriber) -> SubscriptionStatus:
        now = self._clock()
        ends_at = subscriber.paid_until
        left = (ends_at - now) / DAY if ends_at else 0.0
        return SubscriptionStatus(
            plan=subscriber.plan, ends_at=ends_at, days_left=max(0, math.ceil(left)), active=left > 0
        )
