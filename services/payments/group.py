"""What the conversation needs of this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.payments.checks import InvoiceChecks, PastedSignatures
from services.payments.invoices import InvoicesService
from services.payments.invoicing import Invoicing
from services.payments.nowpayments import NowPaymentsService
from services.payments.nowpayments_orders import NowPaymentsOrders
from services.payments.solana_claims import SolanaClaims
from services.payments.solana_watcher import SolanaWatcher


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentServices:
    invoices: InvoicesService
    takes_stars: bool
    """Whether plans are sold for Stars; what was paid is taken in any case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolanaServices:
    """Only where plans are sold for SOL and USDC."""

    invoicing: Invoicing
    claims: SolanaClaims
    watcher: SolanaWatcher
    checks: InvoiceChecks
    pasted: PastedSignatures
    page_url: Callable[[str], str | None]
    """By id of an invoice: the page that opens a wallet; `None` where nobody reaches it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NowPaymentsServices:
    """Only where plans are sold for the coins of NOWPayments."""

    orders: NowPaymentsOrders
    payments: NowPaymentsService
    checks: InvoiceChecks
