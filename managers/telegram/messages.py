"""Messages as requests of the Bot API, under a slot that is held.

Neither the parameters nor the answer become the library's objects: of the answer hardly anything is needed, and making
them took most of the time that an alert costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from telegram.error import BadRequest
from telegram.ext import ExtBot

from domain.delivery.messages import Edited, Message
from managers.telegram.errors import is_other_content, telegram_errors
from managers.telegram.markup import keyboard_json, plain_text
from managers.telegram.rate_limiter import Lane, Slot
from runtime.errors import MessageRefusedError, RecipientGoneError

log = structlog.get_logger(__name__)

NO_PREVIEW: Final = '{"is_disabled":true}'
_Place = Mapping[str, object]
Bot = ExtBot[Lane | Slot]


async def send(bot: Bot, endpoint: str, message: Message, text_as: str, place: _Place, slot: Slot) -> dict[str, Any]:
    """Send a new message; returns Telegram's answer. Raises the `DeliveryError` tree."""
    options = {"disable_notification": message.silent, "reply_parameters": _reply_to(message)}
    return await _simplified(bot, endpoint, message, text_as, {**place, **options}, slot)


async def edit(bot: Bot, message: Message, edited: Edited, chat_id: int, slot: Slot) -> None:
    """Replace a message; nobody misses one that is gone, or that Telegram does not let be edited any more."""
    place: _Place = {"chat_id": chat_id, "message_id": edited.message_id}
    ways: list[tuple[str, str, _Place]] = [
        ("edit_Message_Text", "text", {**place, "link_preview_options": NO_PREVIEW}),
        ("edit_Message_Caption", "caption", place),
    ]
    for endpoint, text_as, options in reversed(ways) if edited.has_picture else ways:
        try:
            await _simplified(bot, endpoint, message, text_as, options, slot)
        except (MessageRefusedError, RecipientGoneError) as refusal:
            if is_other_content(refusal):
                continue
            log.info("message_not_edited", chat_id=chat_id, message_id=edited.message_id, reason=str(refusal))
        return


async def _simplified(
    bot: Bot, endpoint: str, message: Message, text_as: str, options: _Place, slot: Slot
) -> dict[str, Any]:
    text, parse_mode = message.html, "HTML"
    keyboard = keyboard_json(message.keyboard)
    options = dict(options)
    with telegram_errors():
        while True:
            content = {text_as: text, "parse_mode": parse_mode, "reply_markup": keyboard}
            try:
                return await bot.do_api_request(endpoint, {**options, **content}, rate_limit_args=slot)
            except BadRequest as refusal:
                reason = refusal.message
                if parse_mode is not None and "can't parse entities" in reason.lower():
                    text, parse_mode = plain_text(message.html), None
                elif "quote" in reason.lower() and message.quote and options.get("reply_parameters"):
                    options["reply_parameters"] = None
                    log.info("sent_without_reply", chat_id=options["chat_id"], reason=reason)
                    continue
                elif keyboard is not None and "button_" in reason.lower():
                    keyboard = None
                else:
                    raise
                log.warning("message_simplified", chat_id=options["chat_id"], reason=reason)


def _reply_to(message: Message) -> dict[str, Any] | None:
    if message.reply_to is None:
        return None
    quote = {"quote": message.quote} if message.quote else {}
    return {"message_id": message.reply_to, "allow_sending_without_reply": True, **quote}
