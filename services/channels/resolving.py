"""What token a call means where its post names a pool, or an address without a chain: providers are asked.

Who is asked first comes first; the next one is asked where that one does not answer, or does not know. A pool may be
younger than what they know, so "nobody knows" is no answer for a while either. What waits was written down before: it
is asked about at once, side by side, and again and again until it is known, whoever is stopped meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import structlog

from domain.calls.addresses import is_address
from domain.prices.readings import TokenRef
from managers.http.api import is_told_by_host
from managers.providers.lookup import TokenLookup
from managers.storage.postgres import PostgresDataError
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress, pause, reporting
from services.channels.rows import GIVEN_UP_AFTER, ChannelRows
from services.channels.wire import CalledToken, UnresolvedCall, call_of

log = structlog.get_logger(__name__)

T = TypeVar("T")

CHAINS: Final = frozenset({"solana", "ethereum", "bsc", "base"})
"""What the feed can speak of."""
EVERY_S: Final = 5.0
AT_ONCE: Final = 15
"""Addresses that are asked about again in one round: at most 180 a minute, of the 300 that DexScreener allows."""
SIDE_BY_SIDE: Final = 8
NEW_SIDE_BY_SIDE: Final = 16
"""Of those that were just posted, which wait for no round."""
MAX_NEW: Final = 1_000
"""What is more has its turn in a round."""


class Asked(NamedTuple):
    """What is asked about, whichever posts of whichever channels name it."""

    address: str
    chain: str | None
    is_pool: bool


def _asked(one: UnresolvedCall) -> Asked:
    return Asked(one.address, one.chain, one.is_pool)


class Resolver:
    def __init__(
        self,
        *,
        lookups: Sequence[TokenLookup],
        rows: ChannelRows,
        is_token: Callable[[TokenRef], Awaitable[bool]],
        clock: Callable[[], datetime],
        written: Callable[[], None],
    ) -> None:
        """`is_token`: whether anybody knows figures of it. `written` is told when calls were written."""
        self._is_token = is_token
        self._lookups = lookups
        self._rows = rows
        self._clock = clock
        self._written = written
        self._new: OrderedDict[str, dict[Asked, None]] = OrderedDict()
        """By channel; each has its turn, so that one that posts many holds up no other."""
        self._news = asyncio.Event()
        self.settled: Callable[[str], None] = lambda _: None
        """Told of a channel when more is known of what it has called; whoever remembers that sets it."""
        self.resolved = 0
        """Calls, since the start; so is the next one."""
        self.given_up = 0

    def ask(self, calls: Sequence[UnresolvedCall]) -> None:
        """Ask about calls that were just written down, without waiting for their turn in a round."""
        for call in calls:
            if sum(map(len, self._new.values())) < MAX_NEW:
                self._new.setdefault(call.channel, {})[_asked(call)] = None
        self._news.set()

    async def run(self, progress: Progress) -> None:
        """Ask about what is new at once, and again about what nobody knew, for ever."""
        self._new.clear()  # from before another process gave way; what was never asked about comes first in a round
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_new(group), name="new unresolved calls")
            while True:
                try:
                    await self.look_again(progress)
                except TransientError as error:
                    log.warning("unresolved_calls_delayed", reason=str(error))
                await pause(EVERY_S, progress)

    async def look_again(self, progress: Progress) -> None:
        """One round."""
        waiting = await self._rows.unresolved(AT_ONCE, self._clock())
        room = asyncio.Semaphore(SIDE_BY_SIDE)

        async def ask_all() -> None:
            async with asyncio.TaskGroup() as group:
                for asked in dict.fromkeys(_asked(one) for one, _ in waiting):
                    await room.acquire()
                    group.create_task(self._ask(asked, room), name=f"resolve {asked.address}")

        await reporting(ask_all(), progress)

    async def _ask_new(self, group: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(NEW_SIDE_BY_SIDE)
        while True:
            await room.acquire()
            while (asked := self._next_new()) is None:
                self._news.clear()
                await self._news.wait()
            group.create_task(self._ask(asked, room), name=f"resolve {asked.address}")

    def _next_new(self) -> Asked | None:
        if not self._new:
            return None
        channel, waiting = self._new.popitem(last=False)
        asked = next(iter(waiting))
        del waiting[asked]
        if waiting:
            self._new[channel] = waiting
        return asked

    async def _ask(self, asked: Asked, room: asyncio.Semaphore) -> None:
        """Ask about one, and settle all that name it. Whatever happens to it happens to no other."""
        try:
            token = await self.resolve(asked)
            for one, since in await self._rows.waiting_for(asked.address):
                if _asked(one) == asked and (token is not None or self._clock() - since > GIVEN_UP_AFTER):
                    await self._settle(one, token)
        except TransientError as error:
            stop_if_cancelled()
            log.warning("unresolved_call_delayed", address=asked.address, reason=str(error))
        finally:
            room.release()

    async def _settle(self, one: UnresolvedCall, token: CalledToken | None) -> None:
        """Write what a call means, or that nobody knows it: it is asked about anew when it is posted again."""
        meant = token and (call_of(one, token) if token.chain in CHAINS else "unfollowed_chain")
        try:
            is_called = await self._rows.settle(one, meant, self._clock())
        except PostgresDataError as error:
            log.warning("call_refused", channel=one.channel, number=one.number, problem=str(error)[:200])
            token, is_called = None, await self._rows.settle(one, None, self._clock())
        self.settled(one.channel)
        if token is None:
            self.given_up += 1
            log.info("call_given_up", channel=one.channel, number=one.number, address=one.address)
            return
        self.resolved += 1
        if is_called:
            self._written()

    async def resolve(self, one: Asked) -> CalledToken | None:
        """Return what it means; `None` while nobody knows or answers."""
        if one.is_pool:
            pool = await self._first(lambda lookup: lookup.token_of_pool(one.chain, one.address))
            if pool is not None:
                return CalledToken(pool.address, pool.chain)
        if one.chain is None:
            return await self._first(lambda lookup: _deepest(lookup, one))
        token = CalledToken(one.address, one.chain)
        if one.is_pool and not is_address(one.address):
            return None  # it has lost its capitals, and can only be looked up as a pool
        # Links to pools may hold the token's own address.
        return token if not one.is_pool or await self._is_token(TokenRef(token.address, token.chain)) else None

    async def _first(self, ask: Callable[[TokenLookup], Awaitable[T | None]]) -> T | None:
        for lookup in self._lookups:
            try:
                found = await ask(lookup)
            except TransientError as error:
                write = log.debug if is_told_by_host(error) else log.warning
                write("lookup_unavailable", source=lookup.name, reason=str(error))
                continue
            if found is not None:
                return found
        return None


async def _deepest(lookup: TokenLookup, one: Asked) -> CalledToken | None:
    found = (await lookup.chains_of([one.address])).get(one.address, [])
    return CalledToken(one.address, found[0].chain) if found else None
