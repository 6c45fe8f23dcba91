"""A person's Stars: what they do in the app, as Python calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.telegram.errors import ApiError
from sandbox.telegram.stars.checkout import Outcome
from sandbox.telegram.stars.invoices import Invoice
from sandbox.telegram.stars.subscriptions import Subscription
from sandbox.telegram.updates import JsonObject

if TYPE_CHECKING:
    from sandbox.telegram.cloud import Chat, Cloud

TOP_UP_MAX = 1_000_000


class Wallet:
    def __init__(self, cloud: Cloud, chat: Chat) -> None:
        self._cloud = cloud
        self._stars = cloud.stars
        self._chat = chat

    @property
    def balance(self) -> int:
        return self._stars.ledger.balances[self._chat.id]

    @property
    def subscriptions(self) -> list[Subscription]:
        return self._stars.subscriptions.of(self._chat.id)

    def top_up(self, amount: int) -> None:
        """Get Stars; in the sandbox they cost nothing."""
        if not 0 < amount <= TOP_UP_MAX:
            raise ValueError(f"between 1 and {TOP_UP_MAX} Stars at a time")
        self._stars.ledger.balances[self._chat.id] += amount
        self._stars.tell(self._chat)

    def invoice_in(self, message: JsonObject) -> Invoice:
        """Find the invoice of a message, sent to this person or forwarded to them; LookupError if there is none."""
        return self.invoice_at(message["chat"]["id"], message["message_id"])

    def invoice_at(self, chat_id: int, message_id: int) -> Invoice:
        chat = self._cloud.chats.get(chat_id)
        invoice = self._stars.invoices.in_message(chat_id, message_id)
        if invoice is None or chat is None or message_id not in chat.messages:
            raise LookupError("the message has no invoice")
        if invoice.start_parameter and chat.kind == "private" and chat is not self._chat:
            raise LookupError("a forwarded invoice with a start parameter leads to the bot, where it is not paid")
        return invoice

    def invoice_behind(self, link: str) -> Invoice:
        """Find the invoice of a link or slug; LookupError if there is none."""
        invoice = self._stars.invoices.behind(link)
        if invoice is None:
            raise LookupError("the link leads to no invoice")
        return invoice

    async def pay(self, invoice: JsonObject | Invoice | str) -> Outcome:
        """Pay the invoice of a message or behind a link, and await how it ends."""
        if isinstance(invoice, str):
            invoice = self.invoice_behind(invoice)
        elif not isinstance(invoice, Invoice):
            invoice = self.invoice_in(invoice)
        return await self._stars.pay(self._chat, invoice)

    def cancel(self, subscription_id: str) -> None:
        """Let a subscription end with its period; LookupError if it is not running."""
        self._change(subscription_id, is_canceled=True)

    def resume(self, subscription_id: str) -> None:
        """Take a cancellation back; LookupError after the end, or if it was the bot that cancelled."""
        self._change(subscription_id, is_canceled=False)

    def renew(self, subscription_id: str) -> None:
        """Let the present period of a subscription be over now."""
        self._stars.renew(self._find(subscription_id))

    def _change(self, subscription_id: str, *, is_canceled: bool) -> None:
        subscription = self._find(subscription_id)
        if subscription.is_canceled_by_bot:
            raise LookupError("the bot has cancelled the subscription")
        subscription.is_canceled = is_canceled
        self._stars.tell(self._chat)

    def _find(self, subscription_id: str) -> Subscription:
        try:
            return self._stars.subscriptions.find(self._chat.id, subscription_id)
        except ApiError as error:
            raise LookupError("no such subscription is running") from error
