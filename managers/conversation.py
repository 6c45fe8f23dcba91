"""Answers to what a person just did: they go out in the first lane and are retried by the limiter alone."""

from __future__ import annotations

from telegram import LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest

from domain.messages import Message
from managers.telegram import TelegramManager
from managers.telegram_errors import is_harmless, telegram_errors
from managers.telegram_markup import markup

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class TelegramConversation:
    """Raises the `DeliveryError` tree. A tap answered too late and an edit that changes nothing are no errors."""

    def __init__(self, telegram: TelegramManager) -> None:
        self._bot = telegram.application.bot

    async def send(self, chat_id: int, message: Message) -> int:
        """Send a new message; returns its id."""
        with telegram_errors():
            sent = await self._bot.send_message(
                chat_id,
                message.html,
                parse_mode=ParseMode.HTML,
                reply_markup=markup(message.keyboard),
                disable_notification=message.silent,
                message_thread_id=message.thread_id,
                link_preview_options=_NO_PREVIEW,
            )
        return sent.message_id

    async def edit(self, chat_id: int, message_id: int, message: Message) -> None:
        """Replace a message. One that is gone or too old to be edited raises `MessageRefusedError`."""
        with telegram_errors():
            try:
                await self._bot.edit_message_text(
                    message.html,
                    chat_id=chat_id,
                    message_id=message_id,
                    parse_mode=ParseMode.HTML,
                    reply_markup=markup(message.keyboard),
                    link_preview_options=_NO_PREVIEW,
                )
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
