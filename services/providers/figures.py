"""Figures of tokens from all providers that may know them: each asked within its limit, together, and seldom.

Whoever asks says which figures they wait for, and how long; the others are asked for all the same, and are there for
who asks next. Nothing here fails: what is not known in time is absent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, cast

import structlog
from msgspec import Struct

from domain.calls.events import Chain, Token
from domain.calls.trust import believed
from domain.prices.readings import TokenRef
from managers.http.api import NotAskedError, is_told_by_host
from managers.http.failing import Failing
from managers.providers.figures import FigureProvider
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import REPORT_EVERY_S, Progress

log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(seconds=30)
UNKNOWN_FOR: Final = timedelta(seconds=10)
"""So long a provider is not asked again about a token that it did not know."""
FAILED_PAUSE_S: Final = 5.0
TOGETHER_S: Final = 0.03
"""What is wanted within so long is asked for in one request."""
MAX_WANTED: Final = 1_000
MAX_KEPT: Final = 20_000


class FigureCounts(Struct):
    """Of one provider, since the start; tokens, where nothing else is said."""

    requests: int = 0
    answered: int = 0
    unknown: int = 0
    failed: int = 0
    dropped: int = 0
    """Wanted by too many at once, and not asked for."""


class _Answer(NamedTuple):
    token: Token | None
    at: datetime


class _Lane:
    """One provider: what it said lately, and what it is to be asked."""

    def __init__(self, provider: FigureProvider, clock: Callable[[], datetime]) -> None:
        self.provider = provider
        self.counts = FigureCounts()
        self.last_problem: str | None = None
        self.failing = Failing()
        self.rests: Callable[[], bool] = lambda: False
        """Whether it is not to be asked for now."""
        self._clock = clock
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._wanted: OrderedDict[str, TokenRef] = OrderedDict()
        self._settled: dict[str, asyncio.Future[None]] = {}
        self._news = asyncio.Event()
        self._asking: frozenset[str] = frozenset()
        self._rests_until_s = 0.0
        """Loop time: it has failed, and is left alone until then."""
        self.others: Sequence[_Lane] = ()
        """Who else is asked about one token at a time."""

    def covers(self, token: TokenRef) -> bool:
        return self.provider.covers(token) and not self.rests()

    def has_told(self, token: TokenRef) -> bool:
        """Whether it has told of a token once, or is being asked."""
        answer = self._answers.get(token.key)
        return token.key in self._asking or (answer is not None and answer.token is not None)

    def fresh(self, token: TokenRef) -> _Answer | None:
        answer = self._answers.get(token.key)
        if answer is None:
            return None
        kept_for = UNKNOWN_FOR if answer.token is None else KEPT_FOR
        return answer if self._clock() - answer.at < kept_for else None

    def may_answer(self, within_s: float) -> bool:
        """Whether it can be asked so soon at all."""
        room = self.provider.room()
        again_in_s = 0.0 if room.requests > 0 else room.again_in_s
        return max(again_in_s, self._rests_until_s - asyncio.get_running_loop().time()) < within_s

    def wanted(self, token: TokenRef) -> asyncio.Future[None] | None:
        """Ask about a token as soon as there is room; `None` where that was done lately, or is in vain.

        Done when it was asked, or is given up.
        """
        if not self.covers(token) or self.fresh(token) is not None:
            return None
        settled = self._settled.get(token.key)
        if settled is None:
            settled = self._settled[token.key] = asyncio.get_running_loop().create_future()
            self._wanted[token.key] = token
            if len(self._wanted) > MAX_WANTED:
                self.counts.dropped += 1
                self._settle([self._wanted.popitem(last=False)[1]])
            self._news.set()
        return settled

    async def run(self, progress: Progress) -> None:
        while True:
            stop_if_cancelled()
            progress()
            if not self._wanted:
                await self._idle()
                continue
            room = self.provider.room()
            if room.requests < 1:
                await asyncio.sleep(min(max(room.again_in_s, TOGETHER_S), REPORT_EVERY_S))
                continue
            await asyncio.sleep(TOGETHER_S)
            await self._ask(self._page())

    async def _idle(self) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(REPORT_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            return

    def _page(self) -> list[TokenRef]:
        """Take the newest wishes of one chain: whoever waits longest has probably given up.

        Where each token costs a request, those first that nobody like this one has told of.
        """
        chain = next(reversed(self._wanted.values())).chain
        same = [token for token in reversed(self._wanted.values()) if token.chain == chain]
        if self.provider.tokens_per_request == 1 and self.others:
            same.sort(key=lambda token: any(other.has_told(token) for other in self.others))
        page = same[: self.provider.tokens_per_request]
        for token in page:
            del self._wanted[token.key]
        return page

    async def _ask(self, page: Sequence[TokenRef]) -> None:
        self.counts.requests += 1
        self._asking = frozenset(token.key for token in page)
        try:
            found = await self.provider.figures(page)
        except NotAskedError as error:
            stop_if_cancelled()
            self._give_up(page, error)
            await asyncio.sleep(min(max(error.again_in_s, TOGETHER_S), REPORT_EVERY_S))
        except TransientError as error:
            stop_if_cancelled()
            self.counts.failed += len(page)
            self.failing.failed(asyncio.get_running_loop().time())
            self._give_up(page, error)
            rests_s = FAILED_PAUSE_S if self.provider.tokens_per_request == 1 else TOGETHER_S
            self._rests_until_s = asyncio.get_running_loop().time() + rests_s
            await asyncio.sleep(rests_s)
        else:
            self.failing.answered(asyncio.get_running_loop().time())
            self._keep(page, found)
            self._settle(page)
        finally:
            self._asking = frozenset()

    def _give_up(self, page: Sequence[TokenRef], error: TransientError) -> None:
        write = log.debug if is_told_by_host(error) or self.failing.count > 1 else log.warning
        self.last_problem = str(error)
        write("figures_unavailable", source=self.provider.name, tokens=len(page), reason=str(error))
        self._settle(page)

    def _keep(self, page: Sequence[TokenRef], found: dict[str, Token]) -> None:
        self.last_problem, now = None, self._clock()
        for token in page:
            said = found.get(token.key)
            self.counts.answered += said is not None
            self.counts.unknown += said is None
            self._answers.pop(token.key, None)
            self._answers[token.key] = _Answer(said, now)
        while len(self._answers) > MAX_KEPT:
            self._answers.popitem(last=False)

    def _settle(self, page: Iterable[TokenRef]) -> None:
        for token in page:
            settled = self._settled.pop(token.key, None)
            if settled is not None and not settled.done():
                settled.set_result(None)


class FiguresService:
    """`of` needs `run` to be at work; without it, it says what was learnt before."""

    def __init__(self, providers: Sequence[FigureProvider], clock: Callable[[], datetime]) -> None:
        self._lanes = [_Lane(provider, clock) for provider in providers]
        single = [lane for lane in self._lanes if lane.provider.tokens_per_request == 1]
        for lane in single:
            lane.others = [other for other in single if other is not lane]

    @property
    def sources(self) -> dict[str, FigureCounts]:
        """Counts by name; who asks in several ways is counted together."""
        summed: dict[str, FigureCounts] = {}
        for lane in self._lanes:
            counts = summed.setdefault(lane.provider.name, FigureCounts())
            for name in FigureCounts.__struct_fields__:
                setattr(counts, name, getattr(counts, name) + getattr(lane.counts, name))
        return summed

    def may_ask_again(self, token: TokenRef) -> bool:
        """Whether everybody who may know the token failed to answer."""
        covering = [lane for lane in self._lanes if lane.covers(token)]
        return bool(covering) and all(lane.fresh(token) is None for lane in covering)

    def gives(self, token: TokenRef) -> frozenset[str]:
        """Figures that somebody may know of a token like this one."""
        covering = (lane.provider.gives for lane in self._lanes if lane.covers(token))
        return frozenset[str]().union(*covering)

    def problems(self) -> dict[str, str]:
        """Why a provider did not answer the last time, by its name."""
        return {lane.provider.name: lane.last_problem for lane in self._lanes if lane.last_problem is not None}

    def failing(self) -> dict[str, tuple[Failing, str | None]]:
        """By the provider's name, for how long it has told nothing, and why; of several ways the longest."""
        found: dict[str, tuple[Failing, str | None]] = {}
        for lane in sorted(self._lanes, key=lambda lane: (lane.failing.for_s, lane.failing.count)):
            found[lane.provider.name] = lane.failing, lane.last_problem
        return found

    def rest_while(self, rests: Callable[[str], bool]) -> None:
        """Let a provider of this name not be asked while this says so."""
        for lane in self._lanes:
            lane.rests = partial(rests, lane.provider.name)

    async def run(self, progress: Progress) -> None:
        """Ask for ever what is wanted."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run(progress), name=f"ask {lane.provider.name}")

    async def of(
        self, tokens: Iterable[TokenRef], *, waits_for: frozenset[str] | None = None, within_s: float
    ) -> dict[str, Token]:
        """Return what is known of tokens, by their keys; tokens that nobody knows are absent.

        `waits_for`: figures that are waited for, until they are known or `within_s` has passed; `None`: whoever may
        know anything. The others are asked as well.
        """
        wanted = {token.key: token for token in tokens}
        waiting = [
            (token, lane, settled)
            for token in wanted.values()
            for lane in self._lanes
            if (settled := lane.wanted(token)) is not None
        ]
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while (left_s := until - loop.time()) > 0:
            lacking = {key: self._lacks(token, waits_for) for key, token in wanted.items()}
            awaited = {
                settled
                for token, lane, settled in waiting
                if not settled.done() and lane.may_answer(left_s) and self._helps(lane, lacking[token.key])
            }
            if not awaited:
                break
            await asyncio.wait(awaited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        found = {key: self._known(token) for key, token in wanted.items()}
        return {key: token for key, token in found.items() if token is not None}

    def _lacks(self, token: TokenRef, waits_for: frozenset[str] | None) -> frozenset[str] | None:
        if waits_for is None:
            return None
        found = self._known(token)
        return frozenset(name for name in waits_for if found is None or getattr(found, name) is None)

    @staticmethod
    def _helps(lane: _Lane, lacking: frozenset[str] | None) -> bool:
        return lacking is None or bool(lacking & lane.provider.gives)

    def _known(self, token: TokenRef) -> Token | None:
        said: dict[str, Token] = {}
        for lane in self._lanes:
            answer = lane.fresh(token)
            if answer is not None and answer.token is not None:
                said[lane.provider.name] = answer.token
        return believed(token.address, cast("Chain", token.chain), said) if said else None
