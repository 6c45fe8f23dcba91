"""Asks NOWPayments how open payments stand: often while they are young or under way, seldom later.

Notifications may never come, so this alone finds every payment; it takes a share of the requests that the processor
allows and leaves the rest to people who want to pay.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec import Struct

from domain.payments.invoices import Invoice
from managers.http.api import NotAskedError
from managers.payments.nowpayments import Payment
from managers.redis.errors import RedisUnavailableError
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.payments.ledger import Ledger
from services.payments.nowpayments import NowPaymentsService
from services.payments.nowpayments_arrivals import UNDER_WAY, is_page
from services.stores.unreadable import NOT_READABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GAP_S: Final = 1.5
"""Between two requests: two thirds of the budget."""
LEARN_EVERY: Final = timedelta(seconds=5)
MIN_WAIT: Final = timedelta(seconds=10)
MAX_WAIT: Final = timedelta(minutes=30)
MAX_WAIT_UNDER_WAY: Final = timedelta(minutes=2)
AGE_PER_WAIT: Final = 20
"""A payment of ten minutes is asked about every half minute."""


class _Watched(Struct):
    invoice: Invoice
    next_at: datetime


class NowPaymentsWatch:
    def __init__(
        self,
        service: NowPaymentsService,
        ledger: Ledger,
        *,
        clock: Callable[[], datetime],
        gap_s: float = GAP_S,
    ) -> None:
        self._service = service
        self._ledger = ledger
        self._clock = clock
        self._gap_s = gap_s
        self._watched: dict[str, _Watched] = {}
        self._others: set[str] = set()
        """Open invoices that are paid in another way."""
        self._learnt_at: datetime | None = None
        self.failures = 0
        """Questions that were not answered since the start."""
        self.problem: str | None = None
        """Why the last question was not answered; `None` when it was."""

    @property
    def count(self) -> int:
        return len(self._watched)

    async def run(self, progress: Progress) -> None:
        """Ask for ever. Raises `RedisUnavailableError`."""
        while True:
            wait_s = await self.step(progress)
            await pause(max(self._gap_s, wait_s), progress)

    async def step(self, progress: Progress = lambda: None) -> float:
        """Ask about the payment that waits longest for it; return how long nothing need be asked."""
        now = self._clock()
        if self._learnt_at is None or not self._learnt_at <= now < self._learnt_at + LEARN_EVERY:
            await self._learn(now, progress)
            self._learnt_at = now
        one = min(self._watched.values(), key=lambda watched: watched.next_at, default=None)
        if one is None:
            return LEARN_EVERY.total_seconds()
        if one.next_at > now:
            return min(LEARN_EVERY, one.next_at - now).total_seconds()
        return await self._ask(one, now)

    async def _learn(self, now: datetime, progress: Progress) -> None:
        """Take up what was opened since, let go what is paid or over."""
        ids = set(await self._ledger.open_ids())
        self._watched = {key: one for key, one in self._watched.items() if key in ids}
        self._others &= ids
        for key in ids - self._watched.keys() - self._others:
            progress()
            try:
                file = await self._ledger.find(key)
            except NOT_READABLE:
                continue  # it was said, and is read again the next time
            if file is None or file.invoice.method != "nowpayments":
                self._others.add(key)
            else:
                self._watched[key] = _Watched(file.invoice, now)

    async def _ask(self, one: _Watched, now: datetime) -> float:
        invoice, payment, again_s = one.invoice, None, 0.0
        try:
            if is_page(invoice):
                await self._service.look_at_page(invoice)
            else:
                payment = await self._service.look(invoice.payment_id)
        except RedisUnavailableError:
            raise
        except TransientError as error:
            self.failures += 1
            self.problem = str(error) or type(error).__name__
            again_s = error.again_in_s if isinstance(error, NotAskedError) else 0.0
            log.warning("payment_not_polled", invoice=invoice.id, reason=str(error))
        else:
            self.problem = None
        one.next_at = now + wait_of(now - invoice.created_at, payment)
        return again_s


def wait_of(age: timedelta, payment: Payment | None) -> timedelta:
    """Return how long until a payment of this age is asked about again."""
    most = MAX_WAIT_UNDER_WAY if payment is not None and payment.payment_status in UNDER_WAY else MAX_WAIT
    return min(most, max(MIN_WAIT, age / AGE_PER_WAIT))
