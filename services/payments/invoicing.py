"""Invoices for SOL and USDC: each with an amount and a reference of its own, and all that a wallet needs to pay it."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import segno
import structlog
from msgspec import Struct
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from domain.payments.amounts import SOL, USDC, Asset, distinct, distinct_amounts, price_in
from domain.payments.invoices import PRICE_HOLDS, Invoice
from domain.payments.plans import Offer
from domain.payments.solana_pay import transfer_url
from domain.payments.solana_transfers import WRAPPED_SOL, Receiver
from domain.stored.payments import InvoiceFile
from runtime.errors import FatalError, UserFacingError
from services.payments.ledger import Ledger
from services.payments.rates import Rates

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Coin = Literal["sol", "usdc"]

MAX_OPEN: Final = 5
"""Unpaid invoices that one person may have at a time."""
MAX_PER_DAY: Final = 20
"""Invoices of one person that were not paid: each keeps its amount from others for as long as it may be paid late."""
_DAY: Final = timedelta(days=1)
_LOOKED_AT: Final = 60
REUSED_WHILE: Final = PRICE_HOLDS / 2
"""So much of its time an invoice must have left to be shown again to somebody who asks for the same."""
ID_LENGTH: Final = 8
LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without those that are taken for another: 0 and O, 1 and I."""

_ASSETS: Final[dict[Coin, Asset]] = {"sol": SOL, "usdc": USDC}
_ATTEMPTS: Final = 50
_QR_SCALE: Final = 8


class PaymentRequest(Struct, frozen=True, kw_only=True):
    """What is shown to somebody who pays."""

    invoice: Invoice
    url: str
    """`solana:…`, for wallets. Telegram takes it as text and as picture, not as a button."""

    def qr_png(self) -> bytes:
        """Draw the URL."""
        picture = io.BytesIO()
        segno.make(self.url, error="m", micro=False).save(picture, kind="png", scale=_QR_SCALE)
        return picture.getvalue()


def token_account(wallet: str, mint: str) -> str:
    """Return where a token comes to that is sent to a wallet. Raises `ValueError`."""
    return str(get_associated_token_address(Pubkey.from_string(wallet), Pubkey.from_string(mint)))


def receiver_of(wallet: str, usdc_mint: str) -> Receiver:
    """Return where money comes to: the wallet and its accounts for USDC and wrapped SOL. Raises `FatalError`."""
    try:
        accounts = frozenset(token_account(wallet, mint) for mint in (usdc_mint, WRAPPED_SOL))
    except ValueError as error:
        raise FatalError(f"not an address on Solana: {wallet} or {usdc_mint}") from error
    return Receiver(wallet=wallet, usdc_mint=usdc_mint, token_accounts=accounts)


class Invoicing:
    def __init__(
        self,
        *,
        ledger: Ledger,
        rates: Rates,
        receiver: Receiver,
        label: str,
        clock: Callable[[], datetime],
        chance: random.Random | None = None,
    ) -> None:
        """`label`: who is paid, as wallets show it. `chance`: where amounts and ids come from."""
        self._ledger = ledger
        self._rates = rates
        self._receiver = receiver
        self._label = label
        self._clock = clock
        self._chance = chance or random.SystemRandom()

    async def make(self, user_id: int, offer: Offer, coin: Coin) -> PaymentRequest:
        """Make an invoice, or show again the one for the same that has time left.

        Raises `UserFacingError` where the price is not certain, or somebody has too many that are unpaid;
        `RedisUnavailableError` where nothing is promised.
        """
        now = self._clock()
        unpaid = [file for file in await self._ledger.of_person(user_id, _LOOKED_AT) if _is_unpaid(file)]
        for file in unpaid:
            left = file.invoice.expires_at - now
            if _is_for(file, offer, coin) and not file.arrivals and left >= REUSED_WHILE:
                return self.request(file.invoice)
        _require_few(unpaid, now)
        asset = _ASSETS[coin]
        rate = await self._rates.require(asset.code)
        price = price_in(offer.price_usd, asset, rate)
        for _ in range(_ATTEMPTS):
            index = self._chance.randrange(distinct_amounts(asset, rate))
            invoice = self._invoice(user_id, offer, coin, distinct(price, asset, rate, index), rate)
            if await self._ledger.open(invoice, told_by_amount=True):
                return self.request(invoice)
        log.error("invoice_amounts_exhausted", plan=offer.plan, months=offer.months, coin=coin)
        raise UserFacingError("payment.no_amount")

    def request(self, invoice: Invoice, missing: Decimal | None = None) -> PaymentRequest:
        """Return what is shown of an invoice made before; `missing`: what has to come yet, of one paid in part."""
        url = transfer_url(
            recipient=invoice.address,
            amount=missing or invoice.amount,
            reference=invoice.reference,
            label=self._label,
            message=f"Invoice {invoice.id}",
            mint=self._receiver.usdc_mint if invoice.method == "usdc" else None,
        )
        return PaymentRequest(invoice=invoice, url=url)

    def _invoice(self, user_id: int, offer: Offer, coin: Coin, amount: Decimal, rate: Decimal) -> Invoice:
        now = self._clock()
        return Invoice(
            id="".join(self._chance.choices(LETTERS, k=ID_LENGTH)),
            user_id=user_id,
            plan=offer.plan,
            days=offer.days,
            price_usd=offer.price_usd,
            method=coin,
            asset=_ASSETS[coin].code,
            amount=amount,
            rate_usd=rate,
            created_at=now,
            expires_at=now + PRICE_HOLDS,
            address=self._receiver.wallet,
            reference=str(Keypair().pubkey()),
        )


def _is_unpaid(file: InvoiceFile) -> bool:
    return file.invoice.method in _ASSETS and not file.is_credited


def _require_few(unpaid: Sequence[InvoiceFile], now: datetime) -> None:
    """Raise `UserFacingError` where somebody asks for more and more invoices and pays none."""
    still_open = [file for file in unpaid if now < file.invoice.expires_at]
    if len(still_open) >= MAX_OPEN:
        raise UserFacingError("payment.too_many", count=len(still_open), ends=f"{_first_end(still_open):%H:%M} UTC")
    made = sorted(file.invoice.created_at for file in unpaid if now - file.invoice.created_at < _DAY)
    if len(made) >= MAX_PER_DAY:
        ends = made[-MAX_PER_DAY] + _DAY
        raise UserFacingError("payment.too_many_today", count=len(made), ends=f"{ends:%d %b %H:%M} UTC")


def _is_for(file: InvoiceFile, offer: Offer, coin: Coin) -> bool:
    invoice = file.invoice
    asked = (offer.plan, offer.days, offer.price_usd, coin)
    return asked == (invoice.plan, invoice.days, invoice.price_usd, invoice.method)


def _first_end(files: Sequence[InvoiceFile]) -> datetime:
    return min(file.invoice.expires_at for file in files)
