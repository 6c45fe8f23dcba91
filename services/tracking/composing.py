"""The kind of message `milestone`: a reply to the message that told of the call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.filters.shown import show_price, shown_figure
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from services.cards.pieces import readable, span_said
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.sending import target_of
from services.delivery.turns import QueuedMessage
from services.tracking.fan_out import KIND, MilestoneNotice
from texts.markup import Html, join
from texts.renderer import Texts

FRESH_FOR: Final = timedelta(minutes=2)
"""Older, and it says so: the price may have gone by now."""
_TOGETHER: Final = 10
_BEYOND: Final = 1.1
"""So many times its rung, and the message says how many times the call it is."""


class MilestoneComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        rules = Rules(fresh_for=FRESH_FOR, when_stale="mark")
        return Kind(
            name=KIND,
            lane=Lane.FOLLOW_UP,
            rules=rules,
            composer=self,
            payload=MilestoneNotice,
            merges=_TOGETHER,
            to_destination=True,
        )

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        first = together[0].payload_as(MilestoneNotice)
        batch = [one for one in together if one.payload_as(MilestoneNotice).call_id == first.call_id]
        waiting = max(batch, key=lambda one: one.payload_as(MilestoneNotice).rung)
        notice = waiting.payload_as(MilestoneNotice)
        place = target_of(subscriber)
        lines = [self._line(notice, subscriber.language), *self._remarks(waiting, notice, subscriber.language)]
        reply_to = notice.message_id if notice.chat_id in {None, place.chat_id} else None
        silent = "milestone" in subscriber.preferences.silent
        quote = notice.token_address if reply_to and notice.of_several else ""
        message = Message(html=str(join("\n", lines)), reply_to=reply_to, quote=quote, silent=silent)
        return Composed(message, tuple(batch))

    def _line(self, notice: MilestoneNotice, language: str) -> Html:
        show = show_price if notice.measure == "price" else _show_cap
        unknown = self._texts.plain("digest.unknown", language)
        multiple = notice.now_usd / notice.then_usd if notice.then_usd else 0.0
        return self._texts.render(
            "milestone.beyond" if multiple >= notice.rung * _BEYOND else "milestone.reached",
            language,
            rung=f"{notice.rung:g}",
            name=readable(notice.name) or notice.token_address,
            then=show(notice.then_usd) or unknown,
            now=show(notice.now_usd) or unknown,
            multiple=shown_figure(multiple, "multiple"),
            took=span_said(self._texts, language, "value.in", notice.after_s),
        )

    def _remarks(self, waiting: QueuedMessage, notice: MilestoneNotice, language: str) -> list[Html]:
        remarks: list[Html] = []
        if notice.of_several and notice.channel:
            key = "milestone.of_digest" if notice.in_digest else "milestone.of_several"
            remarks.append(self._texts.render(key, language, channel=notice.channel))
        if notice.of_several:  # a digest shows one page at a time, and tokens may be named alike
            remarks.append(self._texts.render("card.address", language, address=notice.token_address))
        if notice.late_s is not None:
            value = shown_figure(notice.late_s, "duration")
            remarks.append(self._texts.render("milestone.late", language, value=value))
        elif waiting.verdict.is_late:
            remarks.append(self._texts.render("milestone.told_late", language))
        if waiting.may_repeat:
            remarks.append(self._texts.render("card.may_repeat", language))
        return remarks


def _show_cap(value: float) -> str | None:
    return shown_figure(value, "usd")
