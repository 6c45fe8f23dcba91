"""Which of the alerts that go into an emptied Redis may have arrived already: who sends says so, by partition.

A running sender knows its partitions. A process that sent alone and was killed has written down what it knew
(`services.stores.in_flight_log`); it is believed while PostgreSQL names its log as that of the last sender.
Nobody speaks for a partition whose sender died among others: then all its alerts may have arrived.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Final

import msgspec

from domain.subscribers.partitions import ALL, Partition, partition_of
from managers.redis.client import RedisManager
from runtime.errors import TransientError
from services.stores import keys
from services.stores.database import Database
from services.stores.in_flight_log import InFlightLog, Pair
from services.stores.spool import Spool

_NOTE_EVERY_S: Final = 5.0


class Doubts:
    def __init__(
        self, redis: RedisManager, database: Database, begun: InFlightLog, spool: Spool, *, sends: bool
    ) -> None:
        """`sends`: whether alerts are ever sent from here."""
        self._redis = redis
        self._database = database
        self._begun = begun
        self._spool = spool
        self._sends = sends
        self.unknown: set[Pair] = set()
        """Alerts that were in hand when Redis was found empty, and may have arrived. They are few, and kept: it may be
        emptied again before they are in hand again.
        """
        self.certain: frozenset[Partition] = frozenset()
        """Ours, and all that may have arrived of them is in `unknown`."""
        self._has_met = False
        self._noted_at = -math.inf

    @property
    def is_noted(self) -> bool:
        """Whether PostgreSQL knows who sends."""
        return not self._sends or self._noted_at > -math.inf

    async def meet(self) -> None:
        """Before anything is sent from here: what another has written down for itself is not the whole any more."""
        if self._has_met or not self._sends:
            return
        with suppress(TransientError):
            if await self._database.sender() != self._begun.found_token:
                await self._database.note_sender(None)
        self._has_met = True

    async def note_sender(self, recovered: frozenset[Partition]) -> None:
        """Let PostgreSQL know whose log is to be believed after a kill: ours, if nobody else sends."""
        if not self._sends or time.monotonic() - self._noted_at < _NOTE_EVERY_S:
            return
        if not self._spool.is_alone:
            await self._database.note_sender(None)
        elif recovered == ALL:
            await self._database.note_sender(self._begun.token)
        else:
            return  # what a predecessor left is not written down yet
        self._noted_at = time.monotonic()

    async def tell(self, *, began_empty: bool) -> None:
        """Say of the partitions that are sent here which alerts may have arrived."""
        may_know = began_empty and self._begun.found_token is not None and self._spool.is_alone
        if may_know and await self._database.sender() == self._begun.found_token:
            self.certain = ALL
            self.unknown |= self._begun.unknown()
        if not self.certain:
            return
        by_partition: dict[Partition, list[Pair]] = {partition: [] for partition in self.certain}
        for user_id, call_id in self.unknown:
            by_partition.setdefault(partition_of(user_id), []).append((user_id, call_id))
        told = [part for p in self.certain for part in (p, msgspec.json.encode(by_partition[p]))]
        key = keys.IN_DOUBT.of()
        await self._redis.transaction([("HSET", key, *told), ("EXPIRE", key, keys.IN_DOUBT.expires_s)])

    async def of_all(self) -> dict[Partition, set[Pair]]:
        """Return what everybody has told; of a partition that is missing, every alert may have arrived."""
        told = await self._redis.hgetall(keys.IN_DOUBT.of())
        return {int(p): {*msgspec.json.decode(pairs, type=list[Pair])} for p, pairs in told.items()}
