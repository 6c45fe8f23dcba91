"""The kind of message `watch`: it has come to what somebody watches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from domain.buttons.cards import WatchToken
from domain.calls.addresses import MAX_ADDRESS_LENGTH
from domain.calls.links import chart_url
from domain.delivery.messages import Button, Message
from domain.delivery.policy import Rules
from domain.filters.numbers import show_value
from domain.filters.shown import show_price, shown_figure
from domain.subscribers.subscriber import Subscriber
from domain.watches.conditions import Condition, Subject, show_multiple
from domain.watches.crossing import rearms_at
from managers.telegram.rate_limiter import Lane
from services.cards.pieces import readable
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from services.watches.telling import KIND, WatchNotice
from texts.markup import Html, join
from texts.renderer import Texts

FRESH_FOR: Final = timedelta(minutes=2)
"""Older, and it says so: the price may have gone by now."""
_TOGETHER: Final = 10


class WatchComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        rules = Rules(needs_plan=False, outlasts_snooze=True, fresh_for=FRESH_FOR, when_stale="mark")
        return Kind(name=KIND, lane=Lane.FOLLOW_UP, rules=rules, composer=self, payload=WatchNotice, merges=_TOGETHER)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        blocks = [self._block(one, subscriber.language) for one in together]
        keyboard = self._keyboard(together[0].payload_as(WatchNotice), subscriber.language)
        message = Message(html=str(join("\n\n", blocks)), keyboard=keyboard if len(together) == 1 else ())
        return Composed(message, tuple(together))

    def _block(self, waiting: QueuedMessage, language: str) -> Html:
        notice = waiting.payload_as(WatchNotice)
        unknown = self._texts.plain("digest.unknown", language)
        lines = [
            self._texts.render(
                "watch.met",
                language,
                name=readable(notice.name) or notice.token_address,
                condition=condition_text(self._texts, language, notice.condition),
                price=show_price(notice.price_usd) or unknown,
                market_cap=shown_figure(notice.market_cap_usd, "usd") or unknown,
                after=shown_figure(round(notice.after_s), "duration") or unknown,
                address=notice.token_address,
            ),
            *self._remarks(waiting, notice, language),
        ]
        return join("\n", lines)

    def _remarks(self, waiting: QueuedMessage, notice: WatchNotice, language: str) -> list[Html]:
        remarks = [self._next(notice, language)]
        if notice.late_s is not None:
            value = shown_figure(notice.late_s, "duration")
            remarks.append(self._texts.render("milestone.late", language, value=value))
        if notice.held_s is not None:
            value = shown_figure(round(notice.held_s), "duration")
            remarks.append(self._texts.render("watch.held", language, value=value))
        elif notice.late_s is None and waiting.verdict.is_late:
            remarks.append(self._texts.render("milestone.told_late", language))
        if waiting.may_repeat:
            remarks.append(self._texts.render("card.may_repeat", language))
        return remarks

    def _next(self, notice: WatchNotice, language: str) -> Html:
        if not notice.condition.each_time or notice.ended:
            return self._texts.render("watch.ended", language)
        return self._texts.render("watch.goes_on", language, level=_next_level(notice))

    def _keyboard(self, notice: WatchNotice, language: str) -> tuple[tuple[Button, ...], ...]:
        address = notice.token_address
        if len(address) > MAX_ADDRESS_LENGTH:
            return ()
        chart = Button(text=self._texts.plain("button.chart", language), url=chart_url(address))
        again = Button(text=self._texts.plain("button.watch", language), data=WatchToken(address).pack())
        return ((chart, again),)


def condition_text(texts: Texts, language: str, condition: Condition) -> str:
    """`market cap above $1M`, `2x`: as it stands in a sentence."""
    if condition.subject == "multiple":
        return show_multiple(condition.value)
    shown = show_level(condition.subject, condition.value)
    return texts.plain(f"watch.{condition.subject}_{condition.side}", language, value=shown)


def show_level(subject: Subject, value: float) -> str:
    """A price as cards show it, a market cap exactly as it was typed."""
    return (show_price(value) if subject != "market_cap" else None) or show_value(value, "usd")


def _next_level(notice: WatchNotice) -> str:
    """The price, or market cap, from which on it can come to that again."""
    condition, base = notice.condition, notice.base_usd
    value = condition.value * base if condition.subject == "multiple" and base is not None else condition.value
    return show_level(condition.subject, _short(rearms_at(condition.side, value)))


def _short(value: float) -> float:
    return float(f"{value:.3g}")
