"""The fate of alerts, written down: sent, withheld, dead, or to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec.structs import replace

from domain.delivery.messages import Message
from domain.stored.alerts import Alert
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import Digest, Envelope
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
from runtime.retry import retry_until_done
from services.claims.outbox import Outbox
from services.delivery.held import records_of
from services.delivery.kinds import Kinds
from services.delivery.policy import PolicyService, note_commands
from services.delivery.sending import ChatTarget, Receipt, Sender
from services.delivery.turns import QueuedMessage
from services.monitoring.metrics import Metrics
from services.subscribers.subscribers import Subscribers
from texts.renderer import Texts

log = structlog.get_logger(__name__)

_OUTCOMES: Final[dict[type[DeliveryError], str]] = {
    FloodError: "flood",
    OutcomeUnknownError: "unknown",
    NotSentError: "not_sent",
}
UNREADABLE_WAITS: Final = timedelta(minutes=10)
"""So long what is for somebody who cannot be read waits for that; then it waits among the dead letters."""
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0


class Settler:
    def __init__(
        self,
        *,
        outbox: Outbox,
        subscribers: Subscribers,
        sender: Sender,
        kinds: Kinds,
        policy: PolicyService,
        texts: Texts,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._subscribers = subscribers
        self._sender = sender
        self._kinds = kinds
        self._policy = policy
        self._texts = texts
        self._metrics = metrics
        self._clock = clock

    async def sent(self, batch: Sequence[QueuedMessage], subscriber: Subscriber, receipt: Receipt) -> None:
        """Settle what Telegram took in one message, together."""
        now = self._clock()
        self._metrics.counts.sends["taken"] += 1
        for waiting in batch:
            self._count(waiting, subscriber, now)
        records = [record for waiting in batch for record in _sent_records(waiting, receipt, now, len(batch))]
        outgoing = [waiting.entry.outgoing for waiting in batch]
        alerts = [one for one in outgoing if isinstance(one, Alert)]
        capped = self._policy.is_capped(subscriber)
        notes = note_commands(subscriber.user_id, alerts, now, sent=True) if capped else []
        await retry_until_done(lambda: self._outbox.finish([waiting.entry for waiting in batch], records, notes))
        _settle(batch)
        for waiting, one in zip(batch, outgoing, strict=True):
            confirmed_s = (now - (one.received_at if isinstance(one, Alert) else one.decided_at)).total_seconds()
            log.info(
                "alert_sent",
                kind=one.kind,
                user_id=one.user_id,
                call_id=one.key,
                speed_s=waiting.speed_s,
                confirmed_s=confirmed_s,
            )
        self._metrics.counts.alerts_merged += len(alerts) if len(batch) > 1 else 0
        if receipt.topic_gone:
            await self._change(subscriber, _without_topic)

    async def withhold(self, batch: Sequence[QueuedMessage], reason: str) -> None:
        """Settle what is not to go out at all."""
        if not batch:
            return
        records = [
            replace(record, status="withheld", reason=reason) for one in batch for record in records_of(one.entry)
        ]
        await retry_until_done(lambda: self._outbox.finish([waiting.entry for waiting in batch], records))
        _settle(batch)
        self._metrics.counts.alerts_withheld += self._tally(batch, "withheld" if reason != "stale" else "dropped")

    async def dead_letter(self, batch: Sequence[QueuedMessage], reason: str) -> None:
        """Settle what can never go out."""
        for waiting in batch:
            entry, outgoing = waiting.entry, waiting.entry.outgoing
            log.warning("alert_dead_lettered", user_id=outgoing.user_id, call_id=outgoing.key, reason=reason)
            records = [
                replace(record, status="dead", reason=reason, may_repeat=waiting.may_repeat)
                for record in records_of(entry)
            ]
            await retry_until_done(
                lambda entry=entry, records=records: self._outbox.dead_letter(entry, reason, records)
            )
        _settle(batch)
        self._metrics.counts.alerts_dead_lettered += self._tally(batch, "dead")

    async def leave(self, waiting: Sequence[QueuedMessage]) -> None:
        """Leave what is for somebody who cannot be read; what has waited too long makes room in the sender's hands."""
        now = self._clock()
        late = [one for one in waiting if not one.settled and now - one.entry.outgoing.decided_at > UNREADABLE_WAITS]
        await self.dead_letter(late, "the settings of whom it is for cannot be read")

    async def answer(
        self, error: DeliveryError, batch: Sequence[QueuedMessage], subscriber: Subscriber, place: ChatTarget
    ) -> None:
        """Do what Telegram's answer asks for; what is not settled by it is tried again.

        However long Telegram is down, nothing is given up for it: what waits too long goes into a digest when its turn
        comes again (`domain.delivery.policy`). So does, meanwhile, what waits for somebody who cannot be written
        to. Only what Telegram definitely refuses goes to the dead letters.
        """
        own_chat = place.chat_id == subscriber.chat_id
        self._note_failure(error)
        match error:
            case FloodError() | OutcomeUnknownError() | NotSentError():
                pass
            case RecipientGoneError() if own_chat:
                user_id = subscriber.user_id
                await retry_until_done(lambda: self._subscribers.set_unreachable(user_id, unreachable=True))
            case RecipientGoneError():
                await self._come_back(subscriber, place)
            case ChatMigratedError(new_chat_id=chat_id):
                await self._follow(subscriber, own_chat=own_chat, chat_id=chat_id)
            case MessageRefusedError() if len(batch) > 1:
                for waiting in batch:
                    waiting.alone = True
            case _:
                await self.dead_letter(batch, str(error))
                return
        await self._postpone(error, batch)

    def _note_failure(self, error: DeliveryError) -> None:
        """Count what Telegram did not take; that somebody has blocked the bot or moved says nothing of the sending."""
        if not isinstance(error, RecipientGoneError | ChatMigratedError):
            self._metrics.counts.sends[_OUTCOMES.get(type(error), "refused")] += 1

    async def _postpone(self, error: DeliveryError, batch: Sequence[QueuedMessage]) -> None:
        for waiting in batch:
            outgoing = waiting.entry.outgoing
            waiting.unknown |= isinstance(error, OutcomeUnknownError)
            waiting.pause_s = _pause_s(error, waiting)
            log.warning("alert_postponed", user_id=outgoing.user_id, call_id=outgoing.key, reason=str(error))
        surely_not_sent = [waiting.entry for waiting in batch if not waiting.unknown]
        await retry_until_done(lambda: self._outbox.give_back(surely_not_sent))

    async def _follow(self, subscriber: Subscriber, *, own_chat: bool, chat_id: int) -> None:
        if own_chat:
            await retry_until_done(lambda: self._subscribers.move(subscriber.user_id, chat_id=chat_id))
            return

        def moved(preferences: Preferences) -> Preferences:
            chosen = preferences.destination
            return replace(preferences, destination=Destination(chat_id=chat_id, title=chosen.title if chosen else ""))

        await self._change(subscriber, moved)

    async def _come_back(self, subscriber: Subscriber, place: ChatTarget) -> None:
        """Send to the private chat from now on, and say so there."""

        def back(preferences: Preferences) -> Preferences:
            chosen = preferences.destination
            if chosen is None or chosen.chat_id != place.chat_id:
                return preferences  # they have chosen another place meanwhile
            return replace(preferences, destination=None)

        await self._change(subscriber, back)
        lost = subscriber.preferences.destination
        title = lost.title if lost and lost.title else str(place.chat_id)
        told = self._texts.render("delivery.destination_lost", subscriber.language, title=title)
        private = ChatTarget(subscriber.chat_id)
        try:
            async with self._sender.slot(private, Lane.ALERT) as slot:
                await self._sender.send(Message(html=str(told)), private, slot)
        except DeliveryError as error:
            log.warning("destination_loss_not_reported", user_id=subscriber.user_id, reason=str(error))

    async def _change(self, subscriber: Subscriber, change: Callable[[Preferences], Preferences]) -> None:
        await retry_until_done(lambda: self._subscribers.change_preferences(subscriber.user_id, change))

    def _count(self, waiting: QueuedMessage, subscriber: Subscriber, now: datetime) -> None:
        """Count what Telegram took: how fast from the call's arrival, or from when the plan made the alert due."""
        match waiting.entry.outgoing:
            case Alert(received_at=received_at):
                self._metrics.counts.alerts_repeated += waiting.may_repeat
                due_at = self._policy.due_at(subscriber, received_at)
                self._metrics.sent(due_at, waiting.handed_at or now, now)
            case Digest():
                self._metrics.counts.digests_sent += 1
            case Envelope():
                self._tally([waiting], "late" if waiting.verdict.is_late else "sent")

    def _tally(self, batch: Sequence[QueuedMessage], outcome: str) -> int:
        """Count by kind what is about no calls; return how many of the batch are alerts.

        A digest is neither: its calls were counted when they were put aside for it.
        """
        others = [waiting.kind for waiting in batch if not self._kinds.tells_calls(waiting.entry.outgoing)]
        self._metrics.counts.messages.update((kind, outcome) for kind in others)
        return sum(isinstance(waiting.entry.outgoing, Alert) for waiting in batch)


def _sent_records(waiting: QueuedMessage, receipt: Receipt, now: datetime, together: int) -> list[DeliveryRecord]:
    return [
        replace(
            record,
            status="merged" if together > 1 else "sent",
            message_id=receipt.message_id,
            chat_id=receipt.chat_id,
            sent_at=now,
            latency_s=waiting.speed_s,
            may_repeat=waiting.may_repeat,
        )
        for record in records_of(waiting.entry)
    ]


def _settle(batch: Sequence[QueuedMessage]) -> None:
    for waiting in batch:
        waiting.settled = True


def _pause_s(error: DeliveryError, waiting: QueuedMessage) -> float:
    # After a flood refusal the limiter keeps the chat closed for as long as Telegram said; the others have been
    # answered, and the next attempt goes elsewhere or is another message.
    if isinstance(error, FloodError | ChatMigratedError | RecipientGoneError | MessageRefusedError):
        return 0.0
    return min(MAX_BACKOFF_S, max(FIRST_BACKOFF_S, waiting.pause_s * 2))


def _without_topic(preferences: Preferences) -> Preferences:
    chosen = preferences.destination
    return preferences if chosen is None else replace(preferences, destination=replace(chosen, thread_id=None))
