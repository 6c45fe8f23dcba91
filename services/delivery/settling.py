"""The fate of alerts, written down: sent, withheld, dead, or to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from msgspec.structs import replace

from domain.stored.journal import DeliveryRecord
from domain.subscribers.subscriber import Destination, Preferences, Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import (
    ChatMigratedError,
    DeliveryError,
    FloodError,
    MessageRefusedError,
    NotSentError,
    OutcomeUnknownError,
    RecipientGoneError,
)
from runtime.retry import persistently
from services.claims.outbox import Outbox
from services.delivery.composing import Composer
from services.delivery.held import records_of
from services.delivery.policy import note_commands
from services.delivery.sending import Place, Receipt, Sender
from services.delivery.turns import Waiting
from services.monitoring.metrics import Metrics
from services.subscribers.subscribers import Subscribers

log = structlog.get_logger(__name__)

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0


class Settler:
    def __init__(
        self,
        *,
        outbox: Outbox,
        subscribers: Subscribers,
        sender: Sender,
        composer: Composer,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._subscribers = subscribers
        self._sender = sender
        self._composer = composer
        self._metrics = metrics
        self._clock = clock

    async def sent(self, batch: Sequence[Waiting], subscriber: Subscriber, receipt: Receipt) -> list[float]:
        """Settle what Telegram took in one message, together; returns the latency of each in ms."""
        now = self._clock()
        latencies_ms = [self._count(waiting, now) for waiting in batch]
        records: list[DeliveryRecord] = []
        for waiting in batch:
            latency_s = (now - waiting.entry.alert.received_at).total_seconds()
            records += [
                replace(
                    record,
                    status="merged" if len(batch) > 1 else "sent",
                    message_id=receipt.message_id,
                    sent_at=now,
                    latency_s=latency_s if record.kind == "alert" else None,
                    may_repeat=waiting.may_repeat,
                )
                for record in records_of(waiting.entry)
            ]
        alerts = [waiting.entry.alert for waiting in batch if waiting.entry.alert.kind == "alert"]
        notes = note_commands(subscriber, alerts, now, sent=True)
        await persistently(lambda: self._outbox.finish([waiting.entry for waiting in batch], records, notes))
        _settle(batch)
        for waiting, latency_ms in zip(batch, latencies_ms, strict=True):
            alert = waiting.entry.alert
            log.info("alert_sent", kind=alert.kind, user_id=alert.user_id, call_id=alert.call_id, latency_ms=latency_ms)
        self._metrics.counts.alerts_merged += len(batch) if len(batch) > 1 else 0
        if receipt.topic_gone:
            await self._change(subscriber, _without_topic)
        return latencies_ms

    async def withhold(self, batch: Sequence[Waiting], reason: str) -> None:
        """Settle what is not to go out at all."""
        if not batch:
            return
        records = [
            replace(record, status="withheld", reason=reason) for one in batch for record in records_of(one.entry)
        ]
        await persistently(lambda: self._outbox.finish([waiting.entry for waiting in batch], records))
        _settle(batch)
        self._metrics.counts.alerts_withheld += len(batch)

    async def bury(self, batch: Sequence[Waiting], reason: str) -> None:
        """Settle what can never go out."""
        for waiting in batch:
            entry = waiting.entry
            log.warning("alert_buried", user_id=entry.alert.user_id, call_id=entry.alert.call_id, reason=reason)
            records = [
                replace(record, status="dead", reason=reason, may_repeat=waiting.may_repeat)
                for record in records_of(entry)
            ]
            await persistently(lambda entry=entry, records=records: self._outbox.bury(entry, reason, records))
        _settle(batch)
        self._metrics.counts.alerts_buried += len(batch)

    async def answer(
        self, error: DeliveryError, batch: Sequence[Waiting], subscriber: Subscriber, place: Place
    ) -> None:
        """Do what Telegram's answer asks for; what is not settled by it is tried again.

        However long Telegram is away, nothing is given up for it: what waits too long goes into a digest when its turn
        comes again (`domain.delivery.policy`). So does, until he is back, what waits for somebody who cannot be written
        to. Only what Telegram definitely refuses goes to the dead letters.
        """
        own_chat = place.chat_id == subscriber.chat_id
        match error:
            case FloodError() | OutcomeUnknownError() | NotSentError():
                pass
            case RecipientGoneError() if own_chat:
                user_id = subscriber.user_id
                await persistently(lambda: self._subscribers.set_unreachable(user_id, unreachable=True))
            case RecipientGoneError():
                await self._come_back(subscriber, place)
            case ChatMigratedError(new_chat_id=chat_id):
                await self._follow(subscriber, own_chat=own_chat, chat_id=chat_id)
            case MessageRefusedError() if len(batch) > 1:
                for waiting in batch:
                    waiting.alone = True
            case _:
                await self.bury(batch, str(error))
                return
        await self._postpone(error, batch)

    async def _postpone(self, error: DeliveryError, batch: Sequence[Waiting]) -> None:
        for waiting in batch:
            alert = waiting.entry.alert
            waiting.unknown |= isinstance(error, OutcomeUnknownError)
            waiting.pause_s = _pause_s(error, waiting)
            log.warning("alert_postponed", user_id=alert.user_id, call_id=alert.call_id, reason=str(error))
        surely_not_sent = [waiting.entry for waiting in batch if not waiting.unknown]
        await persistently(lambda: self._outbox.give_back(surely_not_sent))

    async def _follow(self, subscriber: Subscriber, *, own_chat: bool, chat_id: int) -> None:
        if own_chat:
            await persistently(lambda: self._subscribers.move(subscriber.user_id, chat_id=chat_id))
            return

        def moved(preferences: Preferences) -> Preferences:
            chosen = preferences.destination
            return replace(preferences, destination=Destination(chat_id=chat_id, title=chosen.title if chosen else ""))

        await self._change(subscriber, moved)

    async def _come_back(self, subscriber: Subscriber, place: Place) -> None:
        """Send to the private chat from now on, and say so there."""

        def back(preferences: Preferences) -> Preferences:
            chosen = preferences.destination
            if chosen is None or chosen.chat_id != place.chat_id:
                return preferences  # he has chosen another place meanwhile
            return replace(preferences, destination=None)

        await self._change(subscriber, back)
        lost = subscriber.preferences.destination
        title = lost.title if lost and lost.title else str(place.chat_id)
        note = self._composer.text("delivery.destination_lost", subscriber.language, title=title)
        private = Place(subscriber.chat_id)
        try:
            async with self._sender.slot(private, Lane.ALERT) as slot:
                await self._sender.send(note, private, slot)
        except DeliveryError as error:
            log.warning("destination_loss_not_told", user_id=subscriber.user_id, reason=str(error))

    async def _change(self, subscriber: Subscriber, change: Callable[[Preferences], Preferences]) -> None:
        await persistently(lambda: self._subscribers.change_preferences(subscriber.user_id, change))

    def _count(self, waiting: Waiting, now: datetime) -> float:
        if waiting.entry.alert.kind == "digest":
            self._metrics.counts.digests_sent += 1
            return 0.0
        self._metrics.counts.alerts_repeated += waiting.may_repeat
        return self._metrics.sent(waiting.entry.alert.received_at, now)


def _settle(batch: Sequence[Waiting]) -> None:
    for waiting in batch:
        waiting.settled = True


def _pause_s(error: DeliveryError, waiting: Waiting) -> float:
    # After a flood refusal the limiter keeps the chat closed for as long as Telegram said; the others have been
    # answered, and the next attempt goes elsewhere or is another message.
    if isinstance(error, FloodError | ChatMigratedError | RecipientGoneError | MessageRefusedError):
        return 0.0
    return min(LONGEST_BACKOFF_S, max(FIRST_BACKOFF_S, waiting.pause_s * 2))


def _without_topic(preferences: Preferences) -> Preferences:
    chosen = preferences.destination
    return preferences if chosen is None else replace(preferences, destination=replace(chosen, thread_id=None))
