"""What a subscriber is entitled to, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from msgspec import Struct

from domain.payments.plans import Plan
from domain.subscribers.subscriber import Subscriber

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TRIAL = "trial"
DAY = timedelta(days=1)


class SubscriptionStatus(Struct, frozen=True, kw_only=True):
    plan: str
    ends_at: datetime | None
    days_left: int
    """Whole days, rounded up: somebody with an hour left reads 1, not 0."""
    active: bool


class SubscriptionsService:
    def __init__(self, plans: Sequence[Plan], *, clock: Callable[[], datetime]) -> None:
        self._plans = {plan.key: plan for plan in plans}
        self._clock = clock

    def plans(self) -> tuple[Plan, ...]:
        """Plans that can be bought, cheapest first; the trial is not among them."""
        sold = [plan for key, plan in self._plans.items() if key != TRIAL]
        return tuple(sorted(sold, key=lambda plan: plan.price_usd))

    def grant_trial(self, user_id: int) -> datetime:
        """Return the end of a trial that starts now."""
        until = self._clock() + self._plans[TRIAL].days * DAY
        log.info("trial_granted", user_id=user_id, until=until.isoformat())
        return until

    def filter_sets_limit(self, subscriber: Subscriber) -> int:
        """How many filter sets the subscriber's plan holds; a plan that is sold no more holds what the trial does."""
        return self._plans.get(subscriber.plan, self._plans[TRIAL]).filter_sets

    def status(self, subscriber: Subscriber) -> SubscriptionStatus:
        now = self._clock()
        ends_at = subscriber.paid_until
        left = (ends_at - now) / DAY if ends_at else 0.0
        return SubscriptionStatus(
            plan=subscriber.plan, ends_at=ends_at, days_left=max(0, math.ceil(left)), active=left > 0
        )
