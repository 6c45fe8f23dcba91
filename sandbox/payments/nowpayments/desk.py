"""What becomes of a payment: deposits, stages, expiry, and what support does by hand.

Each change is told to `changed`, which sends an IPN. A deposit is confirmed stage by stage: `advance` takes one step.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from decimal import Decimal

from sandbox.payments.nowpayments.coins import COINS, Coin, usd_of
from sandbox.payments.nowpayments.errors import bad_request, not_found, too_small
from sandbox.payments.nowpayments.records import Invoice, Order, Payment, Status
from sandbox.payments.nowpayments.signing import number

LIFETIME_S = 7 * 24 * 3_600.0
FIXED_RATE_LIFETIME_S = 20 * 60.0

_NEXT = {
    Status.CONFIRMING: Status.CONFIRMED,
    Status.CONFIRMED: Status.SENDING,
    Status.SENDING: Status.FINISHED,
}
_TAKES_FIRST_DEPOSIT = frozenset({Status.WAITING, Status.EXPIRED, Status.FAILED})


class Desk:
    def __init__(
        self,
        *,
        clock: Callable[[], float],
        outcome_currency: str,
        changed: Callable[[Payment], None],
        seed: int | None = None,
    ) -> None:
        self.payments: dict[int, Payment] = {}
        self.invoices: dict[int, Invoice] = {}
        self.coins = list(COINS)
        """Codes that are enabled in the account."""
        self._clock = clock
        self._outcome_currency = outcome_currency
        self._changed = changed
        self._chance = random.Random(seed)

    def create_invoice(self, order: Order, pay_currency: str | None, page_url: str) -> Invoice:
        if pay_currency is not None:
            self._coin(pay_currency)
        number_of_it = self._new_id()
        url = f"{page_url}/payment/?iid={number_of_it}"
        invoice = Invoice(id=number_of_it, order=order, pay_currency=pay_currency, created_at=self._clock(), url=url)
        self.invoices[invoice.id] = invoice
        return invoice

    def create_payment(
        self, order: Order, pay_currency: str, invoice: Invoice | None = None, pay_amount: Decimal | None = None
    ) -> Payment:
        """Make a payment and an address for it. There is no idempotency: twice makes two."""
        coin = self._coin(pay_currency)
        usd = usd_of(order.price_currency)
        if usd is None:
            raise bad_request(f"Currency {order.price_currency} was not found")
        pay_amount = pay_amount or coin.amount_of(order.price_amount * usd)
        if pay_amount < coin.minimum:
            raise too_small(number(float(pay_amount)))
        now_s, number_of_it = self._clock(), self._new_id()
        payment = Payment(
            id=number_of_it,
            order=order,
            pay_currency=pay_currency,
            pay_amount=pay_amount,
            pay_address=coin.new_address(self._chance),
            payin_extra_id=str(self._chance.randrange(10**8, 10**9)) if coin.extra_id else None,
            created_at=now_s,
            updated_at=now_s,
            valid_until=now_s + (FIXED_RATE_LIFETIME_S if order.is_fixed_rate else LIFETIME_S),
            outcome_currency=self._outcome_currency,
            invoice_id=invoice.id if invoice else None,
            purchase_id=str(self._new_id()),
        )
        self.payments[payment.id] = payment
        self._changed(payment)
        return payment

    def payment(self, payment_id: int) -> Payment:
        self.expire_old()
        if payment_id not in self.payments:
            raise not_found("Payment not found")
        return self.payments[payment_id]

    def invoice(self, invoice_id: int) -> Invoice:
        if invoice_id not in self.invoices:
            raise not_found("Invoice not found")
        return self.invoices[invoice_id]

    def deposit(
        self, payment: Payment, amount: Decimal | None = None, *, coin: str | None = None, extra_id: str | None = None
    ) -> Payment | None:
        """Let a transfer arrive at the payment's address; by default all of it, in its coin, with its memo.

        Return the payment that it became: a second transfer and another coin make a new one, which is `finished` at
        once whatever the amount. None: it was not detected.
        """
        paid = payment.pay_amount if amount is None else amount
        if (payment.payin_extra_id if extra_id is None else extra_id) != payment.payin_extra_id:
            return None
        if coin is not None and coin != payment.pay_currency:
            return self._repeated(payment, paid, coin)
        if payment.status not in _TAKES_FIRST_DEPOSIT:
            return self._repeated(payment, paid, payment.pay_currency)
        payment.actually_paid = paid
        payment.payin_hash = secrets.token_hex(32)
        self.set_status(payment, Status.CONFIRMING)
        return payment

    def advance(self, payment: Payment) -> bool:
        """Take the next stage; False when there is none."""
        following = _NEXT.get(payment.status)
        if following is None:
            return False
        if following is Status.SENDING and payment.actually_paid < payment.pay_amount:
            following = Status.PARTIALLY_PAID
        self.set_status(payment, following)
        return True

    def finish(self, payment: Payment) -> None:
        """Take every stage that is left."""
        while self.advance(payment):
            pass

    def set_status(self, payment: Payment, status: Status) -> None:
        """Change it as the original does: also backwards, also after an end, as support may."""
        payment.earlier = payment.found()
        payment.status = status
        payment.updated_at = max(self._clock(), payment.updated_at + 0.001)
        if status is Status.FINISHED:
            payment.payout_hash = secrets.token_hex(32)
        self._changed(payment)

    def expire_old(self) -> None:
        now_s = self._clock()
        for payment in list(self.payments.values()):
            if payment.status is Status.WAITING and now_s >= payment.valid_until:
                self.set_status(payment, Status.EXPIRED)

    def _repeated(self, parent: Payment, paid: Decimal, pay_currency: str) -> Payment:
        """Make the payment that a repeated or wrong deposit becomes, at the present rate."""
        coin = COINS[pay_currency]
        now_s, number_of_it = self._clock(), self._new_id()
        usd = usd_of(parent.order.price_currency) or Decimal(1)
        worth = (paid * coin.usd / usd).quantize(Decimal("0.01"))
        order = Order(
            price_amount=worth,
            price_currency=parent.order.price_currency,
            ipn_callback_url=parent.order.ipn_callback_url,
        )
        payment = Payment(
            id=number_of_it,
            order=order,
            pay_currency=pay_currency,
            pay_amount=paid,
            pay_address=parent.pay_address,
            payin_extra_id=parent.payin_extra_id,
            created_at=now_s,
            updated_at=now_s,
            valid_until=parent.valid_until,
            outcome_currency=parent.outcome_currency,
            parent_id=parent.id,
            purchase_id=str(number_of_it),
            actually_paid=paid,
            payin_hash=secrets.token_hex(32),
        )
        self.payments[payment.id] = payment
        parent.children.append(payment.id)
        self.set_status(payment, Status.FINISHED)
        return payment

    def _coin(self, code: str) -> Coin:
        if code not in COINS:
            raise bad_request(f"Currency {code} was not found")
        if code not in self.coins:
            raise bad_request(f"Currency {code} is currently unavailable")
        return COINS[code]

    def _new_id(self) -> int:
        while (made := self._chance.randrange(4_000_000_000, 6_500_000_000)) in self.payments or made in self.invoices:
            pass
        return made
