"""One connection to the Bot API: the python-telegram-bot application and everything that is sent by hand."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from html import unescape
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
import structlog
from msgspec import Struct
from telegram import (
    BotCommand,
    BotCommandScopeChat,
    ChatMember,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Update,
    User,
)
from telegram.error import BadRequest, Conflict, TelegramError
from telegram.ext import Application, ApplicationBuilder, ContextTypes, ExtBot

from domain.errors import FatalError, FloodError, MessageRefusedError, RecipientGoneError, TransientError
from domain.messages import Button, Media, MediaKind, Message, SentMedia
from managers.cancellation import end
from managers.rate_limiter import Lane, Slot, TelegramRateLimiter
from managers.telegram_errors import telegram_errors
from managers.telegram_request import AiohttpRequest
from managers.telegram_updates import ChatOrderProcessor, webhook_secret
from managers.waiting import pause, reporting

log = structlog.get_logger(__name__)

TelegramApplication = Application[
    ExtBot[Lane | Slot], ContextTypes.DEFAULT_TYPE, dict[Any, Any], dict[Any, Any], dict[Any, Any], None
]

ALLOWED_UPDATES = ("message", "callback_query", "my_chat_member", "pre_checkout_query")
"""Always stated, as Telegram remembers the last list. Without edited messages no command can run twice."""

_POLL_TIMEOUT_S = 10
_POLL_GRACE_S = 5.0
"""How much later than its time-out a long poll may be answered."""
_CONCURRENT_UPDATES = 64
_DRAIN_TIMEOUT_S = 10.0
_ADMINISTRATORS = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR})
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_SEND: dict[MediaKind | None, str] = {
    None: "send_Message",
    "photo": "send_Photo",
    "animation": "send_Animation",
    "video": "send_Video",
}
"""Spelt for `do_api_request`: at `send_message` the library would warn that it has a method for it."""
_NO_PREVIEW = '{"is_disabled":true}'


class TelegramHealth(Struct, frozen=True, kw_only=True):
    ok: bool
    polling: bool
    last_poll_age_s: float | None
    """Since getUpdates was last answered, or since polling started; `None` when not polling."""
    conflict: bool
    """Somebody else polls with the same token."""
    connected: bool = True
    """Telegram has told who we are, so updates can be handled."""


class TelegramManager:
    """Open with `async with`; then `poll`, or `set_webhook` and `feed_update`.

    Where Telegram may be away at the start, enter `opened` instead, and call `connect` until it succeeds. Sending
    needs no more than `opened`.

    `answer_timeout_s`: how long an answer to anything sent is waited for. `stale_after_s`: how long getUpdates
    may go unanswered before polling counts as stuck.

    Every method raises the errors of `domain/errors.py` and none of the library's. Handlers are registered on
    `application` before updates come in; `telegram_errors.as_bot_error` translates what they raise.
    """

    def __init__(
        self,
        *,
        token: str,
        api_base: str,
        limiter: TelegramRateLimiter,
        answer_timeout_s: float = 15.0,
        stale_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        base = api_base.rstrip("/")
        self._limiter = limiter
        self._stale_after_s = stale_after_s
        self._clock = clock
        self._requests = AiohttpRequest(read_timeout_s=answer_timeout_s, clock=clock)
        self._polls = AiohttpRequest(connections=4, read_timeout_s=_POLL_GRACE_S, clock=clock)
        self._polling_since = 0.0
        self._conflict_at: float | None = None
        self._closing = AsyncExitStack()
        self.application: TelegramApplication = (
            ApplicationBuilder()
            .token(token)
            .base_url(f"{base}/bot")
            .base_file_url(f"{base}/file/bot")
            .request(self._requests)
            .get_updates_request(self._polls)
            .rate_limiter(limiter)
            .concurrent_updates(ChatOrderProcessor(_CONCURRENT_UPDATES))
            .job_queue(None)
            .build()
        )

    @property
    def _bot(self) -> ExtBot[Lane | Slot]:
        return self.application.bot

    @property
    def username(self) -> str:
        """Of the bot, without `@`; known inside `async with`."""
        return self._bot.username

    async def __aenter__(self) -> Self:
        """Open and connect. Raises what `connect` does, and is closed then."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.opened())
            await self.connect()
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Self]:
        """Open without asking Telegram anything."""
        await self._requests.initialize()
        await self._polls.initialize()
        try:
            yield self
        finally:
            try:
                await self.stop_polling()
            finally:
                await self._stop_application()

    async def connect(self) -> None:
        """Ask Telegram who we are, unless it has told already; from then on updates are handled.

        Raises `TransientError` when Telegram cannot be reached: call it again. `FatalError` for an unknown token.
        """
        if self.application.running:
            return
        try:
            with telegram_errors():
                await self.application.initialize()
                await self.application.start()
        except FloodError as error:
            raise TransientError(str(error)) from error
        log.info("telegram_connected", username=self._bot.username)

    async def _stop_application(self) -> None:
        try:
            if self.application.running:
                async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                    await self.application.stop()
        except TimeoutError:
            log.warning("updates_abandoned", after_s=_DRAIN_TIMEOUT_S)
        finally:
            await self.application.shutdown()
            await self._bot.shutdown()
            # What was never connected is not shut down by the library.
            await self._requests.shutdown()
            await self._polls.shutdown()

    # -- sending

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]:
        """Wait until a message to `chat_id` may leave."""
        return self._limiter.slot(chat_id, lane)

    async def send(self, message: Message, *, chat_id: int, slot: Slot, thread_id: int | None = None) -> int:
        """Send under a held slot and return the message id. Raises the `DeliveryError` tree.

        Markup that Telegram cannot read is taken away, and likewise buttons it does not accept, rather than
        losing the message. `thread_id` is a topic of a forum.
        """
        place = {"chat_id": chat_id, "message_thread_id": thread_id, "link_preview_options": _NO_PREVIEW}
        return (await self._simplified(_SEND[None], message, "text", place, slot))["message_id"]

    async def send_media(
        self, message: Message, media: Media, *, chat_id: int, slot: Slot, thread_id: int | None = None
    ) -> SentMedia:
        """Send media with the message as its caption (at most 1024 UTF-16 units), otherwise like `send`.

        Telegram fetches an address by itself. `MessageRefusedError` when it cannot: the text is not sent then.
        """
        place = {"chat_id": chat_id, "message_thread_id": thread_id, media.kind: media.source}
        sent = await self._simplified(_SEND[media.kind], message, "caption", place, slot)
        return SentMedia(sent["message_id"], _file_id(sent, media.kind))

    async def _simplified(
        self, endpoint: str, message: Message, text_as: str, place: dict[str, Any], slot: Slot
    ) -> dict[str, Any]:
        # Neither the parameters nor the answer become the library's objects: of the answer hardly anything is needed,
        # and making them took most of the time that an alert costs.
        text, parse_mode = message.html, "HTML"
        keyboard = _keyboard_json(message.keyboard)
        with telegram_errors():
            while True:
                options = {
                    text_as: text,
                    "parse_mode": parse_mode,
                    "reply_markup": keyboard,
                    "disable_notification": message.silent,
                }
                try:
                    return await self._bot.do_api_request(endpoint, place | options, rate_limit_args=slot)
                except BadRequest as refusal:
                    reason = refusal.message
                    if parse_mode is not None and "can't parse entities" in reason.lower():
                        text, parse_mode = plain_text(message.html), None
                    elif keyboard is not None and "button_" in reason.lower():
                        keyboard = None
                    else:
                        raise
                    log.warning("message_simplified", chat_id=place["chat_id"], reason=reason)

    async def administers(self, chat_id: int, user_id: int) -> bool:
        """Ask Telegram whether somebody administers a group. A group that the bot is not in is nobody's."""
        try:
            with telegram_errors():
                member = await self._bot.get_chat_member(chat_id, user_id)
        except (RecipientGoneError, MessageRefusedError):
            return False
        return member.status in _ADMINISTRATORS

    async def me(self) -> User:
        with telegram_errors():
            return await self._bot.get_me()

    async def set_commands(
        self, commands: Mapping[str, str], *, chat_id: int | None = None, language: str | None = None
    ) -> None:
        """Show command names with their descriptions in the menu: to everybody, or in one chat."""
        menu = [BotCommand(name, description) for name, description in commands.items()]
        scope = None if chat_id is None else BotCommandScopeChat(chat_id)
        with telegram_errors():
            await self._bot.set_my_commands(menu, scope=scope, language_code=language)

    # -- receiving

    async def poll(self, progress: Callable[[], None] = lambda: None) -> NoReturn:
        """Connect if need be, and poll until cancelled. `progress` is called also while Telegram is waited for.

        Raises `TransientError` when Telegram cannot be reached, or leaves getUpdates unanswered for too long: the
        library repeats a timed-out poll for ever without a word. One that is refused since somebody else polls (409)
        is answered: it is repeated, ever more slowly up to half a minute, until the other one has gone.
        """
        await self.connect()
        starting = asyncio.create_task(self.start_polling())
        try:
            await reporting(starting, progress)
            while True:
                await pause(self._stale_after_s / 4, progress)
                if (age_s := self._last_poll_age_s()) > self._stale_after_s:
                    raise TransientError(f"Telegram has not answered getUpdates for {age_s:.0f} s")
        finally:
            await end([starting])
            await self.stop_polling()

    async def start_polling(self) -> None:
        """Remove a webhook if there is one, and poll. Waits while Telegram cannot be reached."""
        updater = self.application.updater
        if updater is None:
            raise FatalError("This application was built without polling.")
        await self._polls.shutdown()  # a fresh session: nothing of a poll that got stuck may live on
        await self._polls.initialize()
        self._polling_since = self._clock()
        with telegram_errors():
            await updater.start_polling(
                timeout=_POLL_TIMEOUT_S,
                bootstrap_retries=-1,
                allowed_updates=ALLOWED_UPDATES,
                drop_pending_updates=False,
                error_callback=self._note_poll_error,
            )
        log.info("polling_started")

    async def stop_polling(self) -> None:
        updater = self.application.updater
        if updater is not None and updater.running:
            with telegram_errors():
                await updater.stop()
            log.info("polling_stopped")

    def _note_poll_error(self, error: TelegramError) -> None:
        if not isinstance(error, Conflict):
            log.warning("poll_failed", reason=error.message)
            return
        if not self._in_conflict():  # once, not at every attempt
            log.error("poll_conflicted", reason=error.message)
        self._conflict_at = self._clock()

    async def set_webhook(self, url: str, secret: str) -> None:
        """Let Telegram bring updates to `url`; `secret` comes back in a header of each."""
        with telegram_errors():
            await self._bot.set_webhook(
                url,
                secret_token=webhook_secret(secret),
                allowed_updates=ALLOWED_UPDATES,
                drop_pending_updates=False,
            )
        log.info("webhook_set", url=url)

    async def feed_update(self, update: dict[str, Any]) -> None:
        """Queue an update that came by webhook. An unreadable one is dropped, or it would come for ever."""
        try:
            parsed = Update.de_json(update, self._bot)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("update_unreadable", update_id=update.get("update_id"), error=repr(error))
            return
        await self.application.update_queue.put(parsed)

    def health(self) -> TelegramHealth:
        updater = self.application.updater
        connected = self.application.running
        polling = updater is not None and updater.running
        age_s = self._last_poll_age_s() if polling else None
        conflict = self._in_conflict()
        fresh = age_s is None or age_s <= self._stale_after_s
        return TelegramHealth(
            ok=connected and fresh and not conflict,
            polling=polling,
            last_poll_age_s=age_s,
            conflict=conflict,
            connected=connected,
        )

    def _in_conflict(self) -> bool:
        return self._conflict_at is not None and self._clock() - self._conflict_at < self._stale_after_s

    def _last_poll_age_s(self) -> float:
        """Count a refusal to poll as an answer."""
        return self._clock() - max(self._polling_since, self._polls.last_success_at or 0.0, self._conflict_at or 0.0)


def markup(keyboard: Sequence[Sequence[Button]]) -> InlineKeyboardMarkup | None:
    """Turn rows of buttons into Telegram's form; no rows, no markup."""
    if not keyboard:
        return None
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in keyboard])


def _button(button: Button) -> InlineKeyboardButton:
    copy_text = None if button.copy is None else CopyTextButton(button.copy)
    return InlineKeyboardButton(button.text, callback_data=button.data, url=button.url, copy_text=copy_text)


def _keyboard_json(keyboard: Sequence[Sequence[Button]]) -> str | None:
    """Give what `markup` gives as Telegram reads it."""
    if not keyboard:
        return None
    rows = [[_button_fields(button) for button in row] for row in keyboard]
    return msgspec.json.encode({"inline_keyboard": rows}).decode()


def _button_fields(button: Button) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": button.text}
    if button.data is not None:
        fields["callback_data"] = button.data
    if button.url is not None:
        fields["url"] = button.url
    if button.copy is not None:
        fields["copy_text"] = {"text": button.copy}
    return fields


def _file_id(sent: Mapping[str, Any], kind: MediaKind) -> str | None:
    file = sent.get(kind)
    if kind == "photo":
        file = file[-1] if file else None  # the largest size
    return file["file_id"] if file else None


def plain_text(html: str) -> str:
    """Take the tags away and keep what people would have read."""
    return unescape(_TAG.sub("", html))
