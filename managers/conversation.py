"""Answers to what a person just did: they go out in the first lane and are retried by the limiter alone."""

from __future__ import annotations

from typing import Any

from telegram import LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest

from domain.messages import Message
from managers.telegram import TelegramManager
from managers.telegram_errors import is_harmless, telegram_errors
from managers.telegram_markup import markup

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class TelegramConversation:
    """Raises the `DeliveryError` tree. A tap answered too late and an edit that changes nothing are no errors.

    Of the messages that come back only the id is wanted: they do not become the library's objects, which something
    unusual in one of them would keep it from making.
    """

    def __init__(self, telegram: TelegramManager) -> None:
        self._bot = telegram.application.bot

    async def send(self, chat_id: int, message: Message) -> int:
        """Send a new message; returns its id."""
        with telegram_errors():
            options = {"disable_notification": message.silent, "message_thread_id": message.thread_id}
            place = {"chat_id": chat_id, **options}
            sent = await self._bot.do_api_request("send_Message", place | _content(message))
        return sent["message_id"]

    async def edit(self, chat_id: int, message_id: int, message: Message) -> None:
        """Replace a message. One that is gone or too old to be edited raises `MessageRefusedError`."""
        with telegram_errors():
            try:
                place = {"chat_id": chat_id, "message_id": message_id}
                await self._bot.do_api_request("edit_Message_Text", place | _content(message))
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise

    async def answer(self, callback_query_id: str, text: str | None = None, *, alert: bool = False) -> None:
        """End the spinner on a button; `text` is plain, up to 200 UTF-16 units."""
        with telegram_errors():
            try:
                await self._bot.answer_callback_query(callback_query_id, text, show_alert=alert)
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise


def _content(message: Message) -> dict[str, Any]:
    return {
        "text": message.html,
        "parse_mode": ParseMode.HTML,
        "reply_markup": markup(message.keyboard),
        "link_preview_options": _NO_PREVIEW,
    }
