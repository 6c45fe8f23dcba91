"""The way of a payment: pre-checkout, charge, service message; renewals, refunds and what goes wrong."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from sandbox.telegram.errors import bad_request
from sandbox.telegram.stars.checkout import REFUSED, Checkout, Checkouts, Outcome
from sandbox.telegram.stars.faults import StarFault, StarFaults
from sandbox.telegram.stars.invoices import CURRENCY, Invoice, InvoiceBook
from sandbox.telegram.stars.ledger import Charge, Ledger
from sandbox.telegram.stars.subscriptions import Subscription, Subscriptions
from sandbox.telegram.updates import JsonObject

if TYPE_CHECKING:
    from sandbox.telegram.cloud import Chat, Cloud

BALANCE_TOO_LOW = "BALANCE_TOO_LOW"
ALREADY_PAID = "FORM_SUBMIT_DUPLICATE"
ALREADY_SUBSCRIBED = "SUBSCRIPTION_ALREADY_ACTIVE"

_RENEWAL_CHECK_S = 1.0


class Stars:
    """One bot's Stars. `advance` moves their clock on; everything else of the sandbox keeps its own."""

    def __init__(self, cloud: Cloud, *, checkout_timeout_s: float) -> None:
        self._cloud = cloud
        self._epoch_s = time.time() - cloud.clock()
        self._checkouts = Checkouts(cloud.clock, checkout_timeout_s)
        self._held: list[JsonObject] = []
        self._late: set[asyncio.TimerHandle] = set()
        self.invoices = InvoiceBook()
        self.ledger = Ledger()
        self.subscriptions = Subscriptions()
        self.faults = StarFaults()

    def now_s(self) -> int:
        """Return the time of the sandbox's clock as Unix time."""
        return int(self._epoch_s + self._cloud.clock())

    # Paying

    async def pay(self, payer: Chat, invoice: Invoice) -> Outcome:
        """Ask the bot, then charge; returns when the payer's app would know how it ended."""
        refusal = self._refusal(payer, invoice)
        if refusal:
            return Outcome("failed", refusal)
        query_id, checkout = self._checkouts.open(payer, invoice)
        if not self.faults.meets(StarFault.UNANSWERED):
            query = {
                "id": query_id,
                "from": payer.person,
                "currency": CURRENCY,
                "total_amount": invoice.amount,
                "invoice_payload": invoice.payload,
            }
            self._cloud.publish("pre_checkout_query", query)
        return await self._checkouts.outcome(query_id, checkout)

    def _refusal(self, payer: Chat, invoice: Invoice) -> str:
        """Why the payer's app does not even ask the bot. A link can be paid again and again, a message once each."""
        if invoice.period_s and self.subscriptions.is_active(payer.id, invoice):
            return ALREADY_SUBSCRIBED
        is_message = not invoice.slug
        if is_message and (self._has_paid(payer.id, invoice) or self._checkouts.is_open(payer, invoice)):
            return ALREADY_PAID
        return "" if self.ledger.balances[payer.id] >= invoice.amount else BALANCE_TOO_LOW

    def _has_paid(self, user_id: int, invoice: Invoice) -> bool:
        return any(each.payer["id"] == user_id and each.invoice == invoice for each in self.ledger.charges.values())

    def answer(self, query_id: str, error_message: str) -> None:
        """Take the bot's answer; without an error message the payer is charged here and now."""
        checkout = self._checkouts.take(query_id)
        if error_message:
            checkout.end(Outcome("failed", REFUSED, error_message))
        else:
            checkout.end(self._settle(checkout))

    def _settle(self, checkout: Checkout) -> Outcome:
        payer, invoice = checkout.payer, checkout.invoice
        now_s = self.now_s()
        charge = self.ledger.charge(_person(payer), invoice, now_s)
        if charge is None:
            return Outcome("failed", BALANCE_TOO_LOW)
        extra: JsonObject = {}
        if invoice.period_s:
            subscription = Subscription(charge.id, payer, invoice, now_s + invoice.period_s)
            self.subscriptions.add(subscription)
            extra = _recurring(subscription) | {"is_first_recurring": True}
        self._paid(payer, charge, now_s, extra)
        if self.faults.meets(StarFault.SAYS_CANCELLED):
            return Outcome("cancelled")
        return Outcome("paid", charge_id=charge.id)

    def _paid(self, payer: Chat, charge: Charge, at_s: int, extra: JsonObject) -> None:
        """Put the receipt into the payer's own chat with the bot and send the bot its update."""
        self.tell(payer)
        payer.is_started = True
        payment = {**charge.as_payment(), "provider_payment_charge_id": "", **extra}
        self._deliver(self._cloud.post(payer, _person(payer), {"date": at_s, "successful_payment": payment}))

    def _deliver(self, message: JsonObject) -> None:
        publish = partial(self._cloud.publish, "message")
        if self.faults.meets(StarFault.AFTER_RESTART):
            self._held.append(message)
        elif self.faults.meets(StarFault.LATE):
            self._call_later(self.faults.late_s, message)
        else:
            publish(message)
        if self.faults.meets(StarFault.TWICE):
            publish(message)

    def _call_later(self, delay_s: float, message: JsonObject) -> None:
        def publish() -> None:
            self._late.discard(timer)
            self._cloud.publish("message", message)

        timer = asyncio.get_running_loop().call_later(delay_s, publish)
        self._late.add(timer)

    def bot_started(self) -> None:
        """Let go of the updates that waited for a restart of the bot."""
        held, self._held = self._held, []
        for message in held:
            self._cloud.publish("message", message)

    # Subscriptions

    def advance(self, seconds: float) -> None:
        """Let time pass for the subscriptions, and renew what becomes due."""
        self._epoch_s += seconds
        self.renew_due()

    def renew_due(self) -> None:
        """Renew or end what is due by now, each period that has passed for itself."""
        while due := self.subscriptions.due(self.now_s()):
            for subscription in due:
                self.renew(subscription)

    def renew(self, subscription: Subscription) -> None:
        """End the present period of a subscription: the next one is paid for, or there is none. No pre-checkout."""
        payer = subscription.payer
        at_s = min(subscription.until_s, self.now_s())
        charge = None
        if not subscription.is_canceled:
            charge = self.ledger.charge(_person(payer), subscription.invoice, at_s)
        if charge is None:
            subscription.has_lapsed = True
            self.tell(payer)
            return
        subscription.until_s += subscription.invoice.period_s
        self._paid(payer, charge, at_s, _recurring(subscription))

    async def run(self) -> None:
        """Renew subscriptions as long as the sandbox runs."""
        while True:
            self.renew_due()
            await asyncio.sleep(_RENEWAL_CHECK_S)

    def edit_subscription(self, user_id: int, charge_id: str, *, is_canceled: bool) -> None:
        """Cancel in the bot's name, or let the person take such a cancellation back (it stays cancelled till then)."""
        if not charge_id:
            raise bad_request("CHARGE_ID_EMPTY")
        subscription = self.subscriptions.find(user_id, charge_id)
        subscription.is_canceled_by_bot = is_canceled
        subscription.is_canceled = subscription.is_canceled or is_canceled
        self.tell(subscription.payer)

    # Refunds

    def refund(self, payer: Chat, charge_id: str) -> None:
        """Give a payment back; a subscription that it paid for goes on until it is cancelled."""
        now_s = self.now_s()
        charge = self.ledger.refund(payer.id, charge_id, now_s)
        self.tell(payer)
        content = {"date": now_s, "refunded_payment": charge.as_payment()}
        self._cloud.publish("message", self._cloud.post(payer, _person(payer), content))

    # What the payer sees

    def tell(self, payer: Chat) -> None:
        payer.tell("stars", self.view(payer))

    def view(self, payer: Chat) -> JsonObject:
        """Return what the person's app shows of their Stars; `payments` by charge id."""
        charges = [each for each in self.ledger.charges.values() if each.payer["id"] == payer.id]
        return {
            "balance": self.ledger.balances[payer.id],
            "subscriptions": [each.view() for each in self.subscriptions.of(payer.id)],
            "payments": {
                each.id: {
                    "title": each.invoice.title,
                    "amount": each.invoice.amount,
                    "paid_at": each.paid_at_s,
                    "chat_id": each.invoice.chat_id,
                    "message_id": each.invoice.message_id,
                    "is_refunded": each.is_refunded,
                }
                for each in charges
            },
        }

    def close(self) -> None:
        """Forget what was to come late, because the server stops."""
        for timer in self._late:
            timer.cancel()
        self._late.clear()


def _recurring(subscription: Subscription) -> JsonObject:
    return {"subscription_expiration_date": subscription.until_s, "is_recurring": True}


def _person(payer: Chat) -> JsonObject:
    if payer.person is None:
        raise ValueError("only people pay")
    return payer.person
