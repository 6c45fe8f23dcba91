"""Invoices that are paid through NOWPayments: in a coin that is chosen here, or on its hosted page."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from domain.payments.invoices import Invoice
from domain.payments.plans import Offer
from managers.http.answers import RefusedError
from managers.http.api import NotAskedError
from managers.payments.nowpayments import AmountTooSmallError, Coin, NowPaymentsManager, Payment
from managers.redis.client import RedisManager
from runtime.errors import TransientError, UserFacingError
from services.payments import keys
from services.payments.invoicing import LETTERS
from services.payments.ledger import Ledger
from services.payments.nowpayments_arrivals import PAGE, USD, is_page

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LIVES: Final = timedelta(days=7)
"""How long a payment can be paid that does not say it itself, and a hosted page."""
COINS_KEPT: Final = timedelta(minutes=10)
CLOCKS_DIFFER: Final = timedelta(minutes=5)
TIME_LEFT: Final = timedelta(minutes=10)
"""What has less of it left is not shown again to somebody who asks for the same."""
MAX_PER_HOUR: Final = 10
MAX_PER_DAY: Final = 20
"""Invoices of one person: the processor is asked for each. By day: for the same in the same coin."""
ORDER_ID_LENGTH: Final = 12


class Order(Struct, frozen=True, kw_only=True):
    """What somebody wants to buy."""

    id: str
    """Becomes that of the invoice: the same however often somebody taps, another one for another coin."""
    user_id: int
    plan: str
    days: int
    price_usd: Decimal
    description: str
    """The processor shows it; nothing about the person."""


class Asked(Struct, frozen=True, kw_only=True):
    """Written down before the processor is asked: its answer may be lost, or whoever waits for it killed."""

    at: datetime
    coin: str
    """Empty: for a hosted page."""


class NowPaymentsOrders:
    """Every method raises `TransientError` when Redis or the processor is unavailable."""

    def __init__(
        self,
        manager: NowPaymentsManager,
        ledger: Ledger,
        redis: RedisManager,
        *,
        clock: Callable[[], datetime],
        ipn_url: Callable[[], str | None] = lambda: None,
        back_url: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`ipn_url`: where notifications come to, `None` where none can; `back_url`: where a hosted page leads back."""
        self._manager = manager
        self._ledger = ledger
        self._redis = redis
        self._clock = clock
        self._ipn_url = ipn_url
        self._back_url = back_url
        self._coins: tuple[datetime, list[Coin]] | None = None

    @property
    def has_pages(self) -> bool:
        """Whether it becomes known what was paid on a hosted page."""
        return self._ipn_url() is not None or self._manager.can_list

    async def coins(self) -> list[Coin]:
        """Return what can be paid with, in the merchant's order; kept for some minutes."""
        now = self._clock()
        if self._coins is None or not self._coins[0] <= now < self._coins[0] + COINS_KEPT:
            self._coins = (now, await self._manager.coins())
        return self._coins[1]

    async def least(self, coin: str) -> Decimal:
        """Return the least that can be paid in a coin."""
        return await self._manager.min_amount(coin)

    async def buy(self, user_id: int, offer: Offer, coin: str | None, description: str) -> Invoice:
        """Return the invoice for an offer in a coin, or on a hosted page (`None`).

        It is the one that is still to be paid, or a new one. Raises what `invoice` does, and `UserFacingError` for
        somebody who wants too many.
        """
        now, files = self._clock(), await self._ledger.of_person(user_id)
        own = [file for file in files if file.invoice.method == "nowpayments"]
        for file in own:
            if (
                _is_for(file.invoice, offer, coin)
                and not file.is_credited
                and now + TIME_LEFT < file.invoice.expires_at
                and await self._is_known(file.invoice)
            ):
                return file.invoice
        if sum(now - file.invoice.created_at < timedelta(hours=1) for file in own) >= MAX_PER_HOUR:
            raise UserFacingError("other_coins.too_many")
        order = Order(
            id=await self._new_id(user_id, offer, coin, now),
            user_id=user_id,
            plan=offer.plan,
            days=offer.days,
            price_usd=offer.price_usd,
            description=description,
        )
        return await (self.page(order) if coin is None else self.invoice(order, coin))

    async def _is_known(self, invoice: Invoice) -> bool:
        """Whether the processor still has a payment, or nobody can say."""
        if is_page(invoice):
            return True
        try:
            return await self._manager.payment(invoice.payment_id) is not None
        except TransientError as error:
            log.warning("payment_not_asked_about", payment=invoice.payment_id, reason=str(error))
            return True

    async def _new_id(self, user_id: int, offer: Offer, coin: str | None, now: datetime) -> str:
        """Return the first one of the day that is free: an order that the processor did not answer keeps its own."""
        for number in range(MAX_PER_DAY):
            order_id = _order_id(user_id, offer.plan, offer.months, offer.price_usd, coin or PAGE, now.date(), number)
            if await self._ledger.find(order_id) is None:
                return order_id
        raise UserFacingError("other_coins.too_many")

    async def invoice(self, order: Order, coin: str) -> Invoice:
        """Return the invoice of an order, the same however often it is asked for. Raises `AmountTooSmallError`.

        Where an answer of the processor was lost, a payment that it made without our knowledge is taken up if payments
        can be listed; otherwise it makes another one. Nobody saw the first, so nobody pays it.
        """
        coin = coin.lower()
        standing = await self._ledger.find(order.id)
        if standing:
            return standing.invoice
        async with self._asking(order, coin) as before:
            payment = await self._lost_payment(order, coin, before.at) if before else None
            if payment is None:
                payment = await self._manager.create(
                    price_usd=order.price_usd,
                    coin=coin,
                    order_id=order.id,
                    description=order.description,
                    ipn_url=self._ipn_url(),
                )
        if not _is_asked_for(payment, order, coin):
            log.error("payment_is_another", payment=payment.id, order=order.id)
            raise TransientError(f"NOWPayments made another payment than was asked for: {payment.id}")
        return await self._open(_asked_in(payment, order, self._clock()))

    async def page(self, order: Order) -> Invoice:
        """Return an invoice on a hosted page, whose address it is; it is asked in USD. Only where `has_pages`."""
        if not self.has_pages:
            raise RuntimeError("nobody would tell what was paid on a page")
        standing = await self._ledger.find(order.id)
        if standing:
            return standing.invoice
        async with self._asking(order, ""):
            page = await self._manager.create_page(
                price_usd=order.price_usd,
                order_id=order.id,
                description=order.description,
                ipn_url=self._ipn_url(),
                back_url=self._back_url(),
            )
        now = self._clock()
        invoice = Invoice(
            id=order.id,
            user_id=order.user_id,
            plan=order.plan,
            days=order.days,
            price_usd=order.price_usd,
            method="nowpayments",
            asset=USD,
            amount=order.price_usd,
            rate_usd=Decimal(1),
            created_at=now,
            expires_at=now + LIVES,
            address=page.invoice_url,
            payment_id=f"{PAGE}{page.id}",
        )
        return await self._open(invoice)

    @asynccontextmanager
    async def _asking(self, order: Order, coin: str) -> AsyncGenerator[Asked | None]:
        """Write down that the processor is asked now; give an earlier time at which it was and did not answer."""
        name = keys.NOWPAYMENTS_ORDER.of(order.id)
        asked = msgspec.json.encode(Asked(at=self._clock(), coin=coin))
        is_first = await self._redis.set(name, asked, ex_s=keys.NOWPAYMENTS_ORDER.expires_s, nx=True)
        earlier = None if is_first else await self._redis.get(name)
        try:
            yield None if earlier is None else msgspec.json.decode(earlier, type=Asked)
        except (AmountTooSmallError, RefusedError, NotAskedError):
            if is_first:
                await self._redis.delete(name)  # nothing was made
            raise

    async def _lost_payment(self, order: Order, coin: str, asked_at: datetime) -> Payment | None:
        if not self._manager.can_list:
            return None
        try:
            async for payment in self._manager.payments(since=asked_at - CLOCKS_DIFFER):
                if payment is not None and payment.order_id is not None and _is_asked_for(payment, order, coin):
                    log.info("payment_taken_up", payment=payment.id, order=order.id)
                    return payment
        except RefusedError as error:
            log.warning("payments_not_listed", reason=str(error))
        return None

    async def _open(self, invoice: Invoice) -> Invoice:
        """Store it; of two that were made at the same time the first is right."""
        await self._ledger.open(invoice, told_by_amount=False)
        standing = await self._ledger.find(invoice.id)
        if standing is None:
            raise TransientError(f"the invoice {invoice.id} was not stored")
        return standing.invoice


def _order_id(*what: object) -> str:
    digest = hashlib.sha256("|".join(map(str, what)).encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:ORDER_ID_LENGTH])


def _is_for(invoice: Invoice, offer: Offer, coin: str | None) -> bool:
    asked = (offer.plan, offer.days, offer.price_usd)
    if asked != (invoice.plan, invoice.days, invoice.price_usd):
        return False
    return is_page(invoice) if coin is None else not is_page(invoice) and invoice.asset == coin.upper()


def _is_asked_for(payment: Payment, order: Order, coin: str) -> bool:
    return (
        payment.parent_id is None
        and payment.price_amount == order.price_usd
        and payment.price_currency.lower() == USD.lower()
        and payment.pay_currency.lower() == coin
        and str(payment.order_id or order.id) == order.id
        and bool(payment.pay_address)
        and bool(payment.pay_amount)
    )


def _asked_in(payment: Payment, order: Order, now: datetime) -> Invoice:
    amount = payment.pay_amount or Decimal(0)
    return Invoice(
        id=order.id,
        user_id=order.user_id,
        plan=order.plan,
        days=order.days,
        price_usd=order.price_usd,
        method="nowpayments",
        asset=payment.pay_currency.upper(),
        amount=amount,
        rate_usd=order.price_usd / amount,
        created_at=now,
        expires_at=payment.expires_at or now + LIVES,
        address=payment.pay_address or "",
        payment_id=payment.id,
        memo=str(payment.payin_extra_id or ""),
    )
