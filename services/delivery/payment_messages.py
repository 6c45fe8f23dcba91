"""The messages about payments: what happened to the money, and what to do next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from domain.delivery.messages import Button, Message
from domain.delivery.policy import Rules
from domain.delivery.quiet import shown_time, zone_of
from domain.payments.amounts import STARS, show, show_paid
from domain.subscribers.subscriber import Subscriber
from domain.subscribers.zones import show_zone
from managers.telegram.rate_limiter import Lane
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from services.payments.notices import PAYMENT, RECEIPT, PaymentNotice
from services.payments.nowpayments_arrivals import USD
from texts.markup import Html, join
from texts.renderer import Texts

ALWAYS: Final = Rules(needs_plan=False, heeds_wishes=False)
"""It is about money: neither an ended plan nor quiet hours keep it back, and it never gets too old."""
_MOMENT: Final = "%d %b %H:%M"


Refresh = Callable[[Subscriber, str], Awaitable[None]]
"""Let what shows an invoice, by its id, say how it stands. Raises nothing."""


class PaymentComposer(Composer):
    def __init__(self, texts: Texts, refresh: Refresh | None = None) -> None:
        self._texts = texts
        self._refresh = refresh

    def rows(self) -> tuple[Kind, ...]:
        return tuple(
            Kind(name=name, lane=Lane.PAYMENT, rules=ALWAYS, composer=self, payload=PaymentNotice)
            for name in (RECEIPT, PAYMENT)
        )

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        if self._refresh:
            await self._refresh(subscriber, waiting.payload_as(PaymentNotice).invoice_id)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        waiting = together[0]
        notice = waiting.payload_as(PaymentNotice)
        at, zone = waiting.entry.outgoing.decided_at, subscriber.preferences.time_zone
        lines = told(self._texts, notice, at, subscriber.language, zone, is_receipt=waiting.kind == RECEIPT)
        if waiting.may_repeat:
            lines.append(self._texts.render("card.may_repeat", subscriber.language))
        message = Message(
            html=str(join("\n\n", lines)),
            keyboard=self._buttons(notice, subscriber.language),
            silent=notice.state == "expired",
        )
        return Composed(message, (waiting,))

    def _buttons(self, notice: PaymentNotice, language: str) -> tuple[tuple[Button, ...], ...]:
        if notice.state != "underpaid" or not notice.address or notice.needs_admin or notice.asset == USD:
            return ()
        text = self._texts.plain
        return (
            (
                Button(text=text("payment.copy_missing", language), copy=show(notice.missing)),
                Button(text=text("payment.copy_address", language), copy=notice.address),
            ),
        )


def told(
    texts: Texts,
    notice: PaymentNotice,
    at: datetime,
    language: str,
    zone: str,
    *,
    is_receipt: bool = False,
) -> list[Html]:
    """Say how an invoice stood at that time, to somebody by the clocks of their zone."""
    ends = notice.expires_at.astimezone(zone_of(zone))
    moment = "%H:%M" if ends.date() == at.astimezone(zone_of(zone)).date() else _MOMENT
    values = {
        "id": notice.invoice_id,
        "plan": texts.label("plan", notice.plan, language),
        "days": notice.days,
        "asset": "Stars" if notice.asset == STARS.code else notice.asset,
        "amount": show_paid(notice.amount, notice.asset),
        "received": show_paid(notice.received, notice.asset),
        "seen": show_paid(notice.received + notice.pending, notice.asset),
        "missing": show_paid(notice.missing, notice.asset),
        "excess": show_paid(notice.excess, notice.asset),
        "address": notice.address,
        "memo": notice.memo,
        "ends": f"{ends:{moment}} ({show_zone(zone)})",
        "until": shown_time(notice.until, zone) if notice.until else "?",
    }
    lines = [texts.render(_key(notice, at, is_receipt=is_receipt), language, **values)]
    if is_receipt and notice.excess:
        lines.append(texts.render("payment.receipt_excess", language, **values))
    if notice.memo and notice.missing and not notice.needs_admin:
        lines.append(texts.render("payment.memo", language, memo=notice.memo))
    if notice.needs_admin:
        lines.append(texts.render("payment.needs_admin", language))
    return lines


def _key(notice: PaymentNotice, at: datetime, *, is_receipt: bool) -> str:
    """Return the sentence for what an invoice stood at, in that moment."""
    if is_receipt:
        return "payment.receipt"
    if notice.settled or (notice.state == "overpaid" and not notice.needs_admin):
        return f"payment.settled.{notice.settled or 'overpaid'}"
    match notice.state:
        case "underpaid" if at > notice.expires_at or notice.asset == USD:
            return "payment.underpaid_late" if at > notice.expires_at else "payment.underpaid_page"
        case "expired" if notice.needs_admin:
            return "payment.expired_foreign"
        case "expired" if notice.method in {"nowpayments", "stars"}:
            return "payment.expired_elsewhere"
        case state:
            return f"payment.{state}"
