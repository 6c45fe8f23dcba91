"""Answers to what a person just did: they go out in the first lane and are retried by the limiter alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from cachetools import LRUCache
from telegram import InputFile, InputMediaPhoto, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest

from domain.delivery.messages import Button, Message
from managers.telegram.client import TelegramManager
from managers.telegram.errors import is_harmless, telegram_errors
from managers.telegram.markup import markup
from runtime.errors import BotError, FloodError, RecipientGoneError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_NO_TEXT: Final = "no text in the message"
_REPLACED_KEPT: Final = 1_000
_FAILURES: Final = 3
_FAILING_FOR_S: Final = 10.0
_FORGOTTEN_AFTER_S: Final = 300.0
"""When nobody has asked anything for so long, nobody knows whether an answer would arrive."""


class TelegramConversation:
    """Raises the `DeliveryError` tree. A tap answered too late and an edit that changes nothing are no errors.

    Of the messages that come back only the id is wanted: they do not become the library's objects, which something
    unusual in one of them would keep it from making.
    """

    def __init__(self, telegram: TelegramManager, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = telegram.application.bot
        self._clock = clock
        self._failures = 0
        """Since an answer last arrived."""
        self._failed_first_at = self._failed_last_at = 0.0
        self._failed_chats: set[int] = set()
        self._reason = ""
        self._replaced: LRUCache[tuple[int, int], int] = LRUCache(_REPLACED_KEPT)
        """By chat and message: the one that came in its place."""

    @property
    def problem(self) -> str | None:
        """Why no answer arrives, if so: several have failed in a row, for a while, and not long ago."""
        if self._failures < _FAILURES or self._failed_last_at - self._failed_first_at < _FAILING_FOR_S:
            return None
        if self._clock() - self._failed_last_at > _FORGOTTEN_AFTER_S:
            return None
        return f"the last {self._failures:,} answers have not arrived: {self._reason}"

    async def send(self, chat_id: int, message: Message) -> int:
        """Send a new message; returns its id. Where a picture is refused, the text goes without it."""
        with self._noting(chat_id):
            return await self._send(chat_id, message)

    async def edit(self, chat_id: int, message_id: int, message: Message, *, keeps_picture: bool = False) -> int:
        """Replace a message; returns the id of the one that says it now.

        One that is gone or too old to be edited raises `MessageRefusedError`. A picture cannot be taken out of a
        message: the text then comes as a new one, and the old one is deleted, unless it `keeps_picture`. Who has
        tapped the old one again meanwhile gets their answer in the new one.
        """
        with self._noting(chat_id):
            try:
                await self._edit(chat_id, message_id, message, keeps_picture=keeps_picture)
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise
        return self._replaced.get((chat_id, message_id), message_id)

    async def edit_keyboard(self, chat_id: int, message_id: int, keyboard: Sequence[Sequence[Button]]) -> None:
        """Replace the buttons under a message; one that is gone raises `MessageRefusedError`."""
        place = {"chat_id": chat_id, "message_id": message_id}
        with self._noting(chat_id):
            try:
                await self._bot.do_api_request("edit_Message_Reply_Markup", place | {"reply_markup": markup(keyboard)})
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise

    async def _send(self, chat_id: int, message: Message) -> int:
        place = {
            "chat_id": chat_id,
            "disable_notification": message.silent,
            "message_thread_id": message.thread_id,
        }
        if message.picture:
            content = {"photo": _file(message)} | _caption(message)
            try:
                return (await self._bot.do_api_request("send_Photo", place | content))["message_id"]
            except BadRequest as refusal:
                log.warning("picture_refused", chat_id=chat_id, reason=refusal.message)
        return (await self._bot.do_api_request("send_Message", place | _content(message)))["message_id"]

    async def _edit(self, chat_id: int, message_id: int, message: Message, *, keeps_picture: bool) -> None:
        place = {"chat_id": chat_id, "message_id": self._replaced.get((chat_id, message_id), message_id)}
        if message.picture:
            media = InputMediaPhoto(_file(message), caption=message.html, parse_mode=ParseMode.HTML)
            content = {"media": media, "reply_markup": markup(message.keyboard)}
            try:
                await self._bot.do_api_request("edit_Message_Media", place | content)
            except BadRequest as refusal:
                if is_harmless(refusal):
                    raise
                log.warning("picture_refused", chat_id=chat_id, reason=refusal.message)
            else:
                return
        try:
            await self._bot.do_api_request("edit_Message_Text", place | _content(message))
        except BadRequest as refusal:
            if _NO_TEXT not in refusal.message.lower():
                raise
            if keeps_picture:
                await self._bot.do_api_request("edit_Message_Caption", place | _caption(message))
            else:
                await self._replace(place, message)

    async def _replace(self, place: dict[str, int], message: Message) -> None:
        chat_id, message_id = place["chat_id"], place["message_id"]
        try:
            await self._bot.do_api_request("delete_Message", place)
        except BadRequest as refusal:
            log.warning("picture_not_deleted", chat_id=chat_id, reason=refusal.message)
        self._replaced[chat_id, message_id] = await self._send(chat_id, message)

    async def answer(self, callback_query_id: str, text: str | None = None, *, alert: bool = False) -> None:
        """End the spinner on a button; `text` is plain, up to 200 UTF-16 units."""
        with self._noting(None):
            try:
                await self._bot.answer_callback_query(callback_query_id, text, show_alert=alert)
            except BadRequest as refusal:
                if not is_harmless(refusal):
                    raise

    @contextmanager
    def _noting(self, chat_id: int | None) -> Generator[None]:
        """Raise this project's errors, and remember what becomes of answers."""
        try:
            with telegram_errors():
                yield
        except RecipientGoneError:
            raise  # Telegram's word about this person; it says nothing about the others
        except BotError as error:
            self._note_failure(chat_id, error)
            raise
        self._failures = 0
        self._failed_chats.clear()

    def _note_failure(self, chat_id: int | None, error: BotError) -> None:
        now = self._clock()
        if now - self._failed_last_at > _FORGOTTEN_AFTER_S:
            self._failures = 0
            self._failed_chats.clear()
        if chat_id is not None and len(self._failed_chats) < _FAILURES:
            self._failed_chats.add(chat_id)
        if isinstance(error, FloodError) and len(self._failed_chats) == 1:
            return  # one chat is to be left alone for a while
        if not self._failures:
            self._failed_first_at = now
        self._failures += 1
        self._failed_last_at, self._reason = now, str(error)


def _content(message: Message) -> dict[str, Any]:
    return {
        "text": message.html,
        "parse_mode": ParseMode.HTML,
        "reply_markup": markup(message.keyboard),
        "link_preview_options": _NO_PREVIEW,
    }


def _caption(message: Message) -> dict[str, Any]:
    return {"caption": message.html, "parse_mode": ParseMode.HTML, "reply_markup": markup(message.keyboard)}


def _file(message: Message) -> InputFile:
    return InputFile(message.picture, filename="picture.png")
