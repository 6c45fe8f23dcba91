"""One connection to the Bot API: the python-telegram-bot application and everything that is sent by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
import structlog
from msgspec import Struct
from telegram import BotCommand, BotCommandScopeChat, ChatMember, User
from telegram.ext import Application, ApplicationBuilder, ContextTypes, ExtBot

from domain.delivery.messages import Media, MediaKind, Message, SentMedia
from managers.telegram.errors import telegram_errors
from managers.telegram.markup import file_of
from managers.telegram.messages import NO_PREVIEW, edit, send
from managers.telegram.polling import POLL_GRACE_S, Polling, PollRequest
from managers.telegram.rate_limiter import Lane, Slot, TelegramRateLimiter
from managers.telegram.request import AiohttpRequest
from managers.telegram.update_queue import UpdateQueue
from managers.telegram.updates import UpdateInbox, webhook_secret
from runtime.cancellation import end
from runtime.counted import counted
from runtime.errors import FloodError, MessageRefusedError, RecipientGoneError, TransientError
from runtime.pace import pace
from runtime.waiting import REPORT_EVERY_S, Progress

log = structlog.get_logger(__name__)

TelegramApplication = Application[
    ExtBot[Lane | Slot], ContextTypes.DEFAULT_TYPE, dict[Any, Any], dict[Any, Any], dict[Any, Any], None
]

ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member", "pre_checkout_query")
"""Always stated, as Telegram remembers the last list."""

_DRAIN_TIMEOUT_S = 10.0
_ADMINISTRATORS = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR})
_SEND: dict[MediaKind | None, str] = {
    None: "send_Message",
    "photo": "send_Photo",
    "animation": "send_Animation",
    "video": "send_Video",
}
"""Spelt for `do_api_request`: at `send_message` the library would warn that it has a method for it."""


class TelegramHealth(Struct, frozen=True, kw_only=True):
    ok: bool
    polling: bool
    last_poll_age_s: float | None
    """Since getUpdates was last answered in a way that could be processed; `None` when not polling."""
    conflict: bool
    """Somebody else polls with the same token."""
    connected: bool = True
    """Telegram has told who we are, so updates can be handled."""
    problem: str | None = None
    """Why nobody is answered, if so."""


class WebhookState(Struct, frozen=True, kw_only=True):
    """What Telegram says of the webhook, in its words."""

    url: str
    pending_update_count: int
    """Updates that it has not brought yet."""
    last_error_date: int | None = None
    """When it last failed to bring one, on Telegram's clock."""
    last_error_message: str = ""


class TelegramManager:
    """Open with `async with`; then `poll`, or `set_webhook` and `feed_update`.

    Where Telegram may be away at the start, enter `opened` instead, and call `connect` until it succeeds. Sending
    needs no more than `opened`.

    `answer_timeout_s`: how long an answer to anything sent is waited for. `stale_after_s`: how long getUpdates
    may go unanswered before polling counts as stuck.

    Every method raises the errors of `runtime/errors.py` and none of the library's. Handlers are registered on
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
        self._polls = PollRequest(connections=4, read_timeout_s=POLL_GRACE_S, clock=clock)
        self._polls_now = False
        self._polls_anew = False
        self._closing = AsyncExitStack()
        self.application: TelegramApplication = (
            ApplicationBuilder()
            .token(token)
            .base_url(f"{base}/bot")
            .base_file_url(f"{base}/file/bot")
            .request(self._requests)
            .get_updates_request(self._polls)
            .rate_limiter(limiter)
            .updater(None)
            .job_queue(None)
            .build()
        )
        self.queue = UpdateQueue(clock=clock)
        """Updates that wait to be handled; the application's own queue stays empty."""
        self.inbox = UpdateInbox(self.queue, self.application.process_update, clock=clock)
        self._polling = Polling(
            self._bot,
            self.inbox,
            self.queue,
            allowed_updates=ALLOWED_UPDATES,
            conflict_lasts_s=stale_after_s,
            clock=clock,
        )

    @property
    def _bot(self) -> ExtBot[Lane | Slot]:
        return self.application.bot

    @property
    def foreign_answers(self) -> int:
        """Answers that were not Telegram's own, since the start."""
        return self._requests.foreign_answers + self._polls.foreign_answers

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
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await self.inbox.drained()
        except TimeoutError:
            log.warning("updates_abandoned", after_s=_DRAIN_TIMEOUT_S, updates=len(self.queue))
        finally:
            await self.inbox.close()
            if self.application.running:
                await self.application.stop()
            await self.application.shutdown()
            await self._bot.shutdown()
            # What was never connected is not shut down by the library.
            await self._requests.shutdown()
            await self._polls.shutdown()

    # -- sending

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]:
        """Wait until a message to `chat_id` may leave."""
        return self._limiter.slot(chat_id, lane)

    def hasten(self, chat_id: int, lane: Lane) -> None:
        """Let what waits for a slot of this chat in a later lane wait in this one from now on."""
        self._limiter.hasten(chat_id, lane)

    async def send(self, message: Message, *, chat_id: int, slot: Slot, thread_id: int | None = None) -> int:
        """Send under a held slot and return the message id. Raises the `DeliveryError` tree.

        Markup that Telegram cannot read is taken away, and likewise buttons it does not accept, rather than
        losing the message. `thread_id` is a topic of a forum.
        """
        if message.edits is not None:
            await edit(self._bot, message, message.edits, chat_id, slot)
            return message.edits.message_id
        place = {"chat_id": chat_id, "message_thread_id": thread_id, "link_preview_options": NO_PREVIEW}
        return (await send(self._bot, _SEND[None], message, "text", place, slot))["message_id"]

    async def send_media(
        self, message: Message, media: Media, *, chat_id: int, slot: Slot, thread_id: int | None = None
    ) -> SentMedia:
        """Send media with the message as its caption (at most 1024 UTF-16 units), otherwise like `send`.

        Telegram fetches an address by itself. `MessageRefusedError` when it cannot: the text is not sent then.
        """
        place = {"chat_id": chat_id, "message_thread_id": thread_id, media.kind: file_of(media)}
        sent = await send(self._bot, _SEND[media.kind], message, "caption", place, slot)
        return SentMedia(sent["message_id"], _file_id(sent, media.kind))

    async def administers(self, chat_id: int, user_id: int) -> bool:
        """Ask Telegram whether somebody administers a group. A group that the bot is not in is nobody's."""
        try:
            with telegram_errors():
                whom = {"chat_id": chat_id, "user_id": user_id}
                member = await self._bot.do_api_request("get_Chat_Member", whom)
        except (RecipientGoneError, MessageRefusedError):
            return False
        return member["status"] in _ADMINISTRATORS

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

    def reconnect(self) -> bool:
        """Let the polling begin anew, on a fresh connection, within seconds; `False` where there is none.

        What is being sent is left alone: nobody would know whether it arrived.
        """
        self._polls_anew = self._polls_now
        return self._polls_now

    async def poll(self, progress: Progress = lambda: None) -> NoReturn:
        """Connect if need be, remove a webhook if there is one, and poll until cancelled.

        `progress` is called also while Telegram is waited for. Raises `TransientError` when Telegram cannot be
        reached at first, or leaves getUpdates without an answer that can be processed for too long, and `FatalError`
        for an unknown token. Errors are repeated ever more slowly up to half a minute, and so is a poll that is
        refused since somebody else polls (409), until the other one has gone.
        """
        await self.connect()
        await self._polls.shutdown()  # a fresh session: nothing of a poll that got stuck may live on
        await self._polls.initialize()
        polling = asyncio.create_task(self._polling.run())
        self._polls_now, self._polls_anew = True, False
        try:
            while True:
                progress()
                await asyncio.wait({polling}, timeout=pace.seconds(min(REPORT_EVERY_S, self._stale_after_s / 4)))
                if polling.done():
                    polling.result()
                if self._polls_anew:
                    raise TransientError("polling begins anew, as an admin wants it")
                if (age_s := self._polling.stuck_s) > self._stale_after_s and self.queue.has_room:
                    raise TransientError(f"Telegram has not answered getUpdates for {age_s:.0f} s")
        except asyncio.CancelledError:
            self._polling.no_longer_wanted()
            raise
        finally:
            await end([polling])
            self._polls_now = False
            await self._polling.confirm()

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

    async def webhook_state(self) -> WebhookState:
        """Ask Telegram how it fares with bringing updates."""
        with telegram_errors():
            told: object = await self._bot.do_api_request("get_Webhook_Info")
        try:
            return msgspec.convert(told, WebhookState)
        except msgspec.ValidationError as error:
            raise TransientError(f"Telegram's word about the webhook cannot be read: {error}") from error

    async def feed_update(self, update: dict[str, Any]) -> None:
        """Queue what came by webhook, unless it is unreadable. `TransientError`: money that is not written down yet."""
        self.inbox.take(update, self._bot)
        await self.inbox.written(update)

    def health(self) -> TelegramHealth:
        connected = self.application.running
        conflict = self._polling.is_in_conflict
        silent_s = self._polling.silent_s
        problem = self._problem(silent_s or 0.0)
        return TelegramHealth(
            ok=problem is None,
            polling=self._polls_now,
            last_poll_age_s=silent_s,
            conflict=conflict,
            connected=connected,
            problem=problem,
        )

    def _problem(self, silent_s: float) -> str | None:
        if not self.application.running:
            return "not connected yet"
        if self._polling.is_in_conflict:
            return "somebody else polls with this bot's token (409)"
        if silent_s > self._stale_after_s:
            return f"no answer to getUpdates that could be processed for {silent_s:,.0f} s"
        if (stalled_s := self.queue.stalled_s) > self._stale_after_s:
            waiting = counted(len(self.queue), "update waits", "updates wait")
            return f"{waiting}, and none was handled for {stalled_s:,.0f} s"
        return "the last updates of several people could not be read" if self.inbox.reads_nothing else None


def _file_id(sent: Mapping[str, Any], kind: MediaKind) -> str | None:
    file = sent.get(kind)
    if kind == "photo":
        file = file[-1] if file else None  # the largest size
    return file["file_id"] if file else None
