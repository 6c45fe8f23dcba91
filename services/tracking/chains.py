"""On which chain a token lives that is known by its address alone: as its latest call says, else where it is traded.

An address of an EVM chain may be in use on several of them, and says of which it is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, LiteralString

import structlog
from cachetools import LRUCache
from msgspec import Struct

from domain.calls.addresses import is_evm
from domain.calls.events import EVM_CHAINS
from domain.prices.readings import PriceReading, TokenRef
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REMEMBERED: Final = 100_000
GUESS_FOR_S: Final = 600.0
"""So long until it is looked whether a call says by now what was only guessed."""
_CALLED: Final[LiteralString] = """
    SELECT DISTINCT ON (token_address) token_address, document #>> '{token,chain}' AS chain FROM calls
    WHERE token_address = ANY($1::text[]) ORDER BY token_address, called_at DESC
"""


class _Known(Struct, frozen=True):
    chain: str
    until: float


class Chains:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], float]) -> None:
        self._postgres = postgres
        self._clock = clock
        self._known: LRUCache[str, _Known] = LRUCache(REMEMBERED)

    async def refs(self, addresses: Iterable[str]) -> list[TokenRef]:
        """What to ask about, in order: of which nobody knows the chain, on each; left out while nobody can say."""
        asked = list(dict.fromkeys(addresses))
        now = self._clock()
        unsure = [
            one for one in asked if is_evm(one) and ((known := self._known.get(one)) is None or known.until < now)
        ]
        try:
            await self._look_up(unsure, now)
        except TransientError as error:
            log.warning("chains_unknown", reason=str(error), tokens=len(unsure))
            asked = [one for one in asked if not is_evm(one) or one in self._known]
        return [ref for address in asked for ref in self._refs(address)]

    def of_one_chain(self, readings: Sequence[PriceReading]) -> list[PriceReading]:
        """One for each address; where several chains answer, the deepest pool has the price from then on."""
        found: dict[str, PriceReading] = {}
        for reading in readings:
            address, known = reading.token.address, self._known.get(reading.token.address)
            if known is not None and known.chain != reading.token.chain:
                continue
            if address not in found or _depth(reading) > _depth(found[address]):
                found[address] = reading
        for address, reading in found.items():
            if is_evm(address) and address not in self._known:
                self._known[address] = _Known(reading.token.chain, self._clock() + GUESS_FOR_S)
        return list(found.values())

    def ref(self, address: str) -> TokenRef:
        """As which it was asked last."""
        return self._refs(address)[0]

    def _is_unsure(self, address: str, now: float) -> bool:
        known = self._known.get(address)
        return known is None or known.until < now

    def _refs(self, address: str) -> list[TokenRef]:
        if not is_evm(address):
            return [TokenRef(address)]
        known = self._known.get(address)
        return [TokenRef(address, chain) for chain in (EVM_CHAINS if known is None else (known.chain,))]

    async def _look_up(self, addresses: Sequence[str], now: float) -> None:
        rows = await self._postgres.fetch(_CALLED, list(addresses)) if addresses else []
        for address in addresses:
            guess = self._known.get(address)
            if guess is not None:
                self._known[address] = _Known(guess.chain, now + GUESS_FOR_S)
        for row in rows:
            if row["chain"] in EVM_CHAINS:
                self._known[row["token_address"]] = _Known(row["chain"], math.inf)


def _depth(reading: PriceReading) -> float:
    return reading.liquidity_usd or 0.0
