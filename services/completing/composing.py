"""The kind of message `figures`: the card of an alert, once more, with what became known since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.policy import Rules
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import MessageRefusedError
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.completing.completing import KIND, FiguresNotice
from services.completing.later_figures import completed
from services.completing.sent_cards import alert_behind, made_again
from services.delivery.composing import Composed, Composer
from services.delivery.digests import read_call
from services.delivery.kinds import Kind
from services.delivery.sending import ChatTarget
from services.delivery.turns import QueuedMessage

RULES: Final = Rules(needs_plan=False, heeds_wishes=False, fresh_for=timedelta(minutes=10), when_stale="drop")
"""An edit disturbs nobody; late, nobody needs it."""


class FiguresComposer(Composer):
    def __init__(self, *, outbox: Outbox, names: Names, venues: Venues = NO_VENUES) -> None:
        self._venues = venues
        self._outbox = outbox
        self._names = names

    def row(self) -> Kind:
        return Kind(name=KIND, lane=Lane.FOLLOW_UP, rules=RULES, composer=self, payload=FiguresNotice, place=_place)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        """Make the card with all that is known."""
        notice = waiting.payload_as(FiguresNotice)
        call = read_call(await self._outbox.load_call(alert_behind(notice)), notice.call_id)
        if call is None:
            raise MessageRefusedError("the stored call is gone")
        waiting.message = made_again(
            self._names, notice, completed(call, notice.token), subscriber, venues=self._venues
        )

    def is_ready(self, waiting: QueuedMessage) -> bool:
        return waiting.message is not None

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        del subscriber
        if together[0].message is None:
            raise ValueError("a card that was not prepared")
        return Composed(together[0].message, (together[0],))


def _place(waiting: QueuedMessage) -> ChatTarget:
    return ChatTarget(waiting.payload_as(FiguresNotice).chat_id)
