"""The digest: what each held call did since, sent when the silence that held it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec
import structlog
from cachetools import LRUCache
from msgspec import Struct

from domain.calls.events import Call, Token
from domain.delivery.messages import Message
from domain.delivery.policy import DIGESTS, digest_waits_until
from domain.filters.numbers import show_short
from domain.stored.alerts import HeldCall
from domain.stored.outgoing import Digest
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.retry import retry_until_done
from services.claims.outbox import Outbox
from services.delivery.cards import reached_late, readable, shown_figure
from services.delivery.composing import Composed, Composer
from services.delivery.held import CALLS_PER_DIGEST, HeldCalls
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from services.monitoring.metrics import Metrics
from services.schedule.due_times import DIGEST, Due
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers
from texts.markup import Html, join
from texts.renderer import Texts

log = structlog.get_logger(__name__)

GATHERED_FOR: Final = timedelta(seconds=15)
"""While their last digest has not left, what is due for somebody is looked at only so often, and gathers."""
_DISPATCHED: Final = 10_000
"""Subscribers whose last digest is remembered."""
FIGURES_TIMEOUT_S: Final = 2.0
"""A price that does not come is said to be unknown; the digest does not wait for it."""


class Prices(Protocol):
    """What became of a token; `services.calls.tokens.TokensService` in the running bot."""

    async def latest(self, address: str) -> Token | None: ...

    async def peak_market_cap(self, address: str, since: datetime) -> float | None: ...


class Since(Struct, frozen=True, kw_only=True):
    """A held call and what it did; `None` where nobody knows."""

    held: HeldCall
    call: Call | None
    now_usd: float | None
    peak_usd: float | None


class DigestsService:
    """Nobody has digests queue up: while Telegram is unavailable the next one gathers what comes too late meanwhile."""

    def __init__(
        self,
        *,
        held: HeldCalls,
        subscribers: Subscribers,
        clock: Callable[[], datetime],
    ) -> None:
        self._held = held
        self._subscribers = subscribers
        self._clock = clock
        self._last: LRUCache[int, str] = LRUCache(_DISPATCHED)
        """By user id: the outbox entry of their last digest."""

    def job(self) -> Job:
        return Job(name=DIGEST, run=self.send)

    async def send(self, due: Due) -> int:
        """Put what is due for a subscriber into the outbox, and say when the rest is; returns how many digests."""
        user_id = due.user_id
        now = self._clock()
        calls = await self._held.of(user_id)
        subscriber = await self._subscribers.find(user_id)
        newest_at = max((call.held_at for call in calls), default=now)
        waits_until = digest_waits_until(subscriber, now, newest_at) if subscriber else now
        if waits_until <= now and await self._last_one_waits(user_id):
            waits_until = now + GATHERED_FOR
        if waits_until > now:
            await self._held.postpone(user_id, seen=len(calls), until=waits_until)
            return 0
        ready = [call for call in calls if call.due_at <= now]
        sent = 0
        for start in range(0, len(ready), CALLS_PER_DIGEST):
            entry_id = await self._held.dispatch(user_id, ready[start : start + CALLS_PER_DIGEST], now)
            if entry_id:
                self._last[user_id] = entry_id
                sent += 1
        later = [call.due_at for call in calls if call.due_at > now]
        await self._held.postpone(user_id, seen=len(later), until=min(later, default=now))
        if sent:
            log.info("digest_dispatched", user_id=user_id, calls=len(ready), messages=sent)
        return sent

    async def _last_one_waits(self, user_id: int) -> bool:
        entry_id = self._last.get(user_id)
        if entry_id is None:
            return False
        if await self._held.waits(user_id, entry_id):
            return True
        self._last.pop(user_id, None)
        return False


class DigestComposer(Composer):
    """Composes a digest when its turn has come, so that its figures are as new as the message."""

    def __init__(self, *, outbox: Outbox, prices: Prices, texts: Texts, metrics: Metrics) -> None:
        self._outbox = outbox
        self._prices = prices
        self._texts = texts
        self._metrics = metrics

    def row(self) -> Kind:
        return Kind(name="digest", lane=Lane.ALERT, rules=DIGESTS, composer=self, tells_calls=True, to_destination=True)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        digest = waiting.entry.outgoing
        if not isinstance(digest, Digest):
            raise TypeError(f"a {digest.kind} is no digest")
        silent = "digest" in subscriber.preferences.silent
        waiting.message = await self._message(
            digest.held, language=subscriber.language, silent=silent, may_repeat=waiting.may_repeat
        )

    def is_ready(self, waiting: QueuedMessage) -> bool:
        return waiting.message is not None

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        del subscriber
        if together[0].message is None:
            raise ValueError("a digest that was not prepared")
        return Composed(together[0].message, (together[0],))

    async def _message(self, held: Sequence[HeldCall], *, language: str, silent: bool, may_repeat: bool) -> Message:
        since = await asyncio.gather(*(self._since(one) for one in held))
        reasons = {one.reason for one in held}
        title = f"digest.title.{reasons.pop()}" if len(reasons) == 1 else "digest.title"
        blocks = [
            self._texts.render(title, language, count=len(held)),
            join("\n", (self._line(one, language) for one in since)),
        ]
        if may_repeat:
            blocks.append(self._texts.render("card.may_repeat", language))
        elif any(one.may_repeat for one in held):
            blocks.append(self._texts.render("digest.repeats", language))
        return Message(html=str(join("\n\n", blocks)), silent=silent)

    async def _since(self, held: HeldCall) -> Since:
        stored = await retry_until_done(lambda: self._outbox.load_call(held))
        call = read_call(stored, held.call_id)
        token: Token | None = None
        since = call.called_at if call else held.received_at
        peak_usd: float | None = None
        try:
            async with asyncio.timeout(FIGURES_TIMEOUT_S):
                token = await self._prices.latest(held.token_address)
                peak_usd = await self._prices.peak_market_cap(held.token_address, since)
        except TimeoutError:
            self._metrics.counts.fallbacks["digest figures"] += 1
        now_usd = token.market_cap_usd if token else None
        # What is known to be reached now was reached, whether or not it is confirmed yet.
        reached = [cap for cap in (peak_usd, now_usd) if cap is not None]
        return Since(
            held=held,
            call=call,
            now_usd=now_usd,
            peak_usd=max(reached, default=None),
        )

    def _line(self, since: Since, language: str) -> Html:
        token = since.call.token if since.call else Token(address=since.held.token_address)
        name = readable(token.symbol) or readable(token.name) or since.held.token_address
        at_call = token.market_cap_usd
        unknown = self._texts.plain("digest.unknown", language)
        told = self._texts.render(
            "digest.line",
            language,
            name=name,
            then=shown_figure(at_call, "usd") or unknown,
            now=shown_figure(since.now_usd, "usd") or unknown,
            peak=shown_figure(since.peak_usd, "usd") or unknown,
        )
        address = self._texts.render("digest.address", language, address=since.held.token_address)
        return join("\n", (join(" ", (told, *self._remarks(since, language))), address))

    def _remarks(self, since: Since, language: str) -> Iterator[Html]:
        multiple = _multiple(since.call.token.market_cap_usd, since.peak_usd) if since.call else None
        if multiple:
            yield self._texts.render("digest.multiple", language, value=multiple)
        delay = reached_late(since.call) if since.call else None
        if delay:
            yield self._texts.render("digest.reached_late", language, value=delay)
        if since.held.may_repeat:
            yield self._texts.render("digest.repeated", language)


def read_call(stored: bytes | None, call_id: str) -> Call | None:
    try:
        return None if stored is None else msgspec.json.decode(stored, type=Call)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("stored_call_unreadable", call_id=call_id, reason=str(error))
        return None


def _multiple(at_call: float | None, peak_usd: float | None) -> str | None:
    if not at_call or not peak_usd or shown_figure(at_call, "usd") is None:
        return None
    multiple = peak_usd / at_call
    return show_short(multiple, "multiple") if shown_figure(multiple, "multiple") else None
