"""A process in which admins settle payments; Telegram is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.payments.differences import Difference
from domain.stored.payments import InvoiceFile
from managers.telegram.client import TelegramManager
from managers.telegram.payments import TelegramPayments
from managers.telegram.rate_limiter import TelegramRateLimiter
from services.payments.group import SettlingServices
from services.payments.settling.search import PaymentSearch
from services.payments.settling.settling import Settling
from services.payments.stars import StarsService
from tests.payments.ledger_kit import Stores

ADMIN, OTHER = 789, 790


@dataclass
class Differ:
    """What the reconciliations found."""

    found: list[Difference] = field(default_factory=list[Difference])

    async def differences(self) -> Sequence[Difference]:
        return self.found


def settling_on(stores: Stores, differ: Differ | None = None, stars: StarsService | None = None) -> SettlingServices:
    nobody = TelegramManager(token="1:A", api_base="http://127.0.0.1:9", limiter=TelegramRateLimiter())
    stars = stars or StarsService(
        ledger=stores.ledger, telegram=TelegramPayments(nobody), postgres=stores.postgres, clock=stores.clock
    )
    search = PaymentSearch(
        ledger=stores.ledger,
        redis=stores.redis,
        postgres=stores.postgres,
        differences=(differ or Differ()).differences,
        clock=stores.clock,
    )
    return SettlingServices(search=search, settling=Settling(ledger=stores.ledger, stars=stars))


async def file_of(stores: Stores, invoice_id: str) -> InvoiceFile:
    found = await stores.ledger.find(invoice_id)
    assert found is not None
    return found


async def given(stores: Stores, user_id: int = 7) -> list[tuple[str, int]]:
    """What somebody was given, and what was taken back."""
    return sorted((one.key, one.days) for one in await stores.ledger.entitlements(user_id))
