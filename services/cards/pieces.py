"""The lines of a card, in one language. A figure without a value has no piece, and nothing is estimated.

Names and titles are attacker-controlled: the renderer escapes and bounds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain
from typing import Final, Literal

from domain.calls.events import Call, Chain, Token
from domain.calls.links import post_url, token_links
from domain.filters.shown import Span, show_change, show_price, show_volume, shown_figure, shown_speed
from domain.reading.look_alikes import reads_as
from domain.subscribers.subscriber import CardField
from services.cards.sources import Sources, shown_age
from texts.markup import Html, columns, join, link, to_plain, utf16_length
from texts.renderer import DEFAULT_LIMIT_UTF16, Texts
from texts.sanitise import inert

_DOT: Final = " · "
MAX_WIDTH: Final = 36
"""Letters of equal width that a phone shows in one line."""
TAXED_FROM_PERCENT: Final = 10.0
RISKY_FROM: Final = 70.0
"""From here on taxes and the risk score are marked: docs/figures.md."""
_VOLUMES: Final[dict[Span, str]] = {"5m": "card.volume_5m", "1h": "card.volume_1h", "24h": "card.volume_24h"}
_CHANGES: Final[dict[Span, str]] = {"5m": "card.change_5m", "1h": "card.change_1h", "24h": "card.change_24h"}
_LINKS: Final = {"website": "card.link_website", "x": "card.link_x", "telegram": "card.link_telegram"}
_CHAINS: Final[dict[Chain, str]] = {"ethereum": "chain.ethereum", "bsc": "chain.bsc", "base": "chain.base"}
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
"""Within a figure: no line ends between a number and its unit."""


class Pieces:
    """Renders the pieces in one language. A figure without a value has no piece."""

    def __init__(self, texts: Texts, language: str, hidden: frozenset[CardField] = frozenset()) -> None:
        self._texts = texts
        self._language = language
        self._hidden = hidden
        self._sources = Sources(texts, language)

    def shows(self, field: CardField) -> bool:
        return field not in self._hidden

    def callers(self, call: Call) -> Html:
        """Say how many channels called it, and who was first where that is known."""
        channels, first = call.calling_channels or 0, call.first_channel
        if channels <= 1:
            return Html()
        count = shown_figure(channels, "count") or ""
        if first is None:
            return self.figure("card.callers", count)
        cap = shown_figure(call.first_market_cap_usd, "usd")
        title = readable(first.title) or first.id
        is_this = first.id == call.channel.id
        if cap is None:
            return self.text("card.first_was_this" if is_this else "card.first_was", channels=count, title=title)
        key = "card.first_was_this_at" if is_this else "card.first_was_at"
        return self.text(key, channels=count, title=title, cap=cap)

    def sources(self, token: Token, at: datetime | None) -> Html:
        return self._sources.line(token, self._hidden, at) if self.shows("sources") else Html()

    def sources_now(self, token: Token, at: datetime) -> Html:
        """`sources`, for who looks a token up: market cap and security always stand on that card."""
        hidden = self._hidden - {"market_cap", "security"}
        return self._sources.looked_up(token, hidden, at) if self.shows("sources") else Html()

    def disputed(self, token: Token) -> Html:
        return self._sources.disputed(token) if self.shows("sources") else Html()

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
            self.risk(token),
            self.taxes(token),
            *(self.figure(f"card.{name}", shown_figure(share, "percent")) for name, share in shares),
        )
        return in_rows(Html(piece.replace(" ", _NO_BREAK)) for piece in pieces if piece)

    def risk(self, token: Token) -> Html:
        piece = self.figure("card.risk", shown_figure(token.risk_score, "score"))
        return self._warned(piece, is_bad=(token.risk_score or 0) >= RISKY_FROM)

    def taxes(self, token: Token) -> Html:
        """Show what is known of them: one that nobody knows is not 0."""
        is_bad = max(token.buy_tax_percent or 0, token.sell_tax_percent or 0) >= TAXED_FROM_PERCENT
        return self._warned(self._taxes(token), is_bad=is_bad)

    def _warned(self, piece: Html, *, is_bad: bool) -> Html:
        return self.text("card.warned", piece=piece) if piece and is_bad else piece

    def _taxes(self, token: Token) -> Html:
        buy, sell = shown_figure(token.buy_tax_percent, "percent"), shown_figure(token.sell_tax_percent, "percent")
        if buy is None or sell is None:
            return self.figure("card.buy_tax", buy) or self.figure("card.sell_tax", sell)
        return self.text("card.taxes", buy=buy, sell=sell)

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

    def figures(self, token: Token, at: datetime) -> Html:
        """Show the figures, two beside each other where a phone has room for that. `at`: when the token is so old."""
        given: tuple[tuple[CardField, str, str | None], ...] = (
            ("liquidity", "card.liquidity", shown_figure(token.liquidity_usd, "usd")),
            ("age", "card.age", _age(token, at)),
            ("price", "card.price", show_price(token.price_usd)),
            ("holders", "card.holders", shown_figure(token.holders, "count")),
            ("volume", *_over_time(_VOLUMES, show_volume(token))),
            ("change", *_over_time(_CHANGES, show_change(token))),
        )
        cells = [
            (self.text(name), self.figure("card.figure", value))
            for field, name, value in given
            if value is not None and self.shows(field)
        ]
        pairs = [tuple(chain(*cells[start : start + 2])) for start in range(0, len(cells), 2)]
        together = columns(pairs)
        return together if _widest(together) <= MAX_WIDTH else columns(cells)

    def links(self, token: Token) -> Html:
        return in_row(*(link(one.address, self.text(_LINKS[one.at], name=one.name)) for one in token_links(token)))

    def channel(self, call: Call) -> Html:
        """Name who called; the name leads to the post."""
        name = self.text("card.channel", title=readable(call.channel.title) or call.channel.id)
        post = post_url(call)
        return link(post, name) if post else name

    def record(self, call: Call) -> Html:
        record = call.channel.record
        if record is None:
            return Html()
        return in_row(
            self.figure("card.win_rate", shown_figure(record.win_rate_percent, "percent")),
            self.figure("card.average", shown_figure(record.average_multiple, "multiple")),
            self.figure("card.calls", shown_figure(record.calls, "count")),
            self.figure("card.own_record", shown_figure(record.own_tokens, "count")),
            self.figure("card.as_old", record.as_of and shown_age((call.received_at - record.as_of).total_seconds())),
        )

    def footer(self, set_names: Iterable[str], speed_s: float | None) -> Html:
        return in_row(self._sets(set_names), self.figure("card.speed", shown_speed(speed_s)))

    def _sets(self, set_names: Iterable[str]) -> Html:
        names = list(filter(readable, set_names))
        if not names:
            return Html()
        first, *others = names
        if not others:
            return self.text("card.set", name=first)
        second, *more = others
        key = "card.more_sets" if more else "card.sets"
        return self.text(key, first=first, second=second, more=len(more))


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


def in_row(*pieces: Html | Literal[False]) -> Html:
    return join(_DOT, (piece for piece in pieces if piece))


def in_rows(pieces: Iterable[Html]) -> Html:
    """Put pieces beside each other, as many in a line as a phone shows: none begins or ends with a dot."""
    rows: list[list[Html]] = []
    width = 0
    for piece in pieces:
        needs = utf16_length(to_plain(piece))
        if rows and width + len(_DOT) + needs <= MAX_WIDTH:
            rows[-1].append(piece)
            width += len(_DOT) + needs
        else:
            rows.append([piece])
            width = needs
    return join("\n", (join(_DOT, row) for row in rows))


def block(*lines: Html | Literal[False]) -> Html:
    """Put lines under each other. `False` stands for one that the reader does not want to see."""
    return join("\n", (line for line in lines if line))


def _over_time(names: Mapping[Span, str], figure: tuple[Span, str] | None) -> tuple[str, str | None]:
    return ("", None) if figure is None else (names[figure[0]], figure[1])


def age_of(call: Call) -> str | None:
    return _age(call.token, call.called_at)


def _age(token: Token, at: datetime) -> str | None:
    created_at = token.created_at
    return None if created_at is None else shown_figure((at - created_at).total_seconds(), "duration")


def _widest(block: Html) -> int:
    return max(map(len, to_plain(block).split("\n")))


def span_said(texts: Texts, language: str, key: Literal["value.in", "value.after"], seconds: float) -> str:
    """Say how long something took, `in 5m` or `after 5m`; what took less than a second was so at once."""
    if seconds < 1:
        return texts.plain("value.at_once", language)
    return texts.plain(
        key, language, after=shown_figure(seconds, "duration") or texts.plain("digest.unknown", language)
    )
