"""Telegram's side of the conversation, as jobs: whatever Telegram makes of it, the rest of the process goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bot.roles import GATEWAY
from managers.telegram.client import TelegramManager, WebhookState
from runtime.cancellation import stop_if_cancelled
from runtime.clock import now
from runtime.counted import counted
from runtime.errors import DeliveryError, FatalError, FloodError, MessageRefusedError, TransientError
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.supervision import Job, Progress
from runtime.waiting import REPORT_EVERY_S, pause

log = structlog.get_logger(__name__)

Lead = Callable[[str, Job, Progress], Awaitable[None]]

WEBHOOK_POLL_S: Final = 30.0
UNREACHABLE: Final = (
    "Telegram cannot be reached; trying on. "
    "Check the network, and TELEGRAM_API_BASE if it is set: alerts wait meanwhile."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """Where Telegram brings its updates."""

    url: str
    secret: str = field(repr=False)


class Updates:
    """`keep_connected` runs in every process that talks to Telegram; the other jobs wait for it."""

    def __init__(
        self,
        telegram: TelegramManager,
        *,
        webhook: Webhook | None,
        show_menus: Callable[[], Awaitable[None]],
        menus_wanted: asyncio.Event | None = None,
        say: Callable[[str], None],
        lead: Lead | None = None,
        webhook_poll_s: float = WEBHOOK_POLL_S,
    ) -> None:
        """`show_menus` may be repeated, and is whenever `menus_wanted` is set.

        `lead`: how to become the one who polls, where there may be several.

        `webhook_poll_s`: how often Telegram is asked whether it can bring updates.
        """
        self._telegram = telegram
        self.webhook = webhook
        """`None` where updates are polled for."""
        self._show_menus = show_menus
        self._menus_wanted = menus_wanted or asyncio.Event()
        self._say = say
        self._lead = lead
        self._webhook_poll_s = webhook_poll_s
        self._connected = asyncio.Event()
        self._is_ending = False
        self._has_failed = False
        self._was_refused = False
        self.webhook_problem: str | None = None
        """Why Telegram does not bring what people write, if it says so."""

    @property
    def is_open(self) -> bool:
        """Whether an update that is brought now is handled here."""
        return self._connected.is_set() and not self._is_ending and self._telegram.queue.has_room

    async def ask_the_time(self, *, within_s: float) -> None:
        """Connect, if Telegram can be reached in that time: its answers tell what time it is."""
        try:
            async with asyncio.timeout(within_s):
                await self._connect()
        except (TransientError, TimeoutError) as error:
            stop_if_cancelled()
            log.warning("time_not_reported", reason=str(error) or "no answer in time")

    async def keep_connected(self, progress: Progress) -> None:
        """Connect, however long it takes, and stay so. `FatalError` when Telegram does not know the token."""
        await retry_until_done(self._connect, progress)
        if self._has_failed:
            self._say("Telegram is reached.")
        self._connected.set()
        await _idle(progress)

    async def show_menus(self, progress: Progress) -> None:
        """Show everybody the commands in Telegram's menu, and again when wanted; without it the bot works as well."""
        await _until(self._connected, progress)
        while True:
            try:
                await self._show_menus()
            except FloodError as error:
                await pause(error.retry_after_s, progress)
                continue
            except DeliveryError as error:
                if isinstance(error, TransientError):
                    raise
                log.warning("menus_not_shown", reason=str(error))
            await _until(self._menus_wanted, progress)

    async def take(self, progress: Progress) -> None:
        """Let updates come, by webhook or by polling."""
        await _until(self._connected, progress)
        if self.webhook is not None:
            await self._hook(self.webhook, progress)
        elif self._lead is not None:  # only now: who cannot reach Telegram keeps nobody else from it
            await self._lead(GATEWAY, self._telegram.poll, progress)
        else:
            await self._telegram.poll(progress)

    async def drained(self) -> None:
        """Let no more updates in; return when those that came are handled. After `take` has ended."""
        self._is_ending = True
        await self._telegram.queue.drained()

    async def _connect(self) -> None:
        try:
            await self._telegram.connect()
            while now.is_doubted:  # to contradict our clock, one answer is not enough
                await self._telegram.me()
        except FloodError as error:
            raise TransientError(str(error)) from error
        except TransientError as error:
            if not self._has_failed:
                self._has_failed = True
                self._say(UNREACHABLE)
                log.warning("telegram_not_connected", reason=str(error))
            raise
        except FatalError as error:
            raise FatalError(f"{error} `main.py doctor` examines every part.") from error

    async def _hook(self, webhook: Webhook, progress: Progress) -> None:
        try:
            await self._telegram.set_webhook(webhook.url, webhook.secret)
        except FloodError as error:
            await pause(error.retry_after_s, progress)
            raise TransientError(str(error)) from error
        except MessageRefusedError as error:
            # Perhaps only the name cannot be resolved just now: alerts go on, and it is tried again.
            if not self._was_refused:
                self._was_refused = True
                self._say(f"Telegram refuses the webhook ({error}): check PUBLIC_URL. Trying on.")
            self.webhook_problem = f"Telegram refuses the webhook: {error}"
            raise TransientError(self.webhook_problem) from error
        await self._watch_webhook(webhook, progress)

    async def _watch_webhook(self, webhook: Webhook, progress: Progress) -> None:
        """Ask now and then whether Telegram brings what people write. `TransientError` when it was told otherwise."""
        former: WebhookState | None = None
        while True:
            try:
                state = await self._telegram.webhook_state()
            except (DeliveryError, TransientError) as error:
                log.warning("webhook_not_checked", reason=str(error))
            else:
                if state.url != webhook.url:
                    self.webhook_problem = "Telegram brings updates somewhere else, or nowhere"
                    raise TransientError(self.webhook_problem)
                self.webhook_problem = _why_not_brought(former, state)
                former = state
            await pause(self._webhook_poll_s, progress)


def _why_not_brought(former: WebhookState | None, state: WebhookState) -> str | None:
    """Telegram keeps its last failure for ever: it counts when it is a new one and something waits."""
    is_new = former is not None and state.last_error_date not in {None, former.last_error_date}
    if not is_new or not state.pending_update_count:
        return None
    return f"Telegram cannot bring {counted(state.pending_update_count, 'update')}: {state.last_error_message}"


async def _until(event: asyncio.Event, progress: Progress) -> None:
    while not event.is_set():
        progress()
        with suppress(TimeoutError):
            async with asyncio.timeout(pace.seconds(REPORT_EVERY_S)):
                await event.wait()


async def _idle(progress: Progress) -> None:
    while True:
        await pause(REPORT_EVERY_S, progress)
