"""What somebody may use, and until when: the sum of what they were given, whatever the order in which it is read.

An entitlement says "30 days of this plan", never "until that day", so none is lost or counted twice when two of them
meet. What is left of one plan when another is bought goes on in the new one, at what was paid for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct

from domain.payments.plans import FREE, TRIAL, Offer

GRACE: Final = timedelta(days=2)
"""After the end of what was paid for: everything goes on, and the person is told."""
REFUND: Final = "refund:"
_DAY_S: Final = 86_400


class Entitlement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    key: str
    """What it was given for, once: `trial`, `invoice:<id>`, `stars:<charge id>`, `admin:<id>`;
    what is taken back has `refund:` before the key of what was given."""
    plan: str
    days: int
    """Below zero: taken back (a refund)."""
    price_usd: Decimal = Decimal(0)
    """What was paid for it; nothing for a trial or a gift."""
    at: datetime


class PlanStanding(Struct, frozen=True, kw_only=True):
    """What somebody has. Without a plan they have what everybody has."""

    plan: str | None = None
    until: datetime | None = None
    usd_per_day: Decimal = Decimal(0)
    """What a day that is left was paid with."""

    def is_active(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    def is_in_grace(self, now: datetime) -> bool:
        return self.until is not None and self.until <= now < self.until + GRACE


def end_of(plan: str | None, until: datetime | None) -> datetime | None:
    """Return when calls stop, or `None` where nothing ends: a trial has no grace, and the free tier no end."""
    if plan == FREE or until is None:
        return None
    return until if plan == TRIAL else until + GRACE


def standing_of(entitlements: Iterable[Entitlement]) -> PlanStanding:
    """Add up what somebody was given, each once, in the order of time."""
    given = {one.key: one for one in entitlements}
    standing = PlanStanding()
    for one in sorted(given.values(), key=lambda one: _order(one, given)):
        standing = _add(standing, one)
    return standing


def with_bought(standing: PlanStanding, offer: Offer, now: datetime) -> PlanStanding:
    """What somebody would have who bought it now."""
    return _add(standing, Entitlement(key="", plan=offer.plan, days=offer.days, price_usd=offer.price_usd, at=now))


def refund_key(key: str) -> str:
    """Return under which key something is taken back."""
    return REFUND + key


def _order(one: Entitlement, given: Mapping[str, Entitlement]) -> tuple[datetime, bool, str]:
    """Nothing is taken back before it is given, whatever the clocks of two processes said."""
    back = given.get(one.key.removeprefix(REFUND)) if one.days < 0 else None
    return max(one.at, back.at) if back else one.at, one.days < 0, one.key


def _add(standing: PlanStanding, given: Entitlement) -> PlanStanding:
    left_s = _seconds_left(standing, given.at)
    if given.days < 0:
        return _take_back(standing, given, left_s)
    added_s = given.days * _DAY_S
    usd_per_day = given.price_usd / given.days
    value_usd = standing.usd_per_day * left_s / _DAY_S
    if standing.plan not in (None, given.plan) and standing.usd_per_day and usd_per_day:
        left_s = int(value_usd / usd_per_day * _DAY_S)
    total_s = left_s + added_s
    return PlanStanding(
        plan=given.plan,
        until=given.at + timedelta(seconds=total_s),
        usd_per_day=(value_usd + given.price_usd) * _DAY_S / total_s,
    )


def _take_back(standing: PlanStanding, given: Entitlement, left_s: int) -> PlanStanding:
    left_s = max(0, left_s + given.days * _DAY_S)
    return PlanStanding(
        plan=standing.plan, until=given.at + timedelta(seconds=left_s), usd_per_day=standing.usd_per_day
    )


def _seconds_left(standing: PlanStanding, at: datetime) -> int:
    if standing.until is None or standing.until <= at:
        return 0
    return int((standing.until - at).total_seconds())
