"""One provider as the others see it: what it may be asked, what it did not know lately, how it has behaved."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import structlog
from msgspec import Struct

from domain.prices.readings import PriceReading, TokenRef
from managers.http.answers import TooManyError
from managers.http.api import NotAskedError, is_told_by_host
from managers.http.request_budget import Limit, Room
from runtime.errors import TransientError
from services.providers.pacing import Pace

log = structlog.get_logger(__name__)

FIRST_REST_S: Final = 30.0
"""So long a provider is not asked again about a token that it does not know; each time twice as long."""
MAX_REST_S: Final = 600.0
MAX_UNKNOWN: Final = 100_000
FIRST_PAUSE_S: Final = 5.0
"""After a 429 that came although we kept the limit: somebody else uses it too. Each time in a row twice as long."""
MAX_PAUSE_S: Final = 60.0
RESTS_S: Final = 2.0
"""So often it is looked at whether it may be asked again."""


class PriceProvider(Protocol):
    """What the managers in `managers/providers/` have in common."""

    @property
    def name(self) -> str: ...
    @property
    def limit(self) -> Limit: ...
    @property
    def tokens_per_request(self) -> int: ...
    def covers(self, token: TokenRef, /) -> bool: ...
    def room(self) -> Room: ...
    async def read(self, tokens: Sequence[TokenRef], /) -> list[PriceReading]:
        """Tokens of one chain, asked once: who fails is left for the next provider. `TransientError`."""
        ...


@dataclass(slots=True)
class SourceCounts:
    """Since the start; tokens, where nothing else is said."""

    requests: int = 0
    asked: int = 0
    answered: int = 0
    unknown: int = 0
    """Asked for, and absent from the answer."""
    failed: int = 0
    """In requests that ended without an answer, or with somebody else's."""
    limited: int = 0
    """In requests that were refused for the limit's sake, by us or with 429."""
    set_aside: int = 0
    """Readings that were plainly off and that nobody had borne out yet."""


class SourceHealth(Struct, frozen=True, kw_only=True):
    name: str
    ok: bool
    """The last request was answered, or none was made."""
    age_s: float | None
    """Since the last answer; `None` before the first."""
    again_in_s: float
    """0 when it may be asked now."""
    last_problem: str | None
    rests: bool = False
    """It is not to be asked for now."""
    used: int = 0
    """Requests of its limit that are used, by whoever asks the same host from here."""


class PriceSource:
    """`spare`: requests of each period that are left to others who ask the same host."""

    def __init__(self, provider: PriceProvider, *, spare: int, clock: Callable[[], float]) -> None:
        self.provider = provider
        self.name = provider.name
        self.counts = SourceCounts()
        self._spare = spare
        self._clock = clock
        self._pace = Pace(provider.limit.slots - spare, provider.limit.period_s, clock=clock)
        self._unknown: OrderedDict[TokenRef, tuple[float, float]] = OrderedDict()
        """Until when it is not asked about a token, and how long that was."""
        self._answered_at: float | None = None
        self._last_problem: str | None = None
        self._pause_s = 0.0
        self._paused_until = -math.inf
        self.rests: Callable[[], bool] = lambda: False
        """Whether it is not to be asked for now."""

    def room(self) -> Room:
        """Requests for which there is room now, at an even pace and with the spare ones left over."""
        if self.rests():
            return Room(0, RESTS_S)
        host, paused_s = self.provider.room(), self._paused_until - self._clock()
        if paused_s > 0:
            return Room(0, max(paused_s, host.again_in_s))
        requests = min(host.requests if host.is_trial else host.requests - self._spare, self._pace.free())
        if requests > 0:
            return Room(requests, 0.0, host.is_trial)
        # While only the spare ones are left, a slot may become free at any moment: look again after one step.
        limit = self.provider.limit
        return Room(0, max(host.again_in_s, self._pace.wait_s(), limit.period_s / limit.slots))

    def health(self) -> SourceHealth:
        room = self.room()
        return SourceHealth(
            name=self.name,
            ok=self._last_problem is None,
            age_s=None if self._answered_at is None else self._clock() - self._answered_at,
            again_in_s=room.again_in_s,
            last_problem=self._last_problem,
            rests=self.rests(),
            used=self.provider.room().used,
        )

    def may_know(self, token: TokenRef) -> bool:
        unknown = self._unknown.get(token)
        return self.provider.covers(token) and (unknown is None or unknown[0] <= self._clock())

    def knew_not(self, token: TokenRef) -> bool:
        """Whether it did not know the token when it was last asked about it."""
        return token in self._unknown

    def batches(self, tokens: Iterable[TokenRef]) -> list[tuple[TokenRef, ...]]:
        """As many requests as there is room for, each for tokens of one chain; their slots are taken."""
        by_chain: dict[str, list[TokenRef]] = {}
        room, size = self.room().requests, self.provider.tokens_per_request
        for token in islice(tokens, room * size):
            by_chain.setdefault(token.chain, []).append(token)
        pages = (tuple(some[at : at + size]) for some in by_chain.values() for at in range(0, len(some), size))
        found = list(islice(pages, room))
        self._pace.take(len(found))
        return found

    async def ask(self, tokens: Sequence[TokenRef]) -> list[PriceReading]:
        """One request; whatever goes wrong is counted and gives no reading."""
        self.counts.requests += 1
        self.counts.asked += len(tokens)
        try:
            readings = await self.provider.read(tokens)
        except (NotAskedError, TooManyError) as error:
            self.counts.limited += len(tokens)
            if isinstance(error, TooManyError) and self._paused_until <= self._clock():
                self._pause_s = min(MAX_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
                self._paused_until = self._clock() + self._pause_s
            self._failed(error)
            return []
        except TransientError as error:
            self.counts.failed += len(tokens)
            self._failed(error)
            return []
        self._answered_at, self._last_problem, self._pause_s = self._clock(), None, 0.0
        self.counts.answered += len(readings)
        self._note_unknown(tokens, readings)
        return readings

    def _failed(self, error: TransientError) -> None:
        write = log.debug if is_told_by_host(error) or self._last_problem else log.warning
        self._last_problem = str(error)
        write("prices_not_read", source=self.name, reason=str(error))

    def _note_unknown(self, tokens: Sequence[TokenRef], readings: Sequence[PriceReading]) -> None:
        known = {reading.token for reading in readings}
        for token in tokens:
            if token in known:
                self._unknown.pop(token, None)
                continue
            self.counts.unknown += 1
            _, rested_s = self._unknown.pop(token, (0.0, FIRST_REST_S / 2))
            rest_s = min(MAX_REST_S, 2 * rested_s)
            self._unknown[token] = self._clock() + rest_s, rest_s
            if len(self._unknown) > MAX_UNKNOWN:
                self._unknown.popitem(last=False)
