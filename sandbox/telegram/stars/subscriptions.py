"""Subscriptions: paid again at the end of each period until somebody cancels or the Stars run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.telegram.errors import bad_request
from sandbox.telegram.stars.invoices import Invoice
from sandbox.telegram.updates import JsonObject

if TYPE_CHECKING:
    from sandbox.telegram.cloud import Chat


@dataclass(slots=True, eq=False)
class Subscription:
    id: str
    """The id of the first charge."""
    payer: Chat
    invoice: Invoice
    until_s: int
    """Paid until then, in Unix time."""
    is_canceled: bool = False
    is_canceled_by_bot: bool = False
    """The person may not take the cancellation back."""
    has_lapsed: bool = False
    """Ended; whoever wants it again subscribes anew."""

    def view(self) -> JsonObject:
        return {
            "id": self.id,
            "title": self.invoice.title,
            "amount": self.invoice.amount,
            "until": self.until_s,
            "is_canceled": self.is_canceled,
            "is_canceled_by_bot": self.is_canceled_by_bot,
            "has_lapsed": self.has_lapsed,
        }


class Subscriptions:
    def __init__(self) -> None:
        self._by_id: dict[str, Subscription] = {}

    def add(self, subscription: Subscription) -> None:
        self._by_id[subscription.id] = subscription

    def of(self, user_id: int) -> list[Subscription]:
        return [each for each in self._by_id.values() if each.payer.id == user_id]

    def is_active(self, user_id: int, invoice: Invoice) -> bool:
        return any(each.invoice == invoice and not each.has_lapsed for each in self.of(user_id))

    def due(self, now_s: float) -> list[Subscription]:
        """Return those whose period is over, the longest over first."""
        over = [each for each in self._by_id.values() if not each.has_lapsed and each.until_s <= now_s]
        return sorted(over, key=lambda each: each.until_s)

    def find(self, user_id: int, subscription_id: str) -> Subscription:
        """Find a running one; the facts do not name Telegram's words for the others."""
        subscription = self._by_id.get(subscription_id)
        if subscription is None or subscription.payer.id != user_id:
            raise bad_request("CHARGE_NOT_FOUND")
        if subscription.has_lapsed:
            raise bad_request("SUBSCRIPTION_NOT_ACTIVE")
        return subscription
