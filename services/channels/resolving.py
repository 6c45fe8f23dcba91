"""What token a call means where its post names a pool, or an address without a chain: providers are asked.

Who is asked first comes first; the next one is asked where that one does not answer, or does not know. A pool may be
younger than what they know, so "nobody knows" is no answer for a while either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import structlog

from domain.calls.addresses import is_address
from domain.prices.readings import TokenRef
from managers.http.api import is_told_by_host
from managers.providers.lookup import TokenLookup
from managers.storage.postgres import PostgresDataError
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.channels.rows import GIVEN_UP_AFTER, ChannelRows
from services.channels.wire import CalledToken, UnresolvedCall, call_of

log = structlog.get_logger(__name__)

T = TypeVar("T")

CHAINS: Final = frozenset({"solana", "ethereum", "bsc", "base"})
"""What the feed can speak of."""
EVERY_S: Final = 5.0
AT_ONCE: Final = 30


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
        self.settled: Callable[[str], None] = lambda _: None
        """Told of a channel when more is known of what it has called; whoever remembers that sets it."""
        self.resolved = 0
        """Calls, since the start; so is the next one."""
        self.given_up = 0

    async def run(self, progress: Progress) -> None:
        """Ask again about what nobody knew, for ever."""
        while True:
            try:
                await self.look_again(progress)
            except TransientError as error:
                log.warning("unresolved_calls_delayed", reason=str(error))
            await pause(EVERY_S, progress)

    async def look_again(self, progress: Progress) -> None:
        for one, since in await self._rows.unresolved(AT_ONCE, self._clock()):
            progress()
            try:
                await self._ask(one, since)
            except PostgresDataError as error:
                self.given_up += 1
                log.warning("call_refused", channel=one.channel, number=one.number, problem=str(error)[:200])
                await self._rows.settle(one, None, self._clock())

    async def _ask(self, one: UnresolvedCall, since: datetime) -> None:
        token = await self.resolve(one)
        if token is not None:
            meant = call_of(one, token) if token.chain in CHAINS else "unfollowed_chain"
            is_called = await self._rows.settle(one, meant, self._clock())
            self.resolved += 1
            self.settled(one.channel)
            if is_called:
                self._written()
        elif self._clock() - since > GIVEN_UP_AFTER:
            await self._rows.settle(one, None, self._clock())
            self.settled(one.channel)
            self.given_up += 1
            log.info("call_given_up", channel=one.channel, number=one.number, address=one.address)

    async def resolve(self, one: UnresolvedCall) -> CalledToken | None:
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


async def _deepest(lookup: TokenLookup, one: UnresolvedCall) -> CalledToken | None:
    found = (await lookup.chains_of([one.address])).get(one.address, [])
    return CalledToken(one.address, found[0].chain) if found else None
