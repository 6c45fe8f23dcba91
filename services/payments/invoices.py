"""A person's invoices, as they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from domain.payments.invoices import Assessment, Invoice, assess
from domain.stored.payments import InvoiceFile
from runtime.errors import UserFacingError
from services.payments.ledger import Ledger


class StandingInvoice(Struct, frozen=True):
    invoice: Invoice
    stands: Assessment


class InvoicesService:
    def __init__(self, *, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock

    async def find(self, invoice_id: str) -> StandingInvoice | None:
        """Raises `RedisUnavailableError`."""
        file = await self._ledger.find(invoice_id)
        return self.standing(file) if file else None

    async def own(self, user_id: int, invoice_id: str) -> StandingInvoice:
        """Return the person's own invoice. `UserFacingError` for any other, which says nothing of it."""
        found = await self.find(invoice_id)
        if found is None or found.invoice.user_id != user_id:
            raise UserFacingError("callback.stale")
        return found

    def standing(self, file: InvoiceFile) -> StandingInvoice:
        stands = assess(file.invoice, file.arrivals, self._clock(), credited=file.is_credited)
        return StandingInvoice(file.invoice, stands)

    async def of(self, user_id: int, count: int) -> Sequence[StandingInvoice]:
        """Return the latest ones, the latest first. Raises `RedisUnavailableError`."""
        return [self.standing(file) for file in await self._ledger.of_person(user_id, count)]
