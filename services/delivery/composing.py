"""What goes out in one message: one full card, several compact ones, or a digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call
from domain.delivery.messages import Media, Message
from domain.stored.alerts import Alert
from domain.subscribers.subscriber import MessageKind, Subscriber
from runtime.errors import MessageRefusedError
from runtime.retry import persistently
from services.claims.outbox import Outbox
from services.delivery.cards import MAX_CARDS, Shown, alert_card, merged_card
from services.delivery.digests import DigestWriter, read_call
from services.delivery.media import media_of
from services.delivery.sending import Place
from services.delivery.turns import Waiting
from texts.renderer import Texts

log = structlog.get_logger(__name__)


class Composed(Struct, frozen=True):
    message: Message
    batch: tuple[Waiting, ...]
    media: Media | None = None


class Composer:
    def __init__(self, *, outbox: Outbox, digests: DigestWriter, texts: Texts, clock: Callable[[], datetime]) -> None:
        self._outbox = outbox
        self._digests = digests
        self._texts = texts
        self._clock = clock

    async def load(self, alert: Alert) -> Call | None:
        """Return the call as it was when it passed; `None` when it is gone or cannot be read."""
        stored = await persistently(lambda: self._outbox.load_call(alert))
        return read_call(stored, alert.call_id)

    async def prepare(self, waiting: Waiting, subscriber: Subscriber) -> None:
        """Do what takes time before the turn comes: compose a digest."""
        if waiting.entry.alert.kind == "digest":
            waiting.digest = await self._digests.compose(
                waiting.entry.alert.held,
                language=subscriber.language,
                silent="digest" in subscriber.preferences.silent,
                may_repeat=waiting.may_repeat,
            )

    def is_ready(self, waiting: Waiting) -> bool:
        """Whether `prepare` has done all that is needed."""
        return waiting.entry.alert.kind == "alert" or waiting.digest is not None

    def message(self, sendable: Sequence[Waiting], subscriber: Subscriber, place: Place) -> Composed:
        """Compose the next message from what waits, oldest first. Raises `MessageRefusedError`."""
        first = sendable[0]
        try:
            if first.digest is not None:
                return Composed(first.digest, (first,))
            composed = self._merged(sendable, subscriber) or self._card(first, subscriber)
        except Exception as error:
            # A call that breaks the card must not break the sender again at every start.
            log.exception("card_failed", call_id=first.entry.alert.call_id)
            raise MessageRefusedError(f"card failed: {error!r}") from error
        return _without_own_buttons(composed) if place.chat_id != subscriber.chat_id else composed

    def text(self, key: str, language: str, **arguments: object) -> Message:
        return Message(html=str(self._texts.render(key, language, **arguments)))

    def _card(self, waiting: Waiting, subscriber: Subscriber) -> Composed:
        shown = self._shown(waiting, subscriber)
        card = subscriber.preferences.card
        message = alert_card(
            self._texts,
            call=shown.call,
            set_name=shown.set_name,
            latency_ms=shown.latency_ms,
            language=subscriber.language,
            may_repeat=shown.may_repeat,
            late_s=shown.late_s,
            card=card,
        )
        # A picture that may have arrived already is not tried again: the text is what matters.
        wanted = not card.compact and "image" not in card.hidden and not waiting.unknown
        media = media_of(shown.call.token) if wanted else None
        return Composed(replace(message, silent=_is_silent([waiting], subscriber)), (waiting,), media)

    def _merged(self, sendable: Sequence[Waiting], subscriber: Subscriber) -> Composed | None:
        """Put what waits into one message; `None` where there is only one, or a card among them cannot be made."""
        together = list(takewhile(lambda w: w.entry.alert.kind == "alert" and not w.alone, sendable[:MAX_CARDS]))
        try:
            return self._cards(together, subscriber) if len(together) > 1 else None
        except Exception:
            # Each is made by itself then, and only the one that cannot be is given up.
            log.exception("merge_failed", call_ids=[waiting.entry.alert.call_id for waiting in together])
            return None

    def _cards(self, together: Sequence[Waiting], subscriber: Subscriber) -> Composed:
        shown = [self._shown(waiting, subscriber) for waiting in together]
        message, count = merged_card(self._texts, shown, language=subscriber.language, card=subscriber.preferences.card)
        if count == 1:
            return self._card(together[0], subscriber)
        batch = tuple(together[:count])
        return Composed(replace(message, silent=_is_silent(batch, subscriber)), batch)

    def _shown(self, waiting: Waiting, subscriber: Subscriber) -> Shown:
        if waiting.call is None:
            raise ValueError("an alert without its call")
        filter_set = subscriber.filter_set(waiting.entry.alert.set_number)
        return Shown(
            call=waiting.call,
            set_name=filter_set.name if filter_set else None,
            latency_ms=(self._clock() - waiting.call.received_at).total_seconds() * 1000,
            may_repeat=waiting.may_repeat,
            late_s=waiting.entry.alert.late_s,
        )


def _is_silent(batch: Sequence[Waiting], subscriber: Subscriber) -> bool:
    """Whether every alert in the message is of a kind that comes without a sound."""
    kinds: set[MessageKind] = {"alert" if waiting.entry.alert.late_s is None else "late" for waiting in batch}
    return kinds <= subscriber.preferences.silent


def _without_own_buttons(composed: Composed) -> Composed:
    """Leave out what only answers in the private chat: in a group anybody could tap it."""
    rows = (tuple(b for b in row if b.data is None) for row in composed.message.keyboard)
    keyboard = tuple(row for row in rows if row)
    return Composed(replace(composed.message, keyboard=keyboard), composed.batch, composed.media)
