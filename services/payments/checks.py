"""“I have paid”: the network or the processor is asked at once, for whose invoice it is, and not again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.payments.invoices import LATE_COUNTS, Invoice, State
from managers.redis.client import RedisManager
from runtime.errors import UserFacingError
from services.payments import keys
from services.payments.invoices import InvoicesService, StandingInvoice
from services.payments.solana_claims import Claim, SolanaClaims

DONE: Final[tuple[State, ...]] = ("paid", "topped_up", "overpaid", "refunded")
"""Nothing that anybody waits for can come any more."""


class Checked(Struct, frozen=True, kw_only=True):
    standing: StandingInvoice
    just_looked: bool = False
    """Somebody has asked within the last seconds, so nobody was asked now."""
    is_unknown: bool = False
    """Who would be paid does not know of it: nobody should pay it."""


class InvoiceChecks:
    def __init__(
        self,
        *,
        invoices: InvoicesService,
        redis: RedisManager,
        look: Callable[[Invoice], Awaitable[object]],
        clock: Callable[[], datetime],
    ) -> None:
        """`look`: asks what came for an invoice and writes it down; `False`: whoever is asked does not know it.

        It raises `TransientError`.
        """
        self._invoices = invoices
        self._redis = redis
        self._look = look
        self._clock = clock

    async def check(self, user_id: int, invoice_id: str) -> Checked:
        """Ask how an invoice stands. Raises what `own` does, and `TransientError`: nothing is known then."""
        standing = await self._invoices.own(user_id, invoice_id)
        if standing.stands.state in DONE or self._clock() > standing.invoice.expires_at + LATE_COUNTS:
            return Checked(standing=standing)
        if not await self._redis.set(keys.LOOKED.of(invoice_id), b"1", ex_s=keys.LOOKED.expires_s, nx=True):
            return Checked(standing=standing, just_looked=True)
        is_unknown = await self._look(standing.invoice) is False
        return Checked(standing=await self._invoices.own(user_id, invoice_id), is_unknown=is_unknown)


class PastedSignatures:
    def __init__(self, *, claims: SolanaClaims, redis: RedisManager) -> None:
        self._claims = claims
        self._redis = redis

    async def claim(self, user_id: int, pasted: str) -> Claim:
        """Raises `UserFacingError` for somebody who has just asked, and what `SolanaClaims.claim` does."""
        if not await self._redis.set(keys.PASTED.of(user_id), b"1", ex_s=keys.PASTED.expires_s, nx=True):
            raise UserFacingError("paid.too_soon", seconds=keys.PASTED.expires_s)
        return await self._claims.claim(user_id, pasted)
