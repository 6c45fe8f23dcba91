"""What a subscriber's plan includes, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from domain.delivery.policy import smaller_cap
from domain.payments.entitlements import GRACE
from domain.payments.plans import FREE, TRIAL, Offer, Plans
from domain.subscribers.subscriber import Subscriber

DAY = timedelta(days=1)


class SubscriptionStatus(Struct, frozen=True, kw_only=True):
    plan: str
    ends_at: datetime | None
    """End of what was given; `None`: nothing was, or it does not end."""
    days_left: int
    """Whole days, rounded up: somebody with an hour left reads 1, not 0."""
    active: bool
    """It has not ended; the free tier never does."""
    grace_until: datetime | None
    """It has ended, and everything goes on until then."""
    filter_sets: int
    filter_sets_limit: int
    filter_sets_paused: int
    """By the plan."""
    alerts_per_hour: int | None
    """As the plan limits them; `None`: as many as pass."""
    wanted_per_hour: int | None
    """As the subscriber does, where that is less."""
    watches: int
    """Personal alerts that may stand at once."""
    delay: timedelta


class SubscriptionsService:
    def __init__(self, plans: Plans, *, clock: Callable[[], datetime]) -> None:
        self.plans = plans
        self._clock = clock

    def offers(self, plan_key: str) -> tuple[Offer, ...]:
        """Return for how many months a plan is sold; nothing for one that is not."""
        return next((plan.offers for plan in self.plans.sold if plan.key == plan_key), ())

    def status(self, subscriber: Subscriber) -> SubscriptionStatus:
        now, plan = self._clock(), self.plans.of(subscriber.plan)
        is_free = subscriber.plan == FREE
        ends_at = None if is_free else subscriber.paid_until
        left = (ends_at - now) / DAY if ends_at else 0.0
        cap = smaller_cap(subscriber.preferences.alerts_per_hour, plan.alerts_per_hour)
        is_in_grace = bool(ends_at and left <= 0 and subscriber.has_plan_at(now) and subscriber.plan != TRIAL)
        return SubscriptionStatus(
            plan=subscriber.plan,
            ends_at=ends_at,
            days_left=max(0, math.ceil(left)),
            active=is_free or left > 0,
            grace_until=ends_at + GRACE if ends_at and is_in_grace else None,
            filter_sets=len(subscriber.filter_sets),
            filter_sets_limit=plan.filter_sets,
            filter_sets_paused=sum(one.paused_by_plan for one in subscriber.filter_sets),
            alerts_per_hour=plan.alerts_per_hour,
            wanted_per_hour=None if cap == plan.alerts_per_hour else cap,
            watches=plan.watches,
            delay=plan.delay,
        )
