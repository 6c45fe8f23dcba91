"""Alerts that a plan makes due later: out of the outbox until then, so that no sender has them in hand.

When they are due they go back as they were. That they wait follows from the decision's time and the plan alone, so an
alert that comes back once more, after a kill or out of PostgreSQL, is treated as it was, or goes out if it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, cast

import msgspec
from msgspec import Struct

from domain.subscribers.partitions import partition_of
from managers.redis.client import RedisManager
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from services.claims.outbox import GROUP, OutboxEntry
from services.monitoring.metrics import Metrics
from services.schedule.due_times import DELAYED, Due
from services.schedule.schedule import Job
from services.stores import keys
from services.stores.operations import ScriptCall
from services.stores.spool import Spool

AT_ONCE: Final = 200
"""Alerts of one subscriber that become due in one look."""

_DELAY: Final = Script.beside(__file__, "delay.lua")
_LET_GO: Final = Script.beside(__file__, "let_go.lua")


class Delaying(Struct, frozen=True, kw_only=True):
    """An entry of the outbox and when it is due."""

    entry: OutboxEntry
    until: datetime


class DelayedAlerts:
    def __init__(self, redis: RedisManager, spool: Spool, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._spool = spool
        self._counts = metrics.counts
        self._clock = clock

    def job(self) -> Job:
        return Job(name=DELAYED, run=self.let_go)

    async def put_aside(self, user_id: int, delayings: Sequence[Delaying]) -> None:
        """Take alerts of one subscriber out of the outbox until they are due. May be repeated."""
        partition = partition_of(user_id)
        names = [keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition), keys.DUE.of(DELAYED, partition)]
        names.append(keys.DELAYED_ALERTS.of(user_id))
        entries: list[dict[str, object]] = []
        for one in delayings:
            names.append(keys.SETTLED_LOCALLY.of(one.entry.entry_id))
            entries.append(
                {
                    "mark": len(names),
                    "id": None if one.entry.is_local else one.entry.entry_id,
                    "alert": raw(msgspec.json.encode(one.entry.alert)),
                    "due_ms": milliseconds(one.until),
                }
            )
        args = packed(group=GROUP, user_id=user_id, mark_s=keys.SETTLED_LOCALLY.expires_s, entries=entries)
        local = [one.entry.entry_id for one in delayings if one.entry.is_local]
        await self._spool.execute(ScriptCall(script=_DELAY, keys=names, args=args), settles=local)
        self._counts.alerts_delayed += len(delayings)

    async def let_go(self, due: Due) -> int:
        """Put what is due into the outbox, and say when the rest is; returns how many alerts went."""
        user_id = due.user_id
        partition = partition_of(user_id)
        names = [keys.OUTBOX.of(partition), keys.DUE.of(DELAYED, partition), keys.DELAYED_ALERTS.of(user_id)]
        args = packed(user_id=user_id, now_ms=milliseconds(self._clock()), at_most=AT_ONCE)
        released = cast("int", await self._redis.script(_LET_GO, names, args))
        self._counts.alerts_released += released
        return released
