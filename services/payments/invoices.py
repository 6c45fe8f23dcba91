"""A person's invoices, as they stand, and the messages that show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.payments.invoices import Arrival, Assessment, Invoice, assess
from domain.stored.payments import InvoiceFile
from managers.redis.client import RedisManager
from runtime.errors import UserFacingError
from services.payments import keys
from services.payments.ledger import Ledger

SHOWN_AT_ONCE: Final = 20
"""Messages of one person that change with their invoices; the latest, where there are more."""


class StandingInvoice(Struct, frozen=True):
    invoice: Invoice
    stands: Assessment
    arrivals: tuple[Arrival, ...] = ()
    """What came for it, the earliest first."""


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
        return StandingInvoice(file.invoice, standing(file, self._clock()), file.arrivals)

    async def of(self, user_id: int, count: int) -> Sequence[StandingInvoice]:
        """Return the latest ones, the latest first. Raises `RedisUnavailableError`."""
        return [self.standing(file) for file in await self._ledger.of_person(user_id, count)]


class ShownInvoices:
    """In which messages somebody sees what to pay, so that these can change when it is paid or over.

    Every method raises `RedisUnavailableError`.
    """

    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def note(self, user_id: int, message_id: int, invoice_id: str) -> None:
        name = keys.SHOWN.of(user_id)
        await self._redis.transaction([("HSET", name, message_id, invoice_id), ("EXPIRE", name, keys.SHOWN.expires_s)])
        known = await self._redis.hgetall(name)
        await self.forget(user_id, *sorted(map(int, known), reverse=True)[SHOWN_AT_ONCE:])

    async def forget(self, user_id: int, *message_ids: int) -> None:
        """What such a message says is its own from now on."""
        if message_ids:
            await self._redis.transaction([("HDEL", keys.SHOWN.of(user_id), *message_ids)])

    async def of(self, user_id: int, invoice_id: str) -> list[int]:
        """Return the ids of messages that show an invoice."""
        known = await self._redis.hgetall(keys.SHOWN.of(user_id))
        return [int(message_id) for message_id, shown in known.items() if shown.decode() == invoice_id]


def standing(file: InvoiceFile, now: datetime) -> Assessment:
    """Return how an invoice stands."""
    return assess(file.invoice, file.arrivals, now, credited=file.is_credited, taken_back=file.is_taken_back)
