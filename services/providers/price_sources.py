"""Prices of many tokens from several providers, the most trusted first, each within its limits.

Who wants prices asks for `room()` first: it says how many tokens can be asked about now, and when there is room again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog
from msgspec import Struct

from domain.prices.marks import Marks
from domain.prices.readings import High, PriceReading, TokenRef
from managers.http.request_budget import Room
from runtime.errors import TransientError
from services.providers.price_source import PriceProvider, PriceSource, SourceCounts, SourceHealth

log = structlog.get_logger(__name__)

SPARE: Final[Mapping[str, int]] = {"jupiter": 10, "dexscreener": 15, "geckoterminal": 10}
"""Requests of each minute that are left to others: the figures of calls, the price of SOL, candles."""


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
        self._marks = Marks()
        self.highs_asked = 0
        self.highs_found = 0
        self.highs_refused = 0
        """For want of room, or because GeckoTerminal failed."""

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
        the next one in the same call. At most one reading for each token.
        """
        tried: dict[TokenRef, set[str]] = {token: set() for token in tokens}
        believed: dict[TokenRef, PriceReading] = {}
        for _ in self._sources:
            asked = self._assign([token for token in tried if token not in believed], tried)
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
            log.warning("high_not_read", token=token.address, reason=str(error))
            return None
        self.highs_found += found is not None
        return found

    def _assign(
        self, tokens: Sequence[TokenRef], tried: Mapping[TokenRef, set[str]]
    ) -> list[tuple[PriceSource, Sequence[TokenRef]]]:
        """Divide the tokens among the providers that have room, each at most once."""
        asked: list[tuple[PriceSource, Sequence[TokenRef]]] = []
        for source in self._sources:
            name, may_know = source.name, source.may_know
            batches = source.batches(token for token in tokens if name not in tried[token] and may_know(token))
            asked.extend((source, batch) for batch in batches)
            taken = {token for batch in batches for token in batch}
            for token in taken:
                tried[token].add(name)
            tokens = [token for token in tokens if token not in taken]
        return asked
