"""Prices of many tokens from several providers, the most trusted first, each within its limits.

Who wants prices asks for `room()` first: it says how many tokens can be asked about now, and when there is room again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog
from msgspec import Struct

from domain.prices.marks import Marks
from domain.prices.readings import High, PriceReading, TokenRef
from managers.http.api import is_told_by_host
from managers.http.request_budget import Limit, Room
from runtime.errors import TransientError
from services.providers.price_source import PriceProvider, PriceSource, SourceCounts, SourceHealth

log = structlog.get_logger(__name__)

SPARE: Final[Mapping[str, int]] = {"jupiter": 10, "dexscreener": 15, "geckoterminal": 10}
"""Requests of each minute that are left to others: the figures of calls, the price of SOL, candles."""
WAITS_S: Final = 300.0
"""So long a token waits for room at those who may know it, where the others did not."""
MAX_WAITING: Final = 2_000


class Candles(Protocol):
    def covers(self, token: TokenRef, /) -> bool: ...
    def room(self) -> Room: ...
    async def high(self, token: TokenRef, pool: str, since: datetime, until: datetime, /) -> High | None: ...


class TokenRoom(Struct, frozen=True):
    tokens: int
    """As many can be asked about now."""
    again_in_s: float
    """0 while there are any, else when to look again."""


class PriceSources:
    """Never raises for what a provider does. Several may ask at the same time."""

    def __init__(
        self,
        providers: Iterable[PriceProvider],
        *,
        candles: Candles | None = None,
        spare: Mapping[str, int] = SPARE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`providers` in the order of trust."""
        self._sources = [PriceSource(one, spare=spare.get(one.name, 0), clock=clock) for one in providers]
        self._candles = candles
        self._clock = clock
        self._marks = Marks()
        self._waiting: dict[TokenRef, float] = {}
        """Until when, oldest first."""
        self.highs_asked = 0
        self.highs_found = 0
        self.highs_refused = 0
        """For want of room, or because GeckoTerminal failed."""

    def rest_while(self, rests: Callable[[str], bool]) -> None:
        """Let a provider of this name not be asked while this says so: the others are asked instead."""
        for source in self._sources:
            source.rests = partial(rests, source.name)

    @property
    def limits(self) -> dict[str, Limit]:
        return {source.name: source.provider.limit for source in self._sources}

    @property
    def counts(self) -> dict[str, SourceCounts]:
        """By the name of the provider."""
        return {source.name: source.counts for source in self._sources}

    def health(self) -> list[SourceHealth]:
        return [source.health() for source in self._sources]

    def room(self) -> TokenRoom:
        rooms = [(source.room(), source.provider.tokens_per_request) for source in self._sources]
        tokens = sum(room.requests * size for room, size in rooms)
        again_in_s = 0.0 if tokens else min((room.again_in_s for room, _ in rooms), default=0.0)
        return TokenRoom(tokens, again_in_s)

    async def read(self, tokens: Sequence[TokenRef]) -> list[PriceReading]:
        """Prices of these tokens, the most urgent first: for what there is no room is not asked, and absent.

        A token that one provider does not know, fails to answer for, or gives a price that is plainly off, is asked of
        the next one; if that has no room now, in a later call, which then gives its price as well. At most one reading
        for each token.
        """
        now = self._clock()
        waited = {token: until for token, until in self._waiting.items() if until > now}
        self._waiting = {}
        tried: dict[TokenRef, set[str]] = {token: set() for token in (*waited, *tokens)}
        believed: dict[TokenRef, PriceReading] = {}
        for _ in self._sources:
            asked = self._assign([token for token in tried if token not in believed], tried, waited)
            if not asked:
                break
            async with asyncio.TaskGroup() as group:
                answers = [(source, group.create_task(source.ask(batch))) for source, batch in asked]
            for source, answer in answers:
                for reading in answer.result():
                    if self._marks.believes(reading):
                        believed[reading.token] = reading
                    else:
                        source.counts.set_aside += 1
                        log.warning("price_set_aside", source=source.name, token=reading.token.address)
        self._let_wait((token for token in tried if token not in believed), tried, waited)
        return list(believed.values())

    async def high(self, token: TokenRef, pool: str, since: datetime, until: datetime) -> High | None:
        """Highest price of a gap, for the token in this pool; `None` where nobody can say it now."""
        if self._candles is None or not self._candles.covers(token):
            return None
        self.highs_asked += 1
        if self._candles.room().requests == 0:
            self.highs_refused += 1
            return None
        try:
            found = await self._candles.high(token, pool, since, until)
        except TransientError as error:
            self.highs_refused += 1
            write = log.debug if is_told_by_host(error) else log.warning
            write("high_not_read", token=token.address, reason=str(error))
            return None
        self.highs_found += found is not None
        return found

    def _assign(
        self, tokens: Sequence[TokenRef], tried: Mapping[TokenRef, set[str]], waited: Container[TokenRef]
    ) -> list[tuple[PriceSource, Sequence[TokenRef]]]:
        """Divide the tokens among the providers that have room, each at most once.

        Those that waited are not asked of who did not know them.
        """

        def is_for(source: PriceSource, token: TokenRef) -> bool:
            if source.name in tried[token] or not source.may_know(token):
                return False
            return token not in waited or not source.knew_not(token)

        asked: list[tuple[PriceSource, Sequence[TokenRef]]] = []
        for source in self._sources:
            batches = source.batches(token for token in tokens if is_for(source, token))
            asked.extend((source, batch) for batch in batches)
            taken = {token for batch in batches for token in batch}
            for token in taken:
                tried[token].add(source.name)
            tokens = [token for token in tokens if token not in taken]
        return asked

    def _let_wait(
        self, tokens: Iterable[TokenRef], tried: Mapping[TokenRef, set[str]], waited: Mapping[TokenRef, float]
    ) -> None:
        """Keep for later those for which somebody is left to ask, for so long and so many at most."""
        now = self._clock()
        for token in tokens:
            until = waited.get(token, now + WAITS_S)
            if len(self._waiting) < MAX_WAITING and self._has_someone_left(token, tried[token]):
                self._waiting[token] = until

    def _has_someone_left(self, token: TokenRef, tried: set[str]) -> bool:
        """Whether somebody could not answer for it, and somebody else was not asked who might."""
        left = [source for source in self._sources if source.name not in tried and not source.knew_not(token)]
        return len(left) < len(self._sources) and any(source.may_know(token) for source in left)
