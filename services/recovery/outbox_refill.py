"""What an emptied outbox gets back: alerts and messages that nobody has settled, calls that wait for a digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert, HeldCall
from domain.stored.outgoing import Envelope, Outgoing
from domain.subscribers.partitions import PARTITIONS, Partition, partition_of
from managers.redis.client import Command, RedisManager
from managers.storage.postgres import PostgresManager, Row
from runtime.clock import milliseconds
from runtime.waiting import Progress
from services.claims.claiming import GROUP
from services.recovery.readable import readable
from services.schedule.due_times import DELAYED, DIGEST
from services.stores import keys
from services.stores.in_flight_log import Pair, pairs_of
from services.stores.spool import Spool

_BATCH: Final = 500
_alert: Final = msgspec.json.Decoder(Alert).decode
_envelope: Final = msgspec.json.Decoder(Envelope).decode
_PUT_FOR: Final = timedelta(seconds=keys.PUT.expires_s)

# What has no outcome, and what waits for a digest that has not gone.
_UNSETTLED: Final[LiteralString] = """
    SELECT c.document::text AS alert, d.reason AS held_because, coalesce(d.may_repeat, false) AS may_repeat
    FROM claims c
    LEFT JOIN deliveries d ON d.call_id = c.call_id AND d.user_id = c.user_id AND d.kind = 'alert'
    WHERE c.claimed_at > $1 AND EXISTS (SELECT 1 FROM calls k WHERE k.call_id = c.call_id)
        AND (d.call_id IS NULL OR d.status = 'digest' AND NOT EXISTS (
        SELECT 1 FROM deliveries g WHERE g.call_id = c.call_id AND g.user_id = c.user_id AND g.kind = 'digest'))
    ORDER BY c.claimed_at
"""
# Everything that was put, and whether its fate is known.
_PUT: Final[LiteralString] = """
    SELECT o.document::text AS envelope, d.call_id IS NOT NULL AS is_settled
    FROM outgoing o LEFT JOIN deliveries d ON d.call_id = o.key AND d.user_id = o.user_id AND d.kind = o.kind
    WHERE o.decided_at > $1 ORDER BY o.decided_at
"""

Doubted = Mapping[Partition, set[Pair]]
"""What may have arrived already; of a partition that is missing everything may have."""


class OutboxRefill:
    def __init__(
        self, *, redis: RedisManager, postgres: PostgresManager, spool: Spool, clock: Callable[[], datetime]
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._spool = spool
        self._clock = clock

    async def put_back(self, doubted: Doubted, progress: Progress) -> tuple[int, int]:
        """Put what is not settled into the outbox and the digests; what may have arrived already says so.

        Returns how many wait for a sender and how many for a digest.
        """
        local = await self._local_pairs()
        await self._redis.transaction([("DEL", keys.OUTBOX.of(p), keys.IN_FLIGHT.of(p)) for p in range(PARTITIONS)])
        await self._forget_held()
        for partition in range(PARTITIONS):
            await self._redis.xgroup_create(keys.OUTBOX.of(partition), GROUP)
        waiting = held = 0
        async for alerts in self._unsettled():
            progress()
            commands: list[Command] = []
            for alert, held_because, repeated in alerts:
                if (alert.user_id, alert.call_id) in local:
                    continue
                may_repeat = repeated or _is_doubted(alert, doubted)
                if held_because is None:
                    waiting += 1
                    commands += _to_outbox(alert, waiting, may_repeat=may_repeat)
                else:
                    held += 1
                    commands += _to_digest(alert, held_because, self._clock(), may_repeat=may_repeat)
            await self._redis.transaction(commands)
        waiting = await self._put_back_envelopes(waiting, doubted, progress)
        if waiting:
            await self._hand_out(progress)
        return waiting, held

    async def _put_back_envelopes(self, waiting: int, doubted: Doubted, progress: Progress) -> int:
        """Put back unique keys and, behind the `waiting` entries, what is not settled; return how many wait then."""
        now = self._clock()
        async for rows in self._postgres.stream(_PUT, now - _PUT_FOR, batch=_BATCH):
            progress()
            commands: list[Command] = []
            for row, one in readable("message", rows, lambda row: (row, _envelope(row["envelope"]))):
                lives_ms = max(1, milliseconds(one.decided_at + _PUT_FOR) - milliseconds(now))
                commands.append(("SET", keys.unique_key(one), milliseconds(one.decided_at), "NX", "PX", lives_ms))
                if not row["is_settled"]:
                    waiting += 1
                    commands += _to_outbox(one, waiting, may_repeat=_is_doubted(one, doubted))
            await self._redis.transaction(commands)
        return waiting

    async def _forget_held(self) -> None:
        """Of a Redis that lacks only what was written last, some of this may have gone out."""
        for job, kept in ((DIGEST, keys.HELD_CALLS), (DELAYED, keys.DELAYED_ALERTS)):
            for due_times in (keys.DUE.of(job, partition) for partition in range(PARTITIONS)):
                while due := await self._redis.zrange_by_score(due_times, count=_BATCH):
                    users = [user_id for user_id, _ in due]
                    held = ("DEL", *(kept.of(user_id) for user_id in users))
                    await self._redis.transaction([held, ("ZREM", due_times, *users)])

    async def _hand_out(self, progress: Progress) -> None:
        """Give the alerts to a reader who is none: whoever recovers them sees which may have arrived."""
        streams = [keys.OUTBOX.of(partition) for partition in range(PARTITIONS)]
        while await self._redis.xreadgroup_many(streams, GROUP, "refill", count=_BATCH, block_ms=1):
            progress()

    async def _unsettled(self) -> AsyncIterator[Sequence[tuple[Alert, str | None, bool]]]:
        """Yield alerts, why they are held (`None`: they wait for a sender), and whether that may be a repeat."""

        def read(row: Row) -> tuple[Alert, str | None, bool]:
            return _alert(row["alert"]), row["held_because"], row["may_repeat"]

        async for rows in self._postgres.stream(_UNSETTLED, self._clock() - ACCEPTED_FOR, batch=_BATCH):
            yield list(readable("alert", rows, read))

    async def _local_pairs(self) -> set[tuple[int, str]]:
        """Alerts that live in the local store: they are on their way from there."""
        alerts = [msgspec.json.decode(one.alert_json, type=Alert) for one in await self._spool.unsettled()]
        return {(alert.user_id, alert.call_id) for alert in alerts}


def _is_doubted(outgoing: Outgoing, doubted: Doubted) -> bool:
    in_doubt = doubted.get(partition_of(outgoing.user_id))
    return in_doubt is None or not in_doubt.isdisjoint(pairs_of(outgoing))


def _to_outbox(outgoing: Outgoing, number: int, *, may_repeat: bool) -> list[Command]:
    partition = partition_of(outgoing.user_id)
    # An id of our own, so that its mark can be written in the same transaction; the server's next ones are higher.
    entry_id = f"1-{number}"
    commands: list[Command] = [("XADD", keys.OUTBOX.of(partition), entry_id, "alert", msgspec.json.encode(outgoing))]
    if may_repeat:
        commands.append(("HSET", keys.IN_FLIGHT.of(partition), entry_id, milliseconds(outgoing.decided_at)))
    return commands


def _to_digest(alert: Alert, reason: str, now: datetime, *, may_repeat: bool) -> list[Command]:
    held = HeldCall(
        call_id=alert.call_id,
        token_address=alert.token_address,
        set_number=alert.set_number,
        also=alert.also,
        score=alert.score,
        late_s=alert.late_s,
        received_at=alert.received_at,
        decided_at=alert.decided_at,
        held_at=now,
        due_at=now,
        reason=reason,
        may_repeat=may_repeat,
    )
    return [
        ("HSET", keys.HELD_CALLS.of(alert.user_id), alert.call_id, msgspec.json.encode(held)),
        ("ZADD", keys.DUE.of(DIGEST, partition_of(alert.user_id)), milliseconds(now), alert.user_id),
    ]
