"""The alert card: one call, as its reader sees it.

What the source did not say is left out, or said to be unknown where it would be missed; nothing is estimated. Names
and titles are attacker-controlled: the renderer escapes and bounds them, so the card always fits one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from domain.calls import Call, Channel, Token
from domain.filters import Unit
from domain.messages import Button, Message
from domain.numbers import show_short
from texts.markup import Html, columns, join
from texts.renderer import DEFAULT_LIMIT_UTF16, Texts
from texts.sanitise import inert

CHART_URL = "https://dexscreener.com/solana/{address}"
EXPLORER_URL = "https://solscan.io/token/{address}"

_ADDRESS = re.compile(r"[A-Za-z0-9]{1,64}")
"""What can safely be put on the clipboard and into a link. Wider than base58, so that no real token is refused."""
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ZEROS_WRITTEN_OUT = 3
_PRICE_DIGITS = 3
_UNBELIEVABLE = 1e18
_PRICE_WITH_CENTS_USD = 1_000
_SECOND_MS = 1_000


def alert_card(
    texts: Texts,
    *,
    call: Call,
    set_name: str | None,
    latency_ms: float | None,
    language: str,
    may_repeat: bool,
) -> Message:
    """Build the card. `set_name` is the filter set that passed (a preset's key is shown by its label)."""
    card = _Card(texts, language)
    blocks = (
        _block(card.title(call.token), card.market_cap(call.token)),
        # Clients set the figures apart by themselves, so no empty line stands around them.
        _block(
            card.text("card.address", address=call.token.address),
            card.figures(call),
            card.channel(call.channel),
            card.record(call.channel),
        ),
        _block(card.footer(set_name, latency_ms), card.text("card.may_repeat") if may_repeat else Html()),
    )
    html = join("\n\n", (block for block in blocks if block))
    return Message(html=str(html), keyboard=_keyboard(texts, call.token.address, language))


class _Card:
    """Renders the pieces in one language. A figure without a value has no piece."""

    def __init__(self, texts: Texts, language: str) -> None:
        self._texts = texts
        self._language = language

    def text(self, key: str, **arguments: object) -> Html:
        return self._texts.render(key, self._language, **arguments)

    def figure(self, key: str, value: str | None) -> Html:
        return Html() if value is None else self.text(key, value=value)

    def title(self, token: Token) -> Html:
        name, symbol = _readable(token.name), _readable(token.symbol)
        if name and symbol and name != symbol:
            return self.text("card.title", name=name, symbol=symbol)
        shown = name or symbol or self._texts.plain("card.unnamed", self._language)
        return self.text("card.title_short", name=shown)

    def market_cap(self, token: Token) -> Html:
        known = self.figure("card.market_cap", _shown(token.market_cap_usd, "usd"))
        return known or self.text("card.market_cap_unknown")

    def figures(self, call: Call) -> Html:
        token = call.token
        age_s = token.created_at and (call.called_at - token.created_at).total_seconds()
        given = (
            (self.text("card.liquidity"), _shown(token.liquidity_usd, "usd")),
            (self.text("card.age"), _shown(age_s, "duration")),
            (self.text("card.holders"), _shown(token.holders, "count")),
            (self.text("card.price"), show_price(token.price_usd)),
        )
        return columns((label, self.text("card.figure", value=value)) for label, value in given if value is not None)

    def channel(self, channel: Channel) -> Html:
        return self.text("card.channel", title=_readable(channel.title) or channel.id)

    def record(self, channel: Channel) -> Html:
        if channel.record is None:
            return Html()
        return _row(
            self.figure("card.win_rate", _shown(channel.record.win_rate_percent, "percent")),
            self.figure("card.average", _shown(channel.record.average_multiple, "multiple")),
            self.figure("card.calls", _shown(channel.record.calls, "count")),
        )

    def footer(self, set_name: str | None, latency_ms: float | None) -> Html:
        latency = self.figure("card.latency", _latency(latency_ms))
        name = _readable(set_name)
        if name is None:
            return latency
        if f"preset.{name}" in self._texts:
            name = self._texts.label("preset", name, self._language)
        return _row(self.text("card.set", name=name), latency)


def _readable(text: str | None) -> str | None:
    """Take a name made of nothing visible for no name."""
    return text if text and inert(text, DEFAULT_LIMIT_UTF16) else None


def _row(*pieces: Html) -> Html:
    return join(" · ", (piece for piece in pieces if piece))


def _block(*lines: Html) -> Html:
    return join("\n", (line for line in lines if line))


def _shown(value: float | None, unit: Unit) -> str | None:
    """Show a figure; one that cannot be true (negative, not finite, beyond all money) counts as not given."""
    return show_short(value, unit) if value is not None and 0 <= value < _UNBELIEVABLE else None


def show_price(price_usd: float | None) -> str | None:
    """Show a price with three significant digits; many zeros are counted: 0.0000000123 is `$0.0₇123`."""
    if price_usd is None or not 0 <= price_usd < _UNBELIEVABLE:
        return None
    if price_usd >= 1:
        return f"${price_usd:.2f}" if price_usd < _PRICE_WITH_CENTS_USD else _shown(price_usd, "usd")
    if price_usd == 0:
        return "$0"
    mantissa, exponent = f"{price_usd:.{_PRICE_DIGITS - 1}e}".split("e")
    zeros = -int(exponent) - 1
    digits = mantissa.replace(".", "").rstrip("0")
    if zeros < 0:
        return "$1.00"  # 0.9996 rounds up to it
    if zeros <= _ZEROS_WRITTEN_OUT:
        return f"$0.{'0' * zeros}{digits}"
    return f"$0.0{str(zeros).translate(_SUBSCRIPT)}{digits}"


def _latency(latency_ms: float | None) -> str | None:
    if latency_ms is None or not 0 <= latency_ms < _UNBELIEVABLE:
        return None
    if latency_ms < _SECOND_MS:
        return f"{latency_ms:.0f} ms"
    return f"{latency_ms / _SECOND_MS:,.1f} s"


def _keyboard(texts: Texts, address: str, language: str) -> tuple[tuple[Button, ...], ...]:
    if not _ADDRESS.fullmatch(address):
        return ()
    return (tuple(_buttons(texts, address, language)),)


def _buttons(texts: Texts, address: str, language: str) -> Iterator[Button]:
    yield Button(text=texts.plain("button.copy", language), copy=address)
    yield Button(text=texts.plain("button.chart", language), url=CHART_URL.format(address=address))
    yield Button(text=texts.plain("button.explorer", language), url=EXPLORER_URL.format(address=address))
