"""The kind of message `outcome`: the card of an alert, once more, with a line that says what became of the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.policy import Rules
from domain.filters.shown import shown_figure
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import MessageRefusedError
from services.cards.names import Names
from services.cards.pieces import span_said
from services.claims.outbox import Outbox
from services.completing.later_figures import LaterFigures
from services.completing.sent_cards import alert_behind, made_again
from services.delivery.composing import Composed, Composer
from services.delivery.digests import read_call
from services.delivery.kinds import Kind
from services.delivery.sending import ChatTarget
from services.delivery.turns import QueuedMessage
from services.tracking.records.settled import KIND, OutcomeNotice
from texts.markup import Html

RULES: Final = Rules(needs_plan=False, heeds_wishes=False)
"""An edit disturbs nobody, and what was sent stays theirs."""
_NO_PEAK: Final = 1.005
"""Shown with two digits it would be 1x."""


class OutcomeComposer(Composer):
    def __init__(self, *, outbox: Outbox, later: LaterFigures, names: Names, venues: Venues = NO_VENUES) -> None:
        self._venues = venues
        self._outbox = outbox
        self._later = later
        self._names = names
        self._texts = names.texts

    def row(self) -> Kind:
        return Kind(name=KIND, lane=Lane.REPORT, rules=RULES, composer=self, payload=OutcomeNotice, place=_place)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        """Make the card of the call as it was when it passed."""
        notice = replace(waiting.payload_as(OutcomeNotice), user_id=subscriber.user_id)
        call = read_call(await self._outbox.load_call(alert_behind(notice)), notice.call_id)
        if call is None:
            raise MessageRefusedError("the stored call is gone")
        if "later" not in subscriber.preferences.card.hidden:
            call = await self._later.on(call)
        outcome = self._line(notice, subscriber.language)
        waiting.message = made_again(self._names, notice, call, subscriber, outcome=outcome, venues=self._venues)

    def is_ready(self, waiting: QueuedMessage) -> bool:
        return waiting.message is not None

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        del subscriber
        if together[0].message is None:
            raise ValueError("an outcome that was not prepared")
        return Composed(together[0].message, (together[0],))

    def _line(self, notice: OutcomeNotice, language: str) -> Html:
        peak = self._peak(notice, language)
        if notice.ending is None:
            return self._texts.render("card.outcome_open", language, peak=peak)
        if notice.ending == "age":
            return self._texts.render("card.outcome_ended", language, peak=peak)
        why = self._texts.plain(f"value.died.{notice.ending}", language)
        return self._texts.render("card.outcome_died", language, peak=peak, why=why)

    def _peak(self, notice: OutcomeNotice, language: str) -> Html:
        value = shown_figure(notice.multiple, "multiple")
        if value is None or notice.multiple < _NO_PEAK:
            return self._texts.render("card.outcome_no_peak", language)
        if notice.at_least:
            value = self._texts.plain("value.at_least", language, value=value)
        after = span_said(self._texts, language, "value.after", notice.after_s)
        return self._texts.render("card.outcome_peak", language, value=value, after=after)


def _place(waiting: QueuedMessage) -> ChatTarget:
    return ChatTarget(waiting.payload_as(OutcomeNotice).chat_id)
