"""Invoices: what is sold for how many Stars, as a message in a chat or behind a link."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace

from sandbox.telegram.updates import JsonObject

CURRENCY = "XTR"
LINK_PREFIX = "https://t.me/$"
PERIOD_S = 2_592_000
"""The one period that a subscription may have: 30 days."""

_SLUG_BYTES = 12
_LINK = re.compile(r"(?:(?:https?://)?t\.me/(?:\$|invoice/)|tg:(?://)?invoice\?slug=)([A-Za-z0-9_-]+)/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """Stands in a message (`chat_id`, `message_id`) or behind a link (`slug`)."""

    title: str
    description: str
    payload: str
    amount: int
    start_parameter: str = ""
    """Not empty: whoever was not the one to get the message is led to the bot instead of paying."""
    period_s: int = 0
    """Not 0: a subscription that is paid again each time so many seconds have passed."""
    slug: str = ""
    chat_id: int = 0
    message_id: int = 0

    def content(self) -> JsonObject:
        """Return the part of a message that shows it; the payload stays between the bot and Telegram."""
        return {
            "invoice": {
                "title": self.title,
                "description": self.description,
                "start_parameter": self.start_parameter,
                "currency": CURRENCY,
                "total_amount": self.amount,
            }
        }


class InvoiceBook:
    """Every invoice of the bot."""

    def __init__(self) -> None:
        self._sent: dict[tuple[int, int], Invoice] = {}
        self._linked: dict[str, Invoice] = {}

    def sent(self, invoice: Invoice, message: JsonObject) -> None:
        """Remember the invoice of a message."""
        chat_id, message_id = message["chat"]["id"], message["message_id"]
        self._sent[chat_id, message_id] = replace(invoice, chat_id=chat_id, message_id=message_id)

    def link(self, invoice: Invoice) -> str:
        """Make the invoice payable by everybody who has the link."""
        slug = secrets.token_urlsafe(_SLUG_BYTES)
        self._linked[slug] = replace(invoice, slug=slug)
        return f"{LINK_PREFIX}{slug}"

    def in_message(self, chat_id: int, message_id: int) -> Invoice | None:
        return self._sent.get((chat_id, message_id))

    def behind(self, link: str) -> Invoice | None:
        """Find an invoice by its link in any of Telegram's spellings, or by its bare slug."""
        match = _LINK.fullmatch(link.strip())
        return self._linked.get(match[1] if match else link)
