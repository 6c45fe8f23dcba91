"""The lane of updates about money: they wait behind nobody, and are not acknowledged before they are written down.

Whoever is about to pay waits for an answer, so a query is handled at once. What has been paid or paid back is handled
until somebody says that it is written down; so long Telegram is left to believe that the update has not come, and
brings it again to whoever runs next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from msgspec import Struct

from domain.payments.stars import PreCheckout, StarPayment
from runtime.cancellation import end
from runtime.errors import TransientError
from runtime.retry import retry_until_done

log = structlog.get_logger(__name__)

QUERIES: Final = 200
QUERIES_PER_PERSON: Final = 3
"""An app has one of them open."""
QUERY_LASTS_S: Final = 10.0
"""Telegram then lets nobody pay by it."""
WRITTEN_AT_ONCE: Final = 8
WRITTEN_WITHIN_S: Final = 5.0
DRAINED_WITHIN_S: Final = 2.0

Handle = Callable[[object], Awaitable[None]]


class Money(Struct, frozen=True):
    """Handled for a payment. It comes again, here or later, until `acknowledge` is called."""

    payment: StarPayment
    acknowledge: Callable[[], None]


class PaymentLane:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._asking: Counter[int] = Counter()
        """Open queries by person."""
        self._unwritten: dict[int, asyncio.Event] = {}
        """By number of the update."""
        self._turns = asyncio.Semaphore(WRITTEN_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()
        self.dropped = 0
        """Queries beyond somebody's share; nobody pays by them."""

    @property
    def first_unwritten(self) -> int | None:
        """The number of the first update that Telegram must bring again should this process end now."""
        return min(self._unwritten, default=None)

    @property
    def unwritten(self) -> int:
        return len(self._unwritten)

    def ask(self, query: PreCheckout) -> None:
        """Handle a query at once."""
        if self._asking[query.user_id] >= QUERIES_PER_PERSON or self._asking.total() >= QUERIES:
            self.dropped += 1
            return
        self._asking[query.user_id] += 1
        self._run(self._answer(query))

    def write(self, update_id: int, payment: StarPayment) -> None:
        """Handle a payment until it is acknowledged."""
        if update_id not in self._unwritten:
            self._unwritten[update_id] = asyncio.Event()
            self._run(self._write(update_id, payment))

    async def written(self, update_id: int) -> None:
        """Return when that update is acknowledged, or was never here. `TransientError` when it takes too long."""
        event = self._unwritten.get(update_id)
        if event is None:
            return
        try:
            async with asyncio.timeout(WRITTEN_WITHIN_S):
                await event.wait()
        except TimeoutError as error:
            raise TransientError("a payment cannot be written down now") from error

    async def settled(self, *, within_s: float) -> None:
        """Return when everything is acknowledged, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (first := self.first_unwritten) is not None:
                    await self._unwritten[first].wait()

    async def drained(self) -> None:
        """Return when everything is handled, or after a while: what is not written down then comes again."""
        if self._running:
            await asyncio.wait(self._running, timeout=DRAINED_WITHIN_S)

    async def close(self) -> None:
        """Give up what is left: Telegram brings it again."""
        await end(self._running)

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, query: PreCheckout) -> None:
        try:
            async with asyncio.timeout(QUERY_LASTS_S):
                await self._handle(query)
        except TimeoutError:
            log.warning("checkout_not_answered", user_id=query.user_id)
        except Exception:
            log.exception("checkout_broke_off", user_id=query.user_id)
        finally:
            self._asking[query.user_id] -= 1
            if not self._asking[query.user_id]:
                del self._asking[query.user_id]

    async def _write(self, update_id: int, payment: StarPayment) -> None:
        def acknowledge() -> None:
            if event := self._unwritten.pop(update_id, None):
                event.set()

        async def attempt() -> None:
            async with self._turns:
                await self._handle(Money(payment, acknowledge))
            if update_id in self._unwritten:
                raise TransientError("the payment was not written down")

        try:
            await retry_until_done(attempt)
        except Exception:
            # One bad payment must not keep the others from being acknowledged; the reconciliation names it.
            log.exception("payment_given_up", charge=payment.charge_id, user_id=payment.user_id)
            acknowledge()
