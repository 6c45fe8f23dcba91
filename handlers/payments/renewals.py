"""Subscriptions in Stars that renew by themselves, where somebody looks at what they have or buys more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from handlers.conversation.base import Services
from handlers.conversation.menus import View
from runtime.errors import TransientError
from services.payments.stars import Renewing, StarsService
from services.plans.reminders import shown_time
from texts.markup import Html

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def renewals_of(services: Services, user_id: int) -> Sequence[Renewing]:
    """Return what renews; nothing while nobody can say."""
    stars = services.find(StarsService)
    try:
        return await stars.renewing(user_id) if stars else ()
    except TransientError as error:
        log.warning("renewals_not_known", user_id=user_id, reason=str(error))
        return ()


def renewal_lines(view: View, key: str, found: Iterable[Renewing], zone: str) -> list[Html]:
    """`key`: of the sentence that is said of each."""
    return [
        view.html(
            key,
            plan=view.label("plan", one.invoice.plan),
            at=shown_time(one.at, zone),
            stars=f"{one.invoice.amount:,}",
        )
        for one in found
    ]
