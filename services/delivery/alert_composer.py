"""What alerts look like in the chat: one full card, or several compact ones in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from msgspec.structs import replace

from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.policy import ALERTS
from domain.subscribers.subscriber import MessageKind, Subscriber
from managers.telegram.rate_limiter import Lane
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.delivery.cards import MAX_CARDS, Shown, card_of, merged_card
from services.delivery.composing import Composed, Composer
from services.delivery.digests import read_call
from services.delivery.kinds import Kind
from services.delivery.media import media_of
from services.delivery.turns import QueuedMessage

log = structlog.get_logger(__name__)


class AlertComposer(Composer):
    def __init__(
        self, *, outbox: Outbox, names: Names, clock: Callable[[], datetime], venues: Venues = NO_VENUES
    ) -> None:
        self._venues = venues
        self._outbox = outbox
        self._names = names
        self._texts = names.texts
        self._clock = clock

    def row(self) -> Kind:
        return Kind(
            name="alert",
            lane=Lane.ALERT,
            rules=ALERTS,
            composer=self,
            merges=MAX_CARDS,
            tells_calls=True,
            to_destination=True,
        )

    async def read(self, waiting: QueuedMessage) -> str | None:
        """Read the call as it was when it passed."""
        if waiting.call is None:
            alert = waiting.entry.alert
            waiting.call = read_call(await self._outbox.load_call(alert), alert.call_id)
        return "the stored call is gone" if waiting.call is None else None

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        return self._merged(together, subscriber) or self._card(together[0], subscriber)

    def _card(self, waiting: QueuedMessage, subscriber: Subscriber) -> Composed:
        shown = self._shown(waiting, subscriber)
        card = subscriber.preferences.card
        message = card_of(self._texts, shown, language=subscriber.language, card=card, venues=self._venues)
        # A picture that may have arrived already is not tried again: the text is what matters.
        wanted = not card.compact and "image" not in card.hidden and not waiting.unknown
        media = media_of(shown.call.token) if wanted else None
        return Composed(replace(message, silent=_is_silent([waiting], subscriber)), (waiting,), media)

    def _merged(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed | None:
        """Put what waits into one message; `None` where there is only one, or a card among them cannot be made."""
        try:
            return self._cards(together, subscriber) if len(together) > 1 else None
        except Exception:
            # Each is made by itself then, and only the one that cannot be is given up.
            log.exception("merge_failed", call_ids=[waiting.entry.alert.call_id for waiting in together])
            return None

    def _cards(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        shown = [self._shown(waiting, subscriber) for waiting in together]
        message, count = merged_card(self._texts, shown, language=subscriber.language, card=subscriber.preferences.card)
        if count == 1:
            return self._card(together[0], subscriber)
        batch = tuple(together[:count])
        return Composed(replace(message, silent=_is_silent(batch, subscriber)), batch)

    def _shown(self, waiting: QueuedMessage, subscriber: Subscriber) -> Shown:
        if waiting.call is None:
            raise ValueError("an alert without its call")
        alert, waiting.handed_at = waiting.entry.alert, self._clock()
        return Shown(
            call=waiting.call,
            set_names=self._names.of_passed(subscriber, (alert.set_number, *alert.also)),
            speed_s=waiting.speed_s,
            may_repeat=waiting.may_repeat,
            late_s=alert.late_s,
            decided_at=alert.decided_at,
        )


def _is_silent(batch: Sequence[QueuedMessage], subscriber: Subscriber) -> bool:
    """Whether every alert in the message is of a kind that comes without a sound."""
    kinds: set[MessageKind] = {"alert" if waiting.entry.alert.late_s is None else "late" for waiting in batch}
    return kinds <= subscriber.preferences.silent
