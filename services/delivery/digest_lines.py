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
_VISIBLY_ABOVE: Final = 1.02
PRICED: Final = 2 * CALLS_SHOWN
"""What may come first is asked for its price before it is sorted: in one request to a provider."""


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
        """At the call or since then, as far as it is confirmed; of what nobody follows, what it has now."""
        since = self.now_usd if self.peak_usd is None else self.peak_usd
        return None if since is None else max(since, self.at_call_usd or 0.0)

    @property
    def multiple(self) -> float | None:
        """What it reached since the call; never less than 1."""
        at_call, highest = self.at_call_usd, self.highest_usd
        if not at_call or highest is None or shown_figure(at_call, "usd") is None:
            return None
        return highest / at_call


def best_first(calls: Sequence[DigestCall]) -> list[DigestCall]:
    """By the multiple that their lines show in bold, then by score, then as they came; what nobody knows is last."""
    return sorted(calls, key=lambda one: (-(one.multiple or 0.0), -one.score))


class DigestLines:
    def __init__(self, *, prices: Prices, texts: Texts, metrics: Metrics) -> None:
        self._prices = prices
        self._texts = texts
        self._metrics = metrics

    async def sorted(self, calls: Sequence[DigestCall]) -> list[DigestCall]:
        """Sort these by what they reached, as `lines` says it."""
        known = best_first(await self.with_peaks(calls))
        # What nobody follows counts by its price now: beyond so many it is not asked for, and stays behind.
        return best_first(await self.priced(known[:PRICED])) + known[PRICED:]

    async def with_peaks(self, calls: Sequence[DigestCall]) -> list[DigestCall]:
        """Return these with the highest that anybody knows: no less than what they bring along."""
        return list(await asyncio.gather(*map(self._with_peak, calls)))

    async def priced(self, calls: Sequence[DigestCall]) -> list[DigestCall]:
        """Return these with what they are worth now."""
        return list(await asyncio.gather(*map(self._with_price, calls)))

    def lines(self, shown: Sequence[DigestCall], language: str, first: int = 1) -> Html:
        """Tell of these; the first one has this number."""
        return join("\n", (self._line(number, one, language) for number, one in enumerate(shown, first)))

    async def _with_peak(self, one: DigestCall) -> DigestCall:
        since = one.call.called_at if one.call else one.received_at
        try:
            async with asyncio.timeout(FIGURES_TIMEOUT_S):
                known = (one.peak_usd, await self._prices.peak_market_cap(one.address, since))
                return replace(one, peak_usd=max((peak for peak in known if peak is not None), default=None))
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
        if shown_multiple := shown_figure(one.multiple, "multiple"):
            yield self._texts.render("digest.multiple", language, value=shown_multiple)
        then, now = shown_figure(one.at_call_usd, "usd"), shown_figure(one.now_usd, "usd")
        if then and now and (unconfirmed := _unconfirmed(one)):
            yield self._texts.render("digest.unconfirmed", language, then=then, now=now, value=unconfirmed)
        elif then and now:
            yield self._texts.render("digest.then_now", language, then=then, now=now)
        elif then or now:
            yield self._texts.render("digest.then" if then else "digest.now", language, value=then or now)
        peak = shown_figure(one.highest_usd, "usd")
        # What is worth more now than was ever confirmed is not called lower than it is.
        if peak not in {None, then, now} and (one.highest_usd or 0.0) > (one.now_usd or 0.0):
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


def _unconfirmed(one: DigestCall) -> str | None:
    """What it is worth now as a multiple, where that is clearly above the highest that was confirmed."""
    if not one.at_call_usd or one.now_usd is None or one.multiple is None:
        return None
    now = one.now_usd / one.at_call_usd
    return shown_figure(now, "multiple") if now > one.multiple * _VISIBLY_ABOVE else None
