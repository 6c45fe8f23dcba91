"""Asking the feed's HTTP side and the market about tokens: seldom, together, never for long, and never in vain."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from msgspec import Struct

from domain.calls import figures
from domain.calls.events import Chain, Origin, Token
from domain.prices.readings import TokenRef
from managers.feed.sources.base import Source
from runtime.errors import TransientError
from services.monitoring.metrics import Metrics

log = structlog.get_logger(__name__)

ANSWER_WITHIN_S: Final = 2.0
ANSWER_COUNTS_FOR: Final = timedelta(seconds=5)
"""Nobody is asked about a token whose answer is younger."""
FALLBACK: Final = "token_data"
ASKED_PER_ROUND: Final = 128
"""Of a source that is asked token by token; the rest of a burst gets through with what its calls say themselves."""

_REST = timedelta(seconds=10)
"""A source that failed is left alone for so long: a dead one must not hold up every batch."""
_REMEMBERED = 20_000
_PROBES = 50
_NOT_WORTH_ASKING = frozenset(
    ("name", "symbol", "launchpad", "website", "x_handle", "telegram", "image_url", "animation_url", "video_url")
)
"""That these are absent is normal, and no reason to ask; they are taken along."""
_WORTH_ASKING = tuple(name for name in figures.FIGURES if name not in _NOT_WORTH_ASKING)


class Answer(Struct, frozen=True):
    token: Token
    """Every figure has an origin. No figure at all: nobody knows the token."""
    at: datetime


class Market(Protocol):
    """Who is asked about what the feed does not say."""

    @property
    def tokens_per_request(self) -> int: ...
    def covers(self, token: TokenRef, /) -> bool: ...
    async def figures(self, tokens: Sequence[TokenRef], /) -> dict[str, Token]:
        """Give what is known, by `TokenRef.key`; every figure has an origin. `TransientError`."""
        ...


class Informant:
    """How a source has behaved so far: whether it rests, and which figures it has ever given."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rests_until: datetime | None = None
        self._answered_at: datetime | None = None
        self._answers = 0
        self._given: set[str] = set()
        self._worth_asking = _WORTH_ASKING

    @property
    def rests(self) -> bool:
        return self._rests_until is not None and self._clock() < self._rests_until

    def failed(self) -> None:
        self._rests_until = self._clock() + _REST

    def came_back(self) -> None:
        self._rests_until = None

    def was_late(self, started_at: datetime) -> None:
        """One that answered others in the same round is busy, one that answered nobody is as good as dead."""
        if self._answered_at is None or self._answered_at < started_at:
            self.failed()

    def answered(self, token: Token | None) -> None:
        self._answered_at = self._clock()
        if token is not None:
            self._answers += 1
            self._given.update(figures.known(token))
            if self._answers >= _PROBES:
                self._worth_asking = tuple(name for name in _WORTH_ASKING if name in self._given)

    def may_complete(self, token: Token) -> bool:
        """Whether asking can help: what 50 answers never held, the next one will hardly hold."""
        for name in self._worth_asking:  # noqa: SIM110 - a generator takes twice as long, and every call comes by here
            if getattr(token, name) is None:
                return True
        return False


class TokenAnswers:
    """The latest answer per token. Never raises; whatever is not answered in time is counted as a fallback."""

    def __init__(
        self,
        *,
        source: Source,
        market: Market | None,
        api_semaphore: asyncio.Semaphore,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._asked = market
        self._api_semaphore = api_semaphore
        self._metrics = metrics
        self._clock = clock
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._flights: dict[str, asyncio.Future[None]] = {}
        self._feed, self._market = Informant(clock), Informant(clock)

    @property
    def asks_nobody(self) -> bool:
        """There is nobody to be asked, about whatever token."""
        return self._asked is None and not self._source.knows_tokens

    def can_help(self, token: Token) -> bool:
        """Whether somebody may know what this token lacks, and was not asked just now."""
        asks_feed = self._source.knows_tokens and self._feed.may_complete(token)
        asks_market = self._asked is not None and self._asked.covers(TokenRef(token.address, token.chain))
        asks = asks_feed or (asks_market and self._market.may_complete(token))
        return asks and self.fresh(token.address) is None

    def feed_came_back(self) -> None:
        """Leave the feed's HTTP side alone no longer, whatever it did before."""
        self._feed.came_back()

    def fresh(self, address: str) -> Answer | None:
        answer = self._answers.get(address)
        return answer if answer is not None and self._clock() - answer.at < ANSWER_COUNTS_FOR else None

    def last(self, address: str) -> Answer | None:
        return self._answers.get(address)

    async def refresh(self, tokens: Mapping[str, Chain | None]) -> None:
        """Ask about tokens that nobody asks about already, and wait for the others: two seconds at most.

        By address: the chain, where anybody knows it.
        """
        if self.asks_nobody:
            return
        mine: dict[str, Chain | None] = {
            address: chain for address, chain in tokens.items() if address not in self._flights
        }
        others = {self._flights[address] for address in tokens if address in self._flights}
        flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flights |= dict.fromkeys(mine, flight)
        short: set[str] = set()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._ask(mine, short)
                if others:
                    await asyncio.wait(others)
        except TimeoutError:
            short.update(address for address in mine if self.fresh(address) is None)
            log.warning("token_data_late", tokens=len(short))
        finally:
            flight.set_result(None)
            for address in mine:
                del self._flights[address]
            self._metrics.counts.fallbacks[FALLBACK] += len(short)

    async def _ask(self, tokens: Mapping[str, Chain | None], short: set[str]) -> None:
        """Ask the feed token by token, then others in pages about what is still missing.

        `short` receives those about whom somebody could not be asked.
        """
        started_at, addresses = self._clock(), list(tokens)
        if self._source.knows_tokens:
            short.update(addresses[ASKED_PER_ROUND:])
            async with asyncio.TaskGroup() as group:
                for address in addresses[:ASKED_PER_ROUND]:
                    if self._feed.rests:
                        short.add(address)
                    else:
                        group.create_task(self._ask_feed(address, tokens[address], started_at, short))
        if self._asked is None:
            return
        theirs = [TokenRef(address, chain) for address, chain in tokens.items() if chain is not None]
        lacking = [
            token
            for token in theirs
            if self._asked.covers(token) and self._market.may_complete(self._said(token.address, started_at))
        ]
        for start in range(0, len(lacking), self._asked.tokens_per_request):
            page = lacking[start : start + self._asked.tokens_per_request]
            if self._market.rests:
                short.update(token.address for token in page)
            else:
                await self._ask_market(self._asked, page, started_at, short)

    def _said(self, address: str, since: datetime) -> Token:
        answer = self._answers.get(address)
        return answer.token if answer is not None and answer.at >= since else Token(address=address)

    async def _ask_feed(self, address: str, chain: Chain | None, started_at: datetime, short: set[str]) -> None:
        try:
            async with self._api_semaphore:
                # Others may have found out meanwhile that nobody answers.
                if self._feed.rests:
                    short.add(address)
                    return
                token = await self._source.token(address, chain)
        except asyncio.CancelledError:
            self._feed.was_late(started_at)
            raise
        except TransientError as error:
            self._feed.failed()
            short.add(address)
            log.warning("token_data_unavailable", source=self._source.name, reason=str(error))
            return
        self._feed.answered(token)
        now = self._clock()
        said = None if token is None else figures.attributed(token, Origin(self._source.name, now))
        self._keep(address, said, started_at, now)

    async def _ask_market(
        self, market: Market, page: Sequence[TokenRef], started_at: datetime, short: set[str]
    ) -> None:
        try:
            async with self._api_semaphore:
                found = await market.figures(page)
        except asyncio.CancelledError:
            self._market.was_late(started_at)
            raise
        except TransientError as error:
            self._market.failed()
            short.update(token.address for token in page)
            log.warning("token_data_unavailable", source="market", reason=str(error))
            return
        for asked in page:
            token = found.get(asked.key)
            self._market.answered(token)
            self._keep(asked.address, token, started_at, self._clock())

    def _keep(self, address: str, token: Token | None, started_at: datetime, now: datetime) -> None:
        """Keep an answer. One of the same round is only completed by it, one of an earlier round is replaced."""
        earlier = self._answers.pop(address, None)
        said = token or Token(address=address)
        if earlier is not None and earlier.at >= started_at:
            said = figures.completed(earlier.token, said)
        self._answers[address] = Answer(said, now)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
