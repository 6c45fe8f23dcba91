"""What a digest says of each call: what is known of its outcome, who called it, and where to look. The best come first.

What nobody knows is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call, Token
from domain.filters.shown import shown_figure
from services.cards.buttons import chart_of
from services.cards.pieces import chain_of, readable, ticker
from services.delivery.cards import reached_late
from services.monitoring.metrics import Metrics
from texts.markup import Html, join, link
from texts.renderer import Texts

CALLS_SHOWN: Final = 15
"""In one message: each may have its links and marks, of which Telegram reads a hundred."""
FIGURES_TIMEOUT_S: Final = 2.0
"""A figure that does not come is left out; the digest does not wait for it."""
_ROSE_FROM: Final = 1.05
"""Of a smaller multiple the line says what it has become now."""


class Prices(Protocol):
    """What became of a token; `services.calls.tokens.TokensService` in the running bot."""

    async def latest(self, address: str) -> Token | None: ...

    async def peak_market_cap(self, address: str, since: datetime) -> float | None: ...


class DigestCall(Struct, frozen=True, kw_only=True):
    """A call that a digest tells of, and what it did; `None` where nobody knows."""

    call_id: str
    address: str
    call: Call | None
    received_at: datetime
    score: int
    may_repeat: bool
    now_usd: float | None = None
    peak_usd: float | None = None
    """Since the call."""

    @property
    def at_call_usd(self) -> float | None:
        return self.call.token.market_cap_usd if self.call else None

    @property
    def highest_usd(self) -> float | None:
        """At the call, since then or now: what it has now it has reached, whether or not that is confirmed yet."""
        since = [cap for cap in (self.peak_usd, self.now_usd) if cap is not None]
        return max(*since, self.at_call_usd or 0.0) if since else None

    @property
    def multiple(self) -> float | None:
        return self._multiple(self.highest_usd)

    @property
    def multiple_now(self) -> float | None:
        return self._multiple(self.now_usd)

    def _multiple(self, cap: float | None) -> float | None:
        at_call = self.at_call_usd
        if not at_call or cap is None or shown_figure(at_call, "usd") is None:
            return None
        return cap / at_call


def best_first(calls: Sequence[DigestCall]) -> list[DigestCall]:
    """By what is known of the outcome, then by score; where both are equal, as they came."""
    return sorted(calls, key=lambda one: (-(one.multiple or 1.0), -one.score))


class DigestLines:
    def __init__(self, *, prices: Prices, texts: Texts, metrics: Metrics) -> None:
        self._prices = prices
        self._texts = texts
        self._metrics = metrics

    async def with_peaks(self, calls: Sequence[DigestCall]) -> list[DigestCall]:
        return list(await asyncio.gather(*map(self._with_peak, calls)))

    async def lines(self, shown: Sequence[DigestCall], language: str, first: int = 1) -> Html:
        """Tell of these, with what they are worth now; the first one has this number."""
        known = await asyncio.gather(*map(self._with_price, shown))
        return join("\n", (self._line(number, one, language) for number, one in enumerate(known, first)))

    async def _with_peak(self, one: DigestCall) -> DigestCall:
        since = one.call.called_at if one.call else one.received_at
        try:
            async with asyncio.timeout(FIGURES_TIMEOUT_S):
                return replace(one, peak_usd=await self._prices.peak_market_cap(one.address, since))
        except TimeoutError:
            self._metrics.counts.fallbacks["digest figures"] += 1
            return one

    async def _with_price(self, one: DigestCall) -> DigestCall:
        try:
            async with asyncio.timeout(FIGURES_TIMEOUT_S):
                token = await self._prices.latest(one.address)
        except TimeoutError:
            self._metrics.counts.fallbacks["digest figures"] += 1
            return one
        return replace(one, now_usd=token.market_cap_usd if token else None)

    def _line(self, number: int, one: DigestCall, language: str) -> Html:
        token = one.call.token if one.call else Token(address=one.address)
        name = ticker(token) or readable(token.name) or one.address
        title = self._texts.render("digest.line", language, number=number, name=name)
        address = self._texts.render("digest.address", language, address=one.address)
        rows = (
            join(" · ", (title, *self._figures(one, language))),
            join(" · ", (piece for piece in self._origin(one, language) if piece)),
            address,
        )
        return join("\n", (row for row in rows if row))

    def _figures(self, one: DigestCall, language: str) -> Iterator[Html]:
        multiple = one.multiple
        if multiple is not None and multiple < _ROSE_FROM:
            multiple = one.multiple_now
        if shown_multiple := shown_figure(multiple, "multiple"):
            yield self._texts.render("digest.multiple", language, value=shown_multiple)
        then, now = shown_figure(one.at_call_usd, "usd"), shown_figure(one.now_usd, "usd")
        if then and now:
            yield self._texts.render("digest.then_now", language, then=then, now=now)
        elif then or now:
            yield self._texts.render("digest.then" if then else "digest.now", language, value=then or now)
        peak = shown_figure(one.highest_usd, "usd")
        if peak not in {None, then, now}:
            yield self._texts.render("digest.peak", language, value=peak)
        delay = reached_late(one.call) if one.call else None
        if delay:
            yield self._texts.render("digest.reached_late", language, value=delay)
        if one.may_repeat:
            yield self._texts.render("digest.repeated", language)

    def _origin(self, one: DigestCall, language: str) -> Iterator[Html]:
        if one.call:
            channel = one.call.channel
            yield chain_of(self._texts, one.call.token, language)
            yield self._texts.render("digest.channel", language, title=readable(channel.title) or channel.id)
        chart = chart_of(one.address, one.call.token.chain if one.call else None)
        if chart:
            yield link(chart, self._texts.render("digest.chart", language))
