"""From the outbox to the chat: each claimed alert leaves once, in its turn, and its fate is written down.

One worker per chat that has something waiting, so a slow or blocked chat holds nobody else up. An alert is
marked in flight after its turn has come and right before the request, so a hard kill leaves at most
`SEND_SLOTS` alerts of which nobody can say whether they arrived; those are sent again, marked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from domain.calls import Call
from domain.errors import (
    ChatMigratedError,
    DeliveryError,
    FloodError,
    MessageRefusedError,
    OutcomeUnknownError,
    RecipientGoneError,
)
from domain.messages import Message
from domain.subscribers import Subscriber
from managers.rate_limiter import Lane, Slot
from services.cards import alert_card
from services.journal_rows import DeliveryRecord, DeliveryStatus
from services.metrics import Metrics
from services.outbox import Outbox, OutboxEntry
from services.persistence import persistently
from services.users import UsersService
from texts import Texts

log = structlog.get_logger(__name__)

SEND_SLOTS = 5
"""Requests in flight at once; also the most that can repeat after a hard kill."""
READ_COUNT = 500
READ_BLOCK_MS = 1_000
MAX_HELD = 5_000
"""Alerts held in memory; the rest waits in the outbox."""
GIVE_UP_AFTER = timedelta(hours=1)
"""How long Telegram may be away before an alert goes to the dead letters instead."""
COLD_START_S = 3.0
"""A process that was killed may have used up what Telegram allows each chat within three seconds."""
DRAIN_LOOK_S = 0.05
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0


class Messenger(Protocol):
    """What the sender needs of Telegram; `managers.telegram.TelegramManager` in the running bot."""

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]: ...

    async def send(self, message: Message, *, chat_id: int, slot: Slot) -> int: ...


class Sent(Struct, frozen=True, kw_only=True):
    """Told to whoever watches the bot work."""

    user_id: int
    name: str
    call: Call
    latency_ms: float
    repeat: bool


class Waiting(Struct, kw_only=True):
    entry: OutboxEntry
    pause_s: float = 0.0
    """How long to wait before the next attempt."""
    unknown: bool = False
    """An earlier attempt of this process may have arrived."""


class DeliveryService:
    def __init__(
        self,
        *,
        outbox: Outbox,
        users: UsersService,
        messenger: Messenger,
        texts: Texts,
        metrics: Metrics,
        clock: Callable[[], datetime],
        on_sent: Callable[[Sent], None],
        consumer: str,
    ) -> None:
        self._outbox = outbox
        self._users = users
        self._messenger = messenger
        self._texts = texts
        self._metrics = metrics
        self._clock = clock
        self._on_sent = on_sent
        self._consumer = consumer
        self._chats: dict[int, deque[Waiting]] = {}
        self._held = 0
        self._room = asyncio.Condition()
        self._in_flight = asyncio.Semaphore(SEND_SLOTS)

    @property
    def held(self) -> int:
        """Alerts read from the outbox and not yet settled."""
        return self._held

    async def run(self, progress: Callable[[], None]) -> None:
        """Deliver until cancelled. Whatever is unsettled then stays in the outbox for the next start."""
        async with asyncio.TaskGroup() as workers:
            recovered = await persistently(lambda: self._outbox.recover(self._consumer))
            self._metrics.counts.alerts_recovered += len(recovered)
            if recovered:
                await asyncio.sleep(COLD_START_S)
            await self._take_in(recovered, workers)
            while True:
                progress()
                async with self._room:
                    await self._room.wait_for(lambda: self._held < MAX_HELD)
                await self._take_in(await persistently(self._read), workers)

    async def drained(self) -> None:
        """Return when the outbox has nothing left to send."""
        while self._held or await persistently(self._outbox.size):  # noqa: ASYNC110 - other senders empty it too
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _read(self) -> list[OutboxEntry]:
        return await self._outbox.read(self._consumer, count=READ_COUNT, block_ms=READ_BLOCK_MS)

    async def _take_in(self, entries: list[OutboxEntry], workers: asyncio.TaskGroup) -> None:
        for entry in entries:
            subscriber = await self._users.find(entry.alert.user_id)
            chat_id = subscriber.chat_id if subscriber else entry.alert.user_id
            self._held += 1
            queue = self._chats.setdefault(chat_id, deque())
            queue.append(Waiting(entry=entry))
            if len(queue) == 1:
                workers.create_task(self._serve(chat_id, queue), name=f"chat {chat_id}")

    async def _serve(self, chat_id: int, queue: deque[Waiting]) -> None:
        """Send what waits for one chat, oldest first, until nothing does."""
        while queue:
            waiting = queue[0]
            if await self._deliver(waiting):
                queue.popleft()
                await self._made_room()
            else:
                await asyncio.sleep(waiting.pause_s)
        del self._chats[chat_id]

    async def _made_room(self) -> None:
        async with self._room:
            self._held -= 1
            self._room.notify()

    async def _deliver(self, waiting: Waiting) -> bool:
        """One attempt; `False` when the alert has to be tried again after `waiting.pause_s`."""
        alert = waiting.entry.alert
        subscriber = await persistently(lambda: self._users.find(alert.user_id))
        stored = await persistently(lambda: self._outbox.load_call(alert.call_id))
        if stored is None:
            return await self._bury(waiting.entry, "the stored call is gone")
        if subscriber is None or not subscriber.receives_at(self._clock()):
            self._metrics.counts.alerts_withheld += 1
            return await self._finish(waiting.entry, status="withheld")
        call = msgspec.json.decode(stored, type=Call)
        try:
            async with self._messenger.slot(subscriber.chat_id, Lane.ALERT) as slot, self._in_flight:
                await self._send(waiting, call, subscriber, slot)
        except DeliveryError as error:
            return await self._answer(error, waiting)
        return True

    async def _send(self, waiting: Waiting, call: Call, subscriber: Subscriber, slot: Slot) -> None:
        entry = waiting.entry
        await persistently(lambda: self._outbox.begin([entry]))
        may_repeat = entry.may_repeat or waiting.unknown
        message = self._card(entry, call, subscriber, may_repeat=may_repeat)
        message_id = await self._messenger.send(message, chat_id=subscriber.chat_id, slot=slot)
        latency_ms = self._metrics.sent(call.received_at, self._clock())
        self._metrics.counts.alerts_repeated += may_repeat
        await self._finish(
            entry,
            status="sent",
            message_id=message_id,
            latency_ms=latency_ms,
            may_repeat=may_repeat,
        )
        self._on_sent(
            Sent(
                user_id=subscriber.user_id,
                name=subscriber.name,
                call=call,
                latency_ms=latency_ms,
                repeat=may_repeat,
            )
        )

    def _card(self, entry: OutboxEntry, call: Call, subscriber: Subscriber, *, may_repeat: bool) -> Message:
        filter_set = subscriber.filter_set(entry.alert.set_number)
        try:
            return alert_card(
                self._texts,
                call=call,
                set_name=filter_set.name if filter_set else None,
                latency_ms=(self._clock() - call.received_at).total_seconds() * 1000,
                language=subscriber.language,
                may_repeat=may_repeat,
            )
        except Exception as error:
            # A call that breaks the card must not break the sender again at every start.
            log.exception("card_failed", call_id=call.id)
            raise MessageRefusedError(f"card failed: {error!r}") from error

    async def _answer(self, error: DeliveryError, waiting: Waiting) -> bool:
        """Do what Telegram's answer asks for; `True` when the alert is settled by it."""
        entry, user_id = waiting.entry, waiting.entry.alert.user_id
        match error:
            case RecipientGoneError():
                await persistently(lambda: self._users.set_unreachable(user_id, unreachable=True))
                return await self._bury(entry, str(error))
            case MessageRefusedError():
                return await self._bury(entry, str(error))
            case ChatMigratedError(new_chat_id=chat_id):
                await persistently(lambda: self._users.move(user_id, chat_id=chat_id))
                waiting.pause_s = 0.0
            case FloodError():
                waiting.pause_s = 0.0  # the limiter keeps the chat closed for as long as Telegram said
            case _:
                waiting.unknown |= isinstance(error, OutcomeUnknownError)
                waiting.pause_s = min(LONGEST_BACKOFF_S, max(FIRST_BACKOFF_S, waiting.pause_s * 2))
        log.warning("alert_postponed", user_id=user_id, call_id=entry.alert.call_id, reason=str(error))
        if self._clock() - entry.alert.decided_at > GIVE_UP_AFTER:
            return await self._bury(entry, f"given up: {error}")
        if not waiting.unknown:
            await persistently(lambda: self._outbox.give_back([entry]))
        return False

    async def _finish(
        self,
        entry: OutboxEntry,
        *,
        status: DeliveryStatus,
        message_id: int | None = None,
        latency_ms: float | None = None,
        may_repeat: bool = False,
    ) -> bool:
        alert = entry.alert
        record = DeliveryRecord(
            call_id=alert.call_id,
            user_id=alert.user_id,
            set_number=alert.set_number,
            status=status,
            message_id=message_id,
            decided_at=alert.decided_at,
            sent_at=self._clock() if status == "sent" else None,
            latency_s=None if latency_ms is None else latency_ms / 1000,
            may_repeat=may_repeat,
        )
        await persistently(lambda: self._outbox.finish([entry], [record]))
        return True

    async def _bury(self, entry: OutboxEntry, reason: str) -> bool:
        log.warning("alert_buried", user_id=entry.alert.user_id, call_id=entry.alert.call_id, reason=reason)
        self._metrics.counts.alerts_buried += 1
        await persistently(lambda: self._outbox.bury(entry, reason))
        return True
