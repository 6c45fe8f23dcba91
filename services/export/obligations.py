"""What somebody loses who goes: the plan that runs, invoices that may still be paid; and a subscription is ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from msgspec import Struct

from domain.payments.plans import FREE
from domain.stored.payments import InvoiceFile
from domain.subscribers.subscriber import Preferences
from runtime.errors import MessageRefusedError
from services.payments.invoices import StandingInvoice, standing
from services.payments.ledger import Ledger
from services.payments.stars import StarsService, renews
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_INVOICES: Final = 100
_UNDER_WAY: Final = frozenset({"open", "seen", "confirming", "underpaid", "late"})


class Obligations(Struct, frozen=True, kw_only=True):
    is_known: bool
    """Whether there is a document of theirs."""
    plan: str | None
    """That runs; `None`: none does."""
    until: datetime | None
    """As /status says it: what comes after it, in days of grace, is nobody's to lose."""
    zone: str
    """Theirs."""
    open_invoices: tuple[StandingInvoice, ...]
    renewing: tuple[str, ...]
    """Invoices that Telegram charges anew every month."""


class ObligationsService:
    def __init__(
        self, *, subscribers: Subscribers, ledger: Ledger, stars: StarsService, clock: Callable[[], datetime]
    ) -> None:
        self._subscribers = subscribers
        self._ledger = ledger
        self._stars = stars
        self._clock = clock

    async def of(self, user_id: int) -> Obligations:
        """Raises `TransientError`."""
        subscriber, now = await self._subscribers.find(user_id), self._clock()
        files = await self._ledger.of_person(user_id, _INVOICES)
        stands = [StandingInvoice(file.invoice, standing(file, now)) for file in files]
        until = subscriber.paid_until if subscriber else None
        runs = subscriber is not None and subscriber.plan != FREE and until is not None and until > now
        return Obligations(
            is_known=subscriber is not None,
            plan=subscriber.plan if subscriber and runs else None,
            until=until if runs else None,
            zone=(subscriber.preferences if subscriber else Preferences()).time_zone,
            open_invoices=tuple(one for one in stands if one.stands.state in _UNDER_WAY),
            renewing=tuple(file.invoice.id for file in files if _renews(file)),
        )

    async def end_renewals(self, user_id: int) -> None:
        """Let Telegram charge nobody any more who goes. `TransientError`: nothing is known to have happened."""
        for invoice_id in (await self.of(user_id)).renewing:
            try:
                await self._stars.set_renewal(invoice_id, renews=False)
            except MessageRefusedError as error:
                log.info("subscription_had_ended", invoice=invoice_id, reason=str(error))


def _renews(file: InvoiceFile) -> bool:
    return renews(file.invoice) and any(not arrival.refunded for arrival in file.arrivals)
