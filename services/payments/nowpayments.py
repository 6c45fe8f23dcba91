"""What becomes of payments at NOWPayments.

A notification or a poll only says where to look: what a payment brought is what the processor answers when it is asked,
and goes through the ledger. `nowpayments_orders.py` makes invoices, `nowpayments_watch.py` polls,
`nowpayments_arrivals.py` reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, LiteralString

import structlog
from msgspec import Struct

from domain.payments.invoices import Arrival, Invoice
from domain.stored.payments import InvoiceFile
from managers.payments.nowpayments import NowPaymentsManager, Payment, Told
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, Row
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from services.payments import keys
from services.payments.ledger import Ledger, Outcome
from services.payments.nowpayments_arrivals import (
    FINISHED,
    PAGE,
    REFUNDED,
    STEPS,
    WAITING,
    is_page,
    key_of,
    reading,
    unmatched,
)
from services.payments.nowpayments_orders import CLOCKS_DIFFER

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


_RECORDED: Final[LiteralString] = """
    SELECT key, invoice_id, asset, amount FROM arrivals WHERE key LIKE 'nowpayments:%' AND arrived_at >= $1
"""


class NotThereYetError(TransientError):
    """The processor does not say yet, when it is asked, what it told or what it must know."""


class Difference(Struct, frozen=True, kw_only=True):
    """What the processor lists and the ledger did not have, or has otherwise."""

    payment_id: str
    invoice_id: str | None
    status: str
    """`unknown`: the processor does not know the payment."""
    listed: Decimal
    """What the processor says that came, in `coin`."""
    coin: str
    recorded: Decimal
    """What the ledger had, in what the invoice is asked in."""
    mended: bool
    """The ledger took it just now."""


@dataclass(slots=True)
class _Attempt:
    """Those who were told the same at the same time look once."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    failed: TransientError | None = None


class NowPaymentsService:
    """Every method raises `TransientError` when Redis or the processor is unavailable: nothing is credited then."""

    def __init__(
        self,
        manager: NowPaymentsManager,
        ledger: Ledger,
        redis: RedisManager,
        postgres: PostgresManager,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._manager = manager
        self._ledger = ledger
        self._redis = redis
        self._postgres = postgres
        self._clock = clock
        self._attempts: dict[str, _Attempt] = {}

    async def look(self, payment_id: str) -> Payment | None:
        """Ask how a payment stands, and about further deposits to its address, and write down what came."""
        payment = await self._manager.payment(payment_id)
        if payment is None:
            return None
        fault_point("payment looked at")
        await self.take(payment)
        await self._take_further(payment)
        return payment

    async def look_for(self, invoice: Invoice) -> bool:
        """Ask what was paid for an invoice, whichever way it is paid; `False`: the processor does not know it."""
        if is_page(invoice):
            await self.look_at_page(invoice)
            return True
        return await self.look(invoice.payment_id) is not None

    async def look_at_page(self, invoice: Invoice) -> None:
        """Ask what was paid on a hosted page, where payments can be listed."""
        if not self._manager.can_list:
            return
        page_id = invoice.payment_id.removeprefix(PAGE)
        async for payment in self._listed(invoice.created_at - CLOCKS_DIFFER, page_id):
            await self.take(payment)
            await self._take_further(payment)

    async def _take_further(self, payment: Payment) -> None:
        """Ask about deposits that came to its address later, until each is recorded as final."""
        if not payment.further_ids:
            return
        invoice_id = await self._invoice_of(payment)
        file = await self._ledger.find(invoice_id) if invoice_id else None
        pending = {one.key for one in (file.arrivals if file else ()) if one.stage != "final"}
        for one in payment.further_ids:
            key = key_of(one)
            if key in pending or not await self._redis.exists(keys.RECEIPT.of(key)):
                further = await self._manager.payment(one)
                if further is not None and further.parent_id is not None:
                    await self.take(further)

    async def notified(self, told: Told) -> None:
        """Look at what a notification is about, once for each status of a payment. Its signature was proved.

        Raises `TransientError`: it must come again. Those that come at the same time share one look.
        """
        name = keys.NOWPAYMENTS_TOLD.of(told.id, told.payment_status)
        attempt = self._attempts.setdefault(name, _Attempt())
        attempt.waiting += 1
        try:
            async with attempt.lock:
                if attempt.failed is not None:
                    raise NotThereYetError(str(attempt.failed)) from attempt.failed
                try:
                    await self._notified(told, name)
                except TransientError as error:
                    attempt.failed = error
                    raise
        finally:
            attempt.waiting -= 1
            if not attempt.waiting:
                del self._attempts[name]

    async def _notified(self, told: Told, name: str) -> None:
        if await self._redis.exists(name):
            return
        payment = await self.look(told.id)
        if payment is None or not _knows(payment, told):
            raise NotThereYetError(f"NOWPayments does not show yet what it told of payment {told.id}")
        fault_point("notification taken")
        await self._redis.set(name, b"1", ex_s=keys.NOWPAYMENTS_TOLD.expires_s)

    async def take(self, payment: Payment) -> Outcome | None:
        """Write down what a payment brought, as the processor answered it; `None`: nothing came. May be repeated."""
        invoice_id = await self._invoice_of(payment)
        file = await self._ledger.find(invoice_id) if invoice_id else None
        if file is None:
            arrival = unmatched(payment, payment.changed_at or self._clock())
            if arrival is None:
                return None
            return await self._ledger.arrived(arrival, None, note=_note(payment, "no invoice of ours"))
        found = reading(payment, file.invoice, _known(payment, file), self._clock())
        if found.problem:
            log.warning("payment_does_not_fit", payment=payment.id, invoice=file.invoice.id, why=found.problem)
        if found.arrival is None:
            return None
        if found.problem:
            return await self._ledger.arrived(found.arrival, None, note=_note(payment, found.problem))
        is_late = found.arrival.stage == "final" and found.arrival.at > file.invoice.expires_at
        rate_usd = await self._rate_usd(file) if is_late else None
        return await self._ledger.arrived(found.arrival, file.invoice.id, rate_usd=rate_usd, note=_note(payment, ""))

    async def _invoice_of(self, payment: Payment) -> str | None:
        """Only names that the processor itself gave count, never the order that a payment says it is for."""
        found = await self._ledger.told_by("payment", payment.parent_id or payment.id)
        if found is None and payment.page_id is not None:
            found = await self._ledger.told_by("payment", f"{PAGE}{payment.page_id}")
        if found is None and payment.parent_id is not None:
            found = await self._ledger.counts_for(key_of(payment.parent_id))
        return found

    async def _rate_usd(self, file: InvoiceFile) -> Decimal | None:
        """Return what the coin costs now, for what came late; on a page nobody knows at which rate it was paid."""
        invoice = file.invoice
        if file.is_credited or is_page(invoice):
            return None
        amount = await self._manager.estimate(invoice.price_usd, invoice.asset.lower())
        return invoice.price_usd / amount if amount > 0 else None

    # what the other side says in all

    async def differences(self, since: datetime) -> list[Difference]:
        """Compare what the processor lists with the ledger, take what is missing, return whatever differs.

        The other way round, each payment in the ledger that is not listed is asked about. Only where payments can be
        listed. Raises `PostgresUnavailableError` too: then all that was missing is taken.
        """
        if not self._manager.can_list:
            return []
        found: list[Difference] = []
        listed: set[str] = set()
        async for payment in self._listed(since):
            listed.add(key_of(payment.id))
            difference = await self._difference(payment)
            if difference is not None:
                found.append(difference)
        recorded = await self._postgres.fetch(_RECORDED, since)
        unlisted = [await self._unlisted(row) for row in recorded if row["key"] not in listed]
        return found + [one for one in unlisted if one is not None]

    async def _unlisted(self, row: Row) -> Difference | None:
        """Ask about a payment that is older than the list, or that the processor has forgotten."""
        payment_id = str(row["key"]).removeprefix(key_of(""))
        payment = await self._manager.payment(payment_id)
        if payment is not None:
            return await self._difference(payment)
        return Difference(
            payment_id=payment_id,
            invoice_id=row["invoice_id"],
            status="unknown",
            listed=Decimal(0),
            coin=row["asset"],
            recorded=row["amount"],
            mended=False,
        )

    async def _difference(self, payment: Payment) -> Difference | None:
        if payment.payment_status in WAITING and not payment.paid:
            return None
        invoice_id = await self._invoice_of(payment)
        file = await self._ledger.find(invoice_id) if invoice_id else None
        known = _known(payment, file)
        had = known is not None or await self._redis.exists(keys.RECEIPT.of(key_of(payment.id))) > 0
        outcome = await self.take(payment)
        mended = outcome is not None and outcome.is_new and (outcome.file is not None or not had)
        if not mended and _is_told_alike(payment, file, known, outcome):
            return None
        return Difference(
            payment_id=payment.id,
            invoice_id=invoice_id,
            status=payment.payment_status,
            listed=payment.paid,
            coin=payment.pay_currency.upper(),
            recorded=known.amount if known else Decimal(0),
            mended=mended,
        )

    async def _listed(self, since: datetime, page_id: str | None = None) -> AsyncGenerator[Payment]:
        async for payment in self._manager.payments(since=since, page_id=page_id):
            if payment is None:
                log.warning("listed_payment_unreadable")
            else:
                yield payment


def _known(payment: Payment, file: InvoiceFile | None) -> Arrival | None:
    arrivals = file.arrivals if file else ()
    return next((one for one in arrivals if one.key == key_of(payment.id)), None)


def _is_told_alike(payment: Payment, file: InvoiceFile | None, known: Arrival | None, outcome: Outcome | None) -> bool:
    """Whether the ledger says of a payment, of which it has learnt nothing new, what the processor says."""
    if outcome is None or outcome.file is None or file is None or known is None:
        return outcome is not None or not payment.paid
    if known.refunded != (payment.payment_status == REFUNDED):
        return False
    if not is_page(file.invoice) and known.amount > payment.paid:
        return False
    return payment.payment_status != FINISHED or payment.parent_id is not None or file.is_credited


def _knows(payment: Payment, told: Told) -> bool:
    """Whether the answer is as new as the notification: an older one must not pass for it."""
    if payment.payment_status == FINISHED and not payment.paid:
        return False  # it is counted a little later
    answered, said = payment.payment_status, told.payment_status
    if answered == said or (answered in STEPS and said in STEPS and STEPS.index(answered) > STEPS.index(said)):
        return True
    answered_at, told_at = payment.changed_at, told.changed_at
    return answered_at is not None and told_at is not None and answered_at > told_at


def _note(payment: Payment, problem: str) -> str:
    parts = [problem, f"order {payment.order_id}" if payment.order_id is not None else ""]
    if payment.parent_id is not None:
        parts.append(f"further deposit to payment {payment.parent_id}")
    return "; ".join(part for part in parts if part)[:500]
