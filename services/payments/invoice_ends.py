"""When an invoice ends: its owner hears once that nothing came, or too little, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from domain.payments.amounts import Method
from domain.payments.invoices import LATE_COUNTS, Invoice, assess
from domain.stored.outgoing import Envelope
from managers.redis.errors import RedisUnavailableError
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotices, end_of
from services.schedule.due_times import INVOICE_END, Due, DueTimes
from services.schedule.schedule import Job

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK_AGAIN: Final = timedelta(minutes=2)
"""While something is under way, or nobody can say whether something came; ever more seldom."""
AGE_PER_WAIT: Final = 10
UNASKED_FOR: Final = timedelta(hours=1)
"""A network that cannot be asked for so long does not keep the end from being told."""

Put = Callable[[Envelope], Awaitable[object]]
Look = Callable[[Invoice], Awaitable[object]]
"""Ask the network what came for an invoice, and write it down. Raises `TransientError`."""


class InvoiceEnds:
    def __init__(
        self,
        *,
        ledger: Ledger,
        notices: PaymentNotices,
        put: Put,
        due_times: DueTimes,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._notices = notices
        self._put = put
        self._due_times = due_times
        self._clock = clock
        self.looks: dict[Method, Look] = {}
        """By way of paying; what cannot be asked is told by what the ledger knows."""

    def job(self) -> Job:
        """When an invoice ends is said as it is stored, and by the refill of a Redis that was emptied."""
        return Job(name=INVOICE_END, run=self.run)

    async def run(self, due: Due) -> int:
        """Tell the owner if it ended unpaid. May be repeated."""
        file = await self._ledger.find(due.thing)
        if file is None:
            log.warning("ended_invoice_unknown", invoice=due.thing)
        then = await self._not_yet(file.invoice) if file else None
        told = 0
        if file and then is None:
            then, told = await self._tell(due.thing)
        await self._due_times.advance(due, then)
        return told

    async def _not_yet(self, invoice: Invoice) -> datetime | None:
        """Look what came; return when to look again where that cannot be said yet."""
        now, ends_at = self._clock(), end_of(invoice).at
        if now < ends_at:
            return ends_at
        look = self.looks.get(invoice.method)
        if look is None:
            return None
        try:
            await look(invoice)
        except RedisUnavailableError:
            raise
        except TransientError as error:
            log.warning("ended_invoice_not_asked", invoice=invoice.id, reason=str(error))
            return _later(invoice, now) if now < ends_at + UNASKED_FOR else None
        return None

    async def _tell(self, invoice_id: str) -> tuple[datetime | None, int]:
        """Return when to look again, and how many were told."""
        now, file = self._clock(), await self._ledger.find(invoice_id)
        if file is None:
            return None, 0
        stands = assess(file.invoice, file.arrivals, now, credited=file.is_credited)
        if stands.pending and not stands.is_due and now < file.invoice.expires_at + LATE_COUNTS:
            return _later(file.invoice, now), 0
        envelope = self._notices.ended(file, stands)
        if envelope is None:
            return None, 0
        is_new = await self._put(envelope)
        fault_point("end told")
        log.info("invoice_ended", invoice=invoice_id, user_id=file.invoice.user_id, state=stands.state)
        return None, int(is_new is not False)


def _later(invoice: Invoice, now: datetime) -> datetime:
    return now + max(LOOK_AGAIN, (now - invoice.expires_at) / AGE_PER_WAIT)
