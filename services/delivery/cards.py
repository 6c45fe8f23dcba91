"""The alert card: one call, as its reader sees it; and several of them in one message.

What the source did not say is left out, or said to be unknown where it would be missed; nothing is estimated. Names
and titles are attacker-controlled: the renderer escapes and bounds them, so the card always fits one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.addresses import MAX_ADDRESS_LENGTH, call_tag, is_address
from domain.calls.events import Call, Chain, Channel, Token
from domain.calls.links import chart_url, explorer_url, post_url, token_links
from domain.delivery.messages import Button, Message
from domain.filters.shown import Span, show_change, show_price, show_volume, shown_figure, shown_speed
from domain.reading.look_alikes import reads_as
from domain.subscribers.subscriber import Card, CardButton, CardField
from texts.markup import MAX_TEXT_UTF16, Html, columns, join, link, to_plain, utf16_length
from texts.renderer import DEFAULT_LIMIT_UTF16, Texts
from texts.sanitise import inert

MAX_CARDS: Final = 10
"""In one message."""

_ADDRESS = re.compile(r"[A-Za-z0-9]{1,64}")
"""What can safely be put on the clipboard and into a link. Wider than base58, so that no real token is refused."""
LATE_FROM_S: Final = 60.0
"""A call that reached us so long after it was made says so. Feeds need seconds; more is a gap or a slow source."""
_MERGED_BUTTONS: Final[tuple[CardButton, ...]] = ("copy", "chart", "why")
"""One row per card has room for these."""
_DEFAULT_CARD: Final = Card()
_PER_ROW: Final = 3
_VOLUMES: Final[dict[Span, str]] = {"5m": "card.volume_5m", "1h": "card.volume_1h", "24h": "card.volume_24h"}
_CHANGES: Final[dict[Span, str]] = {"5m": "card.change_5m", "1h": "card.change_1h", "24h": "card.change_24h"}
_LINKS: Final = {"website": "card.link_website", "x": "card.link_x", "telegram": "card.link_telegram"}
_CHAINS: Final[dict[Chain, str]] = {"ethereum": "chain.ethereum", "bsc": "chain.bsc", "base": "chain.base"}
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
"""Within a figure: no line ends between a number and its unit."""


class Shown(Struct, frozen=True, kw_only=True):
    """One call and what its reader is told about it besides."""

    call: Call
    set_name: str | None = None
    """The filter set that passed (a preset's key is shown by its label)."""
    speed_s: float | None = None
    """From the call's arrival here until the alert was handed to Telegram."""
    may_repeat: bool = False
    late_s: float | None = None
    """It passed so long after the call."""
    outcome: Html = Html()
    """What became of it, once that is known."""


def alert_card(
    texts: Texts,
    *,
    call: Call,
    set_name: str | None,
    speed_s: float | None,
    language: str,
    may_repeat: bool,
    late_s: float | None = None,
    card: Card = _DEFAULT_CARD,
) -> Message:
    """Build the message for one call, full or compact as its reader wants it."""
    shown = Shown(call=call, set_name=set_name, speed_s=speed_s, may_repeat=may_repeat, late_s=late_s)
    return card_of(texts, shown, language=language, card=card)


def card_of(texts: Texts, shown: Shown, *, language: str, card: Card) -> Message:
    """Build the message for what is known of one call."""
    pieces = _Card(texts, language, card.hidden)
    html = pieces.compact(shown) if card.compact else pieces.full(shown)
    return Message(html=str(html), keyboard=card_keyboard(texts, shown.call, language, card.buttons))


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
        row = _row_of_buttons(texts, one.call, language, buttons, number=len(blocks))
        rows += [row] if row else []
    return Message(html=str(join("\n\n", blocks)), keyboard=tuple(rows)), len(blocks)


class _Card:
    """Renders the pieces in one language. A figure without a value has no piece."""

    def __init__(self, texts: Texts, language: str, hidden: frozenset[CardField] = frozenset()) -> None:
        self._texts = texts
        self._language = language
        self._hidden = hidden

    def full(self, shown: Shown) -> Html:
        token, channel = shown.call.token, shown.call.channel
        blocks = (
            _block(
                self.title(token),
                self.warning(token),
                self.chain(token),
                self.shows("market_cap") and self.market_cap(token),
            ),
            # Clients set the figures apart by themselves, so no empty line stands around them.
            _block(
                self.text("card.address", address=token.address),
                self.figures(shown.call),
                self.shows("links") and self.links(token),
                self.shows("security") and self.security(token),
                self.shows("channel") and self.channel(shown.call),
                self.shows("channel") and self.record(channel),
                self.callers(shown.call),
            ),
            _block(self.footer(shown.set_name, self.speed(shown)), *self.remarks(shown)),
        )
        return join("\n\n", (block for block in blocks if block))

    def compact(self, shown: Shown) -> Html:
        """Three lines or so: many of them are read at a glance."""
        call, token = shown.call, shown.call.token
        figures = (
            self.shows("market_cap") and self.market_cap(token),
            self.shows("liquidity") and self.figure("card.short_liquidity", shown_figure(token.liquidity_usd, "usd")),
            self.shows("age") and self.figure("card.short_age", _age(call)),
            self.shows("holders") and self.figure("card.short_holders", shown_figure(token.holders, "count")),
        )
        return _block(
            self.title(token),
            self.warning(token),
            _row(self.chain(token), *figures),
            self.text("card.address", address=token.address),
            self.shows("channel") and _row(self.channel(call), self.callers(call)),
            self.shows("channel") and self.record(call.channel),
            self.footer(shown.set_name, self.speed(shown)),
            *self.remarks(shown),
        )

    def shows(self, field: CardField) -> bool:
        return field not in self._hidden

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

    def callers(self, call: Call) -> Html:
        others = (call.calling_channels or 0) - 1
        if others < 1:
            return Html()
        return self.figure("card.one_caller" if others == 1 else "card.callers", shown_figure(others, "count"))

    def security(self, token: Token) -> Html:
        """Show what is known in one line of marks; nothing known, no line."""
        flags = (("mint", token.mint_revoked), ("freeze", token.freeze_revoked))
        shares = (
            ("lp", token.lp_locked_percent),
            ("top10", token.top10_percent),
            ("developer", token.developer_percent),
            ("snipers", token.snipers_percent),
        )
        pieces = (
            *(self.text(f"card.{name}_{'safe' if flag else 'open'}") for name, flag in flags if flag is not None),
            *(self.figure(f"card.{name}", shown_figure(share, "percent")) for name, share in shares),
        )
        return _row(*(Html(piece.replace(" ", _NO_BREAK)) for piece in pieces))

    def text(self, key: str, **arguments: object) -> Html:
        return self._texts.render(key, self._language, **arguments)

    def figure(self, key: str, value: str | None) -> Html:
        """Render a figure so that no line ends within it; nothing for none."""
        return (
            Html() if value is None else Html(self.text(key, value=value).replace(value, value.replace(" ", _NO_BREAK)))
        )

    def title(self, token: Token) -> Html:
        name, symbol = readable(token.name), readable(token.symbol)
        if name and symbol and name != symbol:
            return self.text("card.title", name=name, symbol=ticker(token))
        shown = name or symbol or self._texts.plain("card.unnamed", self._language)
        return self.text("card.title_short", name=shown)

    def warning(self, token: Token) -> Html:
        """Say that a name is not what it reads as: rules on words, too, see other letters."""
        reads = reads_as(token.name, token.symbol) or reads_as(token.symbol, token.name)
        return Html() if reads is None else self.text("card.look_alike", reads=reads)

    def chain(self, token: Token) -> Html:
        return chain_of(self._texts, token, self._language)

    def market_cap(self, token: Token) -> Html:
        known = self.figure("card.market_cap", shown_figure(token.market_cap_usd, "usd"))
        return known or self.text("card.market_cap_unknown")

    def figures(self, call: Call) -> Html:
        token = call.token
        given: tuple[tuple[CardField, str, str | None], ...] = (
            ("liquidity", "card.liquidity", shown_figure(token.liquidity_usd, "usd")),
            ("age", "card.age", _age(call)),
            ("holders", "card.holders", shown_figure(token.holders, "count")),
            ("price", "card.price", show_price(token.price_usd)),
            ("volume", *_over_time(_VOLUMES, show_volume(token))),
            ("change", *_over_time(_CHANGES, show_change(token))),
        )
        return columns(
            (self.text(name), self.figure("card.figure", value))
            for field, name, value in given
            if value is not None and self.shows(field)
        )

    def links(self, token: Token) -> Html:
        return _row(*(link(one.address, self.text(_LINKS[one.at], name=one.name)) for one in token_links(token)))

    def channel(self, call: Call) -> Html:
        """Name who called; the name leads to the post."""
        name = self.text("card.channel", title=readable(call.channel.title) or call.channel.id)
        post = post_url(call)
        return link(post, name) if post else name

    def record(self, channel: Channel) -> Html:
        if channel.record is None:
            return Html()
        return _row(
            self.figure("card.win_rate", shown_figure(channel.record.win_rate_percent, "percent")),
            self.figure("card.average", shown_figure(channel.record.average_multiple, "multiple")),
            self.figure("card.calls", shown_figure(channel.record.calls, "count")),
            self.figure("card.own_record", shown_figure(channel.record.own_tokens, "count")),
        )

    def footer(self, set_name: str | None, speed_s: float | None) -> Html:
        speed = self.figure("card.speed", shown_speed(speed_s))
        name = readable(set_name)
        if name is None:
            return speed
        if f"preset.{name}" in self._texts:
            name = self._texts.label("preset", name, self._language)
        return _row(self.text("card.set", name=name), speed)


def chain_of(texts: Texts, token: Token, language: str) -> Html:
    """Say where a token lives; most live on Solana, so that goes without saying."""
    key = _CHAINS.get(token.chain)
    return Html() if key is None else texts.render("card.chain", language, chain=texts.plain(key, language))


def readable(text: str | None) -> str | None:
    """Take a name made of nothing visible for no name."""
    return text if text and inert(text, DEFAULT_LIMIT_UTF16) else None


def ticker(token: Token) -> str | None:
    """Show a symbol as traders write it."""
    symbol = readable(token.symbol)
    return symbol and f"${symbol.removeprefix('$')}"


def chart_of(address: str, chain: Chain | None) -> str | None:
    """Where a token's chart is; `None` for what is no address."""
    return chart_url(address, chain) if _ADDRESS.fullmatch(address) else None


def _row(*pieces: Html | Literal[False]) -> Html:
    return join(" · ", (piece for piece in pieces if piece))


def _block(*lines: Html | Literal[False]) -> Html:
    """Put lines under each other. `False` stands for one that the reader does not want to see."""
    return join("\n", (line for line in lines if line))


def reached_late(call: Call) -> str | None:
    """Show how long after it was made a call reached us; `None` where that is nothing out of the ordinary."""
    delay_s = (call.received_at - call.called_at).total_seconds()
    return shown_figure(round(delay_s), "duration") if delay_s > LATE_FROM_S else None


def _over_time(names: Mapping[Span, str], figure: tuple[Span, str] | None) -> tuple[str, str | None]:
    return ("", None) if figure is None else (names[figure[0]], figure[1])


def _age(call: Call) -> str | None:
    created_at = call.token.created_at
    return None if created_at is None else shown_figure((call.called_at - created_at).total_seconds(), "duration")


def card_keyboard(
    texts: Texts, call: Call, language: str, chosen: tuple[CardButton, ...]
) -> tuple[tuple[Button, ...], ...]:
    """Build the buttons under the card of one call."""
    buttons = _row_of_buttons(texts, call, language, chosen)
    rows = (buttons[:_PER_ROW], buttons[_PER_ROW:])
    return tuple(row for row in rows if row)


def _row_of_buttons(
    texts: Texts, call: Call, language: str, chosen: tuple[CardButton, ...], number: int | None = None
) -> tuple[Button, ...]:
    """Build the chosen buttons; `number` tells the first one to which card of several they belong."""
    if not _ADDRESS.fullmatch(call.token.address):
        return ()
    buttons = (button for name in chosen if (button := _button(texts, call, language, name)))
    return tuple(
        replace(button, text=f"{number}. {button.text}") if number and index == 0 else button
        for index, button in enumerate(buttons)
    )


def _button(texts: Texts, call: Call, language: str, name: CardButton) -> Button | None:
    address, chain = call.token.address, call.token.chain
    text = texts.plain(f"button.{name}", language)
    match name:
        case "copy":
            return Button(text=text, copy=address)
        case "chart":
            return Button(text=text, url=chart_url(address, chain))
        case "explorer":
            return Button(text=text, url=explorer_url(address, chain))
        case "why" | "mute" | "watch" if len(address) > MAX_ADDRESS_LENGTH:
            return None  # no token of this chain, and more than a button can carry
        case "why":
            return Button(text=text, data=f"why:{address}:{call_tag(call.id)}")
        case "mute" | "watch":
            return Button(text=text, data=f"{name}:{address}") if is_address(address) else None
