"""Lets the channels of a market post on the stand-in's pages: calls in their own styles, and everything else between.

What was called is known here, so that whoever reads the pages can be compared with it.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random
from time import monotonic

from domain.calls.events import Token
from sandbox.channels.chatter import CHATTER
from sandbox.channels.server import ChannelsSandbox
from sandbox.channels.styles import STYLES
from sandbox.market.market import Market
from sandbox.providers.pools import Pools

_CHATTER_PER_CALL = 0.8
_REMEMBERED_CALLS = 50_000
_REMEMBERED_BY_CHANNEL = 20
_ADDRESS_AFTER_S = (8.0, 30.0)
_LONGEST_CATCH_UP_S = 1.0
_POSTS_PER_TURN = 50
_METERED_S = 10.0
_KEPT_POSTS = 500
"""By channel: older ones are taken off the page."""


@dataclass(frozen=True, slots=True)
class TrueCall:
    channel: str
    token: str
    number: int
    """Of the post."""
    at: datetime
    """When its address could be read for the first time."""
    style: str
    is_pool: bool
    """The post names the token's pool alone."""


@dataclass(frozen=True, slots=True)
class _Edit:
    at: datetime
    number: int
    html: str
    call: TrueCall


class PlayedChannels:
    """`async with played.playing():` posts until the block ends; `post_next` does so by hand."""

    def __init__(
        self,
        market: Market,
        pages: ChannelsSandbox,
        *,
        calls_per_s: float,
        pools: Pools | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        last_number: int = 0,
    ) -> None:
        """`last_number`: of the posts that every channel had before. Numbers of a channel never begin again."""
        self.market = market
        self.pages = pages
        self.calls: deque[TrueCall] = deque(maxlen=_REMEMBERED_CALLS)
        """What was called, in the order in which it could be read."""
        self.posted: OrderedDict[str, float] = OrderedDict()
        """Address of each token called lately -> `time.monotonic()` when its last call could be read."""
        self.called = 0
        """Calls since the beginning."""
        self.has_called = asyncio.Event()
        """Set once there is a call."""
        self._pools = pools or Pools()
        self.chatter = 0
        """Posts that call nothing."""
        self._calls_per_s = calls_per_s
        self._clock = clock
        self._random = Random(f"{market.seed} channels")
        self._styles = dict(zip(sorted(market.channel_ids), _repeated(list(STYLES)), strict=False))
        self._called: dict[str, deque[Token]] = {}
        self._edits: list[_Edit] = []
        """The next one first."""
        for name in market.channel_ids:
            channel = market.channel(name)
            pages.channel(name, title=channel.title if channel else None).last_number = last_number

    @property
    def url(self) -> str:
        return self.pages.url

    def calls_lately_per_s(self) -> float:
        """How many a second could be read in the last ten."""
        since = monotonic() - _METERED_S
        return sum(1 for _ in takewhile(lambda at: at > since, reversed(self.posted.values()))) / _METERED_S

    @property
    def names(self) -> tuple[str, ...]:
        return self.market.channel_ids

    def style_of(self, channel: str) -> str:
        return self._styles[channel]

    def find_token(self, address: str) -> Token | None:
        return self.market.token(address, self._clock())

    def token_of_pool(self, pool: str) -> str | None:
        """The address of the token that a pool trades, if that was called lately."""
        return self._pools.token(pool)

    def post_next(self, at: datetime) -> None:
        """Let one channel post something at that time, after the edits that are due by then."""
        while self._edits and self._edits[0].at <= at:
            self._insert(self._edits.pop(0))
        share = 1 / (1 + _CHATTER_PER_CALL)
        if not self._called or self._random.random() < share:
            self._call(at)
        else:
            self._chat(at)

    def finish(self) -> None:
        """Make the edits that were still to come."""
        while self._edits:
            self._insert(self._edits.pop(0))

    @asynccontextmanager
    async def playing(self) -> AsyncGenerator[None]:
        player = asyncio.create_task(self._play(), name="channels")
        try:
            yield
        finally:
            player.cancel()
            [ended] = await asyncio.gather(player, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    def _call(self, at: datetime) -> None:
        call = self.market.next_call(at)
        name, token = call.channel.id, call.token
        style = self._styles[name]
        written = STYLES[style](self._random, token)
        number = self.pages.post(
            name,
            html=written.html,
            at=at,
            media=written.media,
            origin=written.origin,
            buttons=written.buttons,
            views=self._random.randint(1, 40_000),
        )
        self._called.setdefault(name, deque(maxlen=_REMEMBERED_BY_CHANNEL)).append(token)
        self._forget(name, number)
        if written.later is None:
            self._note(TrueCall(name, token.address, number, at, style, written.is_pool))
            return
        later = at + timedelta(seconds=self._random.uniform(*_ADDRESS_AFTER_S))
        true = TrueCall(name, token.address, number, later, style, written.is_pool)
        insort(self._edits, _Edit(later, number, written.later, true), key=lambda edit: edit.at)

    def _chat(self, at: datetime) -> None:
        name = self._random.choice(list(self._called))
        readable = [token for token in self._called[name] if token.address in self.posted]
        if not readable:
            return
        written = CHATTER[self._random.choice(list(CHATTER))](self._random, readable)
        number = self.pages.post(
            name, html=written.html, at=at, media=written.media, is_service=written.is_service, views=7
        )
        self.chatter += 1
        self._forget(name, number)

    def _insert(self, edit: _Edit) -> None:
        if edit.number in self.pages.channel(edit.call.channel).posts:
            self.pages.edit(edit.call.channel, edit.number, html=edit.html)
            self._note(edit.call)

    def _note(self, call: TrueCall) -> None:
        self.calls.append(call)
        self.called += 1
        self.has_called.set()
        self.posted[call.token] = monotonic()
        self.posted.move_to_end(call.token)
        self._pools.of(call.token)
        if len(self.posted) > _REMEMBERED_CALLS:
            self.posted.popitem(last=False)

    def _forget(self, name: str, number: int) -> None:
        self.pages.channel(name).posts.pop(number - _KEPT_POSTS, None)

    async def _play(self) -> None:
        """Poisson arrivals; up to a second that was missed is made up for."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        rate = self._calls_per_s * (1 + _CHATTER_PER_CALL)
        while True:
            due_s = max(due_s, loop.time() - _LONGEST_CATCH_UP_S)
            for _ in range(_POSTS_PER_TURN):
                if not rate or due_s > loop.time():
                    break
                self.post_next(self._clock())
                due_s += self._random.expovariate(rate)
            await asyncio.sleep(max(0.0, due_s - loop.time()) if rate else 1.0)


def _repeated(styles: list[str]) -> list[str]:
    """As many as there may be channels."""
    return styles * 20
