"""The alert card: one call, as its reader sees it; and several of them in one message.

What the source did not say is left out, or said to be unknown where it would be missed; nothing is estimated. Names
and titles are attacker-controlled: the renderer escapes and bounds them, so the card always fits one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.calls.events import Call
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.messages import Button, Message
from domain.filters.shown import shown_figure
from domain.subscribers.subscriber import Card, CardButton
from services.cards.buttons import card_keyboard, row_of_buttons
from services.cards.pieces import Pieces, age_of, block, in_row
from texts.markup import MAX_TEXT_UTF16, Html, join, to_plain, utf16_length
from texts.renderer import Texts

MAX_CARDS: Final = 10
"""In one message."""
LATE_FROM_S: Final = 60.0
"""A call that reached us so long after it was made says so. Feeds need seconds; more is a gap or a slow source."""
_MERGED_BUTTONS: Final[tuple[CardButton, ...]] = ("copy", "chart", "why")
"""One row per card has room for these."""
_DEFAULT_CARD: Final = Card()


class Shown(Struct, frozen=True, kw_only=True):
    """One call and what its reader is told about it besides."""

    call: Call
    set_names: Sequence[str] = ()
    """The filter sets that passed (a preset's key is shown by its label)."""
    speed_s: float | None = None
    """From the call's arrival here until the alert was handed to Telegram."""
    may_repeat: bool = False
    late_s: float | None = None
    """It passed so long after the call."""
    decided_at: datetime | None = None
    """Since when its figures grow old; `None`: since the newest of them."""
    outcome: Html = Html()
    """What became of it, once that is known."""


def alert_card(
    texts: Texts,
    *,
    call: Call,
    set_names: Sequence[str],
    speed_s: float | None,
    language: str,
    may_repeat: bool,
    late_s: float | None = None,
    card: Card = _DEFAULT_CARD,
) -> Message:
    """Build the message for one call, full or compact as its reader wants it."""
    shown = Shown(call=call, set_names=set_names, speed_s=speed_s, may_repeat=may_repeat, late_s=late_s)
    return card_of(texts, shown, language=language, card=card)


def card_of(texts: Texts, shown: Shown, *, language: str, card: Card, venues: Venues = NO_VENUES) -> Message:
    """Build the message for what is known of one call."""
    pieces = _Card(texts, language, card.hidden)
    html = pieces.compact(shown) if card.compact else pieces.full(shown)
    return Message(html=str(html), keyboard=card_keyboard(texts, shown.call, language, card.buttons, venues))


def merged_card(texts: Texts, shown: Sequence[Shown], *, language: str, card: Card) -> tuple[Message, int]:
    """Put compact cards into one message, in order, as many as fit; returns how many (at least one)."""
    pieces = _Card(texts, language, card.hidden)
    blocks: list[Html] = []
    rows: list[tuple[Button, ...]] = []
    left = MAX_TEXT_UTF16
    for one in shown[:MAX_CARDS]:
        block = pieces.text("card.numbered", number=len(blocks) + 1, card=pieces.compact(one))
        length = utf16_length(to_plain(block)) + len("\n\n")
        if blocks and length > left:
            break
        left -= length
        blocks.append(block)
        buttons: tuple[CardButton, ...] = tuple(name for name in _MERGED_BUTTONS if name in card.buttons)
        row = row_of_buttons(texts, one.call, language, buttons, number=len(blocks))
        rows += [row] if row else []
    return Message(html=str(join("\n\n", blocks)), keyboard=tuple(rows)), len(blocks)


class _Card(Pieces):
    """Puts the pieces together for one reader."""

    def full(self, shown: Shown) -> Html:
        token = shown.call.token
        blocks = (
            block(
                self.title(token),
                self.warning(token),
                self.chain(token),
                self.shows("market_cap") and self.market_cap(token),
            ),
            # Clients set the figures apart by themselves, so no empty line stands around them.
            block(
                self.text("card.address", address=token.address),
                self.figures(token, shown.call.called_at),
                self.shows("links") and self.links(token),
                self.shows("security") and self.security(token),
                self.shows("channel") and self.channel(shown.call),
                self.shows("channel") and self.record(shown.call),
                self.callers(shown.call),
                self.sources(token, shown.decided_at),
                self.disputed(token),
            ),
            block(self.footer(shown.set_names, self.speed(shown)), *self.remarks(shown)),
        )
        return join("\n\n", (block for block in blocks if block))

    def compact(self, shown: Shown) -> Html:
        """Three lines or so: many of them are read at a glance."""
        call, token = shown.call, shown.call.token
        figures = (
            self.shows("market_cap") and self.market_cap(token),
            self.shows("liquidity") and self.figure("card.short_liquidity", shown_figure(token.liquidity_usd, "usd")),
            self.shows("age") and self.figure("card.short_age", age_of(call)),
            self.shows("holders") and self.figure("card.short_holders", shown_figure(token.holders, "count")),
        )
        return block(
            self.title(token),
            self.warning(token),
            in_row(self.chain(token), *figures),
            self.text("card.address", address=token.address),
            self.shows("channel") and in_row(self.channel(call), self.callers(call)),
            self.shows("channel") and self.record(call),
            self.disputed(token),
            self.footer(shown.set_names, self.speed(shown)),
            *self.remarks(shown),
        )

    def speed(self, shown: Shown) -> float | None:
        return shown.speed_s if self.shows("latency") and shown.late_s is None else None

    def remarks(self, shown: Shown) -> Iterator[Html]:
        late, delay = shown_figure(shown.late_s, "duration"), reached_late(shown.call)
        if late:
            yield self.figure("card.late", late)
        elif delay:
            yield self.figure("card.reached_late", delay)
        if shown.may_repeat:
            yield self.text("card.may_repeat")
        if shown.outcome:
            yield shown.outcome


def reached_late(call: Call) -> str | None:
    """Show how long after it was made a call reached us; `None` where that is nothing out of the ordinary."""
    delay_s = (call.received_at - call.called_at).total_seconds()
    return shown_figure(round(delay_s), "duration") if delay_s > LATE_FROM_S else None
