"""The kind of message `broadcast`: as it was written, and below it how to get no more of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from domain.buttons.broadcasts import NoNews
from domain.delivery.messages import Button, Message
from domain.delivery.policy import Rules
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from texts.markup import Html, join
from texts.renderer import Texts

BROADCAST: Final = "broadcast"


class News(Struct, frozen=True, kw_only=True):
    """It travels whole: nobody has to ask for it when the turn comes."""

    html: str
    """Safe Telegram HTML (`services.broadcasts.markup`)."""


class NewsComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        """Who has no plan may hear of it; at night, and to who has snoozed, it comes without a sound."""
        rules = Rules(needs_plan=False, outlasts_snooze=True)
        return Kind(name=BROADCAST, lane=Lane.BROADCAST, rules=rules, composer=self, payload=News)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        waiting = together[0]
        html = Html(waiting.payload_as(News).html)
        return Composed(news_message(self._texts, html, subscriber.language, may_repeat=waiting.may_repeat), (waiting,))


def news_message(texts: Texts, html: Html, language: str, *, may_repeat: bool = False) -> Message:
    """A broadcast as people get it."""
    parts = (html, texts.render("news.repeated", language)) if may_repeat else (html,)
    button = Button(text=texts.plain("button.no_news", language), data=NoNews().pack())
    return Message(html=str(join("\n\n", parts)), keyboard=((button,),))
