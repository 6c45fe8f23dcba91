"""Of whom a broadcast may be for. `services.broadcasts.statements` gives the same answer for everybody at once."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

from msgspec import Struct

from domain.payments.plans import FREE, TRIAL
from domain.subscribers.subscriber import Subscriber

Segment = Literal["everybody", "paying", "trial", "free", "ended", "alerts", "no_alerts", "language"]
SEGMENTS: Final[tuple[Segment, ...]] = get_args(Segment)


class Audience(Struct, frozen=True):
    segment: Segment = "everybody"
    language: str = ""
    """Of the segment `language`; else empty."""


def audience_of(segment: str, language: str) -> Audience | None:
    """Return what a button or a row says; `None` where there is no such segment."""
    for known in SEGMENTS:
        if known == segment and bool(language) == (known == "language"):
            return Audience(known, language)
    return None


def may_hear(subscriber: Subscriber) -> bool:
    """Whether news go to somebody at all."""
    return subscriber.banned_at is None and not subscriber.unreachable and subscriber.preferences.news


def is_meant(audience: Audience, subscriber: Subscriber, now: datetime) -> bool:
    """Whether somebody who may hear of it is among those that it is for."""
    plan, is_active = subscriber.plan, subscriber.has_plan_at(now)
    gets_alerts = is_active and not subscriber.paused and any(one.enabled for one in subscriber.filter_sets)
    answers: dict[Segment, bool] = {
        "everybody": True,
        "paying": is_active and plan not in {FREE, TRIAL},
        "trial": is_active and plan == TRIAL,
        "free": plan == FREE,
        "ended": not is_active,
        "alerts": gets_alerts,
        "no_alerts": not gets_alerts,
        "language": subscriber.language == audience.language,
    }
    return answers[audience.segment]
