"""What becomes of a plan that somebody has when they buy another one, or more of it: said before they pay."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from domain.delivery.quiet import shown_time
from domain.payments.entitlements import PlanStanding, with_bought
from domain.payments.plans import TRIAL, Offer
from domain.subscribers.limits import fitted, paused_between
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services
from handlers.conversation.menus import View
from runtime.errors import TransientError
from services.plans.subscriptions import DAY
from texts.markup import Html, join

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def becoming_lines(
    view: View, services: Services, subscriber: Subscriber, plan: str, offers: Sequence[Offer]
) -> list[Html]:
    """`offers`: of that plan. What is not known for now is left out."""
    lines: list[Html] = []
    try:
        standing = await services.plans.entitling.standing(subscriber.user_id)
    except TransientError as error:
        log.warning("standing_not_known", user_id=subscriber.user_id, reason=str(error))
    else:
        lines += _time(view, services, subscriber, standing, plan, offers)
    limit, sets = services.plans.subscriptions.plans.of(plan).filter_sets, subscriber.filter_sets
    pausing = paused_between(sets, fitted(sets, limit))
    if pausing:
        lines.append(view.html("plans.pauses", limit=limit, paused=len(pausing)))
    return lines


def _time(
    view: View,
    services: Services,
    subscriber: Subscriber,
    standing: PlanStanding,
    plan: str,
    offers: Sequence[Offer],
) -> list[Html]:
    now, zone = services.conversation.clock(), subscriber.preferences.time_zone
    if standing.plan is None or not standing.is_active(now):
        return []
    key = "plans.extends" if standing.plan == plan else "plans.replaces"
    lasts = [
        view.html("plans.lasts", months=one.months, days=round((until - now) / DAY), until=shown_time(until, zone))
        for one in offers
        if (until := with_bought(standing, one, now).until)
    ]
    return [
        view.html(
            "plans.follows_trial" if standing.plan == TRIAL else key,
            old=view.label("plan", standing.plan),
            until=shown_time(standing.until, zone) if standing.until else None,
            plan=view.label("plan", plan),
            lasts=join("\n", lasts),
        )
    ]
