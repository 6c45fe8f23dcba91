"""Which token an address means that somebody pasted: on which chain it is, and what a pool is there for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar, cast, get_args

import structlog

from domain.calls.addresses import is_address
from domain.calls.events import Chain
from domain.posts.gathering import Candidate
from domain.prices.readings import TokenRef
from managers.http.api import is_told_by_host
from managers.providers.lookup import TokenLookup
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

T = TypeVar("T")

CHAINS: Final = frozenset(get_args(Chain))
WITHIN_S: Final = 3.0
"""Somebody waits for the answer."""


class Identifying:
    def __init__(self, lookups: Sequence[TokenLookup]) -> None:
        """Who is asked first comes first."""
        self._lookups = lookups

    async def token(self, one: Candidate) -> TokenRef | None:
        """`None` for an address of which nobody can say in time what it is, or that is of no chain of ours."""
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._token(one)
        except TimeoutError:
            log.warning("lookup_late", address=one.address)
            found = None
        return found if found is not None and found.chain in CHAINS else None

    async def _token(self, one: Candidate) -> TokenRef | None:
        if one.is_pool:
            pool = await self._first(lambda lookup: lookup.token_of_pool(one.chain, one.address))
            if pool is not None:
                return TokenRef(pool.address, cast("Chain", pool.chain))
            if not is_address(one.address):
                return None  # it has lost its capitals, and can only be looked up as a pool
        if one.chain is not None:  # links to pools may hold the token's own address
            return TokenRef(one.address, cast("Chain", one.chain))
        chain = await self._first(lambda lookup: _deepest(lookup, one.address))
        return None if chain is None else TokenRef(one.address, cast("Chain", chain))

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


async def _deepest(lookup: TokenLookup, address: str) -> str | None:
    found = (await lookup.chains_of([address])).get(address, [])
    return next((one.chain for one in found if one.chain in CHAINS), None)
