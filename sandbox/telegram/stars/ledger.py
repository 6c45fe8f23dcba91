"""Who has how many Stars, and what was paid and given back."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass

from sandbox.telegram.errors import bad_request
from sandbox.telegram.stars.invoices import CURRENCY, Invoice
from sandbox.telegram.updates import JsonObject

_CHARGE_BYTES = 24


@dataclass(slots=True, eq=False)
class Charge:
    """One payment."""

    id: str
    payer: JsonObject
    invoice: Invoice
    paid_at_s: int
    is_refunded: bool = False

    def as_payment(self) -> JsonObject:
        """Return what SuccessfulPayment and RefundedPayment have in common."""
        return {
            "currency": CURRENCY,
            "total_amount": self.invoice.amount,
            "invoice_payload": self.invoice.payload,
            "telegram_payment_charge_id": self.id,
        }

    def partner(self) -> JsonObject:
        """Return the TransactionPartnerUser on the other side."""
        partner: JsonObject = {
            "type": "user",
            "transaction_type": "invoice_payment",
            "user": self.payer,
            "invoice_payload": self.invoice.payload,
        }
        if self.invoice.period_s:
            partner["subscription_period"] = self.invoice.period_s
        return partner


class Ledger:
    def __init__(self) -> None:
        self.balances: Counter[int] = Counter()
        """Stars by user id."""
        self.bot_balance = 0
        self.charges: dict[str, Charge] = {}
        self.transactions: list[JsonObject] = []
        """The bot's StarTransactions, oldest first, as Telegram lists them to a bot."""

    def charge(self, payer: JsonObject, invoice: Invoice, at_s: int) -> Charge | None:
        """Move the price from the payer to the bot; None without enough Stars."""
        if self.balances[payer["id"]] < invoice.amount:
            return None
        self.balances[payer["id"]] -= invoice.amount
        self.bot_balance += invoice.amount
        charge = Charge(f"stx{secrets.token_urlsafe(_CHARGE_BYTES)}", payer, invoice, at_s)
        self.charges[charge.id] = charge
        self._write(charge, at_s, "source")
        return charge

    def refund(self, user_id: int, charge_id: str, at_s: int) -> Charge:
        """Give a payment back, once."""
        charge = self.charges.get(charge_id)
        if charge is None or charge.payer["id"] != user_id:
            raise bad_request("CHARGE_NOT_FOUND")
        if charge.is_refunded:
            raise bad_request("CHARGE_ALREADY_REFUNDED")
        charge.is_refunded = True
        self.balances[user_id] += charge.invoice.amount
        self.bot_balance -= charge.invoice.amount
        self._write(charge, at_s, "receiver")
        return charge

    def _write(self, charge: Charge, at_s: int, side: str) -> None:
        transaction = {"id": charge.id, "amount": charge.invoice.amount, "date": at_s, side: charge.partner()}
        self.transactions.append(transaction)
