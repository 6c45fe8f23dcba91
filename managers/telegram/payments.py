"""Telegram Stars over the Bot API: what is asked of Telegram, and what it tells of money.

Whatever is not Telegram's own word raises a `TransientError`, and may be asked again: an invoice that is sent twice can
be paid once, a payment can be given back once, and a query that was answered is answered no more.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final, cast

from msgspec import Struct
from telegram.error import BadRequest
from telegram.request import BaseRequest

from domain.payments.amounts import STARS
from domain.payments.stars import PERIOD_S, StarPayment
from managers.telegram.client import TelegramManager
from managers.telegram.errors import is_harmless, telegram_errors
from managers.telegram.star_updates import read_transaction
from runtime.errors import TransientError

MAX_TITLE: Final = 32
MAX_DESCRIPTION: Final = 255
_PAGE: Final = 100
_ANSWER_WITHIN_S: Final = 2.0
_ANSWER_ATTEMPTS: Final = 3
"""So long that all of them are over within the ten seconds that Telegram waits."""


class InvoiceText(Struct, frozen=True, kw_only=True):
    title: str
    """1-32 characters."""
    description: str
    """1-255 characters."""
    label: str
    """Of the price."""


class TelegramPayments:
    """Raises the `DeliveryError` tree."""

    def __init__(self, telegram: TelegramManager) -> None:
        self._bot = telegram.application.bot

    async def send_invoice(self, chat_id: int, text: InvoiceText, *, payload: str, stars: int) -> int:
        """Send an invoice that is paid once, among the answers; returns the message id."""
        sent = await self._ask("send_Invoice", {"chat_id": chat_id} | _invoice(text, payload, stars))
        return sent["message_id"]

    async def create_invoice_link(
        self, text: InvoiceText, *, payload: str, stars: int, is_subscription: bool = False
    ) -> str:
        """Make a link that leads to an invoice; to a subscription, where it is paid anew every 30 days."""
        period = {"subscription_period": PERIOD_S} if is_subscription else {}
        return await self._ask("create_Invoice_Link", _invoice(text, payload, stars) | period)

    async def answer_pre_checkout_query(self, query_id: str, refusal: str | None = None) -> None:
        """Let somebody pay, or say why not. Too late is no error: then nobody has paid."""
        answer: dict[str, Any] = {"pre_checkout_query_id": query_id, "ok": refusal is None}
        if refusal is not None:
            answer["error_message"] = refusal
        for left in reversed(range(_ANSWER_ATTEMPTS)):
            try:
                await self._ask("answer_Pre_Checkout_Query", answer, read_timeout_s=_ANSWER_WITHIN_S)
            except TransientError:
                if not left:
                    raise
            else:
                return

    async def refund_star_payment(self, user_id: int, charge_id: str) -> bool:
        """Give a payment back; `False`: it was given back before. `MessageRefusedError` for a charge that is none."""
        charge = {"user_id": user_id, "telegram_payment_charge_id": charge_id}
        with telegram_errors():
            try:
                await self._bot.do_api_request("refund_Star_Payment", charge)
            except BadRequest as refusal:
                if "CHARGE_ALREADY_REFUNDED" not in refusal.message.upper():  # the library changes the case
                    raise
                return False
        return True

    async def edit_user_star_subscription(self, user_id: int, charge_id: str, *, is_cancelled: bool) -> None:
        """Let a subscription end with what is paid for, or allow again that it goes on. `charge_id`: the first one."""
        charge = {"user_id": user_id, "telegram_payment_charge_id": charge_id, "is_canceled": is_cancelled}
        await self._ask("edit_User_Star_Subscription", charge)

    async def get_star_transactions(self) -> AsyncIterator[StarPayment]:
        """Tell of every invoice that was paid or paid back, the earliest first."""
        offset = 0
        while True:
            page = await self._ask("get_Star_Transactions", {"offset": offset, "limit": _PAGE})
            transactions = cast("list[object]", page["transactions"])
            for transaction in transactions:
                if payment := read_transaction(transaction):
                    yield payment
            if len(transactions) < _PAGE:
                return
            offset += len(transactions)

    async def _ask(self, method: str, parameters: dict[str, Any], *, read_timeout_s: float | None = None) -> Any:
        # Spelt for `do_api_request`: at the usual name the library would warn that it has a method for it.
        timeout = BaseRequest.DEFAULT_NONE if read_timeout_s is None else read_timeout_s
        with telegram_errors():
            try:
                return await self._bot.do_api_request(method, parameters, read_timeout=timeout)
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise
        return None


def _invoice(text: InvoiceText, payload: str, stars: int) -> dict[str, Any]:
    return {
        "title": text.title,
        "description": text.description,
        "payload": payload,
        "provider_token": "",
        "currency": STARS.code,
        "prices": json.dumps([{"label": text.label, "amount": stars}]),
    }
