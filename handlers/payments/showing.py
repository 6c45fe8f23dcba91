"""Invoices in messages that change with them: what is paid or over is not offered to be paid again."""

from __future__ import annotations

from datetime import datetime

import structlog

from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.menus import View, view_of
from handlers.payments.invoice_menus import invoice_message
from managers.payments.nowpayments import Coin
from managers.redis.errors import RedisUnavailableError
from runtime.errors import DeliveryError, MessageRefusedError
from services.payments.checks import DONE
from services.payments.group import PaymentServices
from services.payments.invoices import ShownInvoices, StandingInvoice

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def show_invoice(
    bot: BotBase,
    turn: Turn,
    found: StandingInvoice,
    *,
    anew: bool = False,
    looked_at: datetime | None = None,
    coin: Coin | None = None,
    is_unknown: bool = False,
) -> None:
    """Show an invoice in place of what was tapped, or `anew`, and remember where, while it can still change."""
    services, view = bot.services, view_of(bot.services, turn)
    zone = (await services.subscribers.subscribers.require(turn.user_id)).preferences.time_zone
    message = invoice_message(view, services, found, zone, looked_at=looked_at, coin=coin, is_unknown=is_unknown)
    message_id = await (bot.reply(turn, message) if anew else bot.show(turn, message))
    try:
        await services.of(ShownInvoices).note(turn.user_id, message_id, found.invoice.id)
    except RedisUnavailableError as error:
        log.warning("shown_invoice_not_noted", invoice=found.invoice.id, reason=str(error))


async def leave_invoice(services: Services, turn: Turn) -> None:
    """The tapped message shows something else from now on."""
    if turn.menu_id is None:
        return
    try:
        await services.of(ShownInvoices).forget(turn.user_id, turn.menu_id)
    except RedisUnavailableError as error:
        log.warning("shown_invoice_not_forgotten", user_id=turn.user_id, reason=str(error))


async def refresh_invoice(services: Services, subscriber: Subscriber, invoice_id: str) -> None:
    """Let the messages that show an invoice say how it stands. What cannot be changed now stays as it is."""
    shown, user_id = services.of(ShownInvoices), subscriber.user_id
    try:
        message_ids = await shown.of(user_id, invoice_id)
        found = await services.of(PaymentServices).invoices.find(invoice_id) if message_ids else None
        if found is None:
            return
        view = View(texts=services.conversation.texts, language=subscriber.language)
        message = invoice_message(view, services, found, subscriber.preferences.time_zone)
        for message_id in message_ids:
            try:
                await services.conversation.telegram.edit(subscriber.chat_id, message_id, message, keeps_picture=True)
            except MessageRefusedError as error:
                log.info("shown_invoice_gone", invoice=invoice_id, reason=str(error))
        if found.stands.state in DONE and not found.stands.needs_admin:
            await shown.forget(user_id, *message_ids)
    except (RedisUnavailableError, DeliveryError) as error:
        log.warning("shown_invoice_not_refreshed", invoice=invoice_id, reason=str(error))
