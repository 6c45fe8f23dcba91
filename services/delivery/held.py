"""Calls that wait for a digest, in Redis: each is held once and leaves in one digest, whatever is killed or repeated.

Holding takes the alert out of the outbox in the same script; a digest goes into the outbox in the same script that
takes its calls out of here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.policy import Hold
from domain.stored.alerts import Alert, HeldCall
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import Digest, Envelope
from domain.subscribers.partitions import partition_of
from managers.redis.client import RedisManager
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from services.claims.outbox import GROUP, OutboxEntry
from services.delivery.policy import competes, recent_alert_member
from services.schedule.due_times import DIGEST
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.operations import ScriptCall
from services.stores.spool import Spool

log = structlog.get_logger(__name__)

CALLS_PER_DIGEST: Final = 1_000
"""So that an entry of the outbox stays small; more calls make more digests."""

_HOLD: Final = Script.beside(__file__, "hold.lua")
_DISPATCH: Final = Script.beside(__file__, "dispatch.lua")
_TAKE_BACK: Final = Script.beside(__file__, "take_back.lua")
_BRING_FORWARD: Final = Script.beside(__file__, "bring_forward.lua")
_RESCHEDULE: Final = Script.beside(__file__, "reschedule.lua")


class Holding(Struct, frozen=True, kw_only=True):
    """An entry of the outbox and why it waits."""

    entry: OutboxEntry
    verdict: Hold


class HeldCalls:
    def __init__(self, redis: RedisManager, spool: Spool, journal: Journal) -> None:
        self._redis = redis
        self._spool = spool
        self._journal = journal

    async def hold(self, user_id: int, holdings: Sequence[Holding], now: datetime, *, capped: bool) -> list[Holding]:
        """Move alerts of one subscriber from the outbox into their next digest; return those. May be repeated.

        What is held of a digest are its calls: they go back to where they were. `capped`: what came up is remembered.
        """
        for one in holdings:
            if isinstance(one.entry.outgoing, Digest):
                await self._take_back(one.entry, one.entry.outgoing, now)
        alerts = [one for one in holdings if isinstance(one.entry.outgoing, Alert)]
        if alerts:
            await self._hold(user_id, alerts, now, capped=capped)
        return alerts

    async def _hold(self, user_id: int, holdings: Sequence[Holding], now: datetime, *, capped: bool) -> None:
        partition = partition_of(user_id)
        names = [keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition), keys.JOURNAL.of(), _due(user_id)]
        names += [keys.HELD_CALLS.of(user_id), keys.RECENT_ALERTS.of(user_id)]
        records = [_record(one) for one in holdings]
        entries: list[dict[str, object]] = []
        for one, record in zip(holdings, records, strict=True):
            alert, entry_id = one.entry.alert, one.entry.entry_id
            names.append(keys.SETTLED_LOCALLY.of(entry_id))
            entries.append(
                {
                    "mark": len(names),
                    "id": None if one.entry.is_local else entry_id,
                    "call_id": alert.call_id,
                    "held_call": raw(msgspec.json.encode(_held_call(one.entry, one.verdict, now))),
                    "due_ms": milliseconds(one.verdict.until),
                    "record": raw(msgspec.json.encode(record)),
                    "came_up": recent_alert_member(alert, sent=False) if capped and competes(one.verdict) else None,
                }
            )
        args = packed(
            group=GROUP,
            user_id=user_id,
            now_ms=milliseconds(now),
            came_up_s=keys.RECENT_ALERTS.expires_s,
            mark_s=keys.SETTLED_LOCALLY.expires_s,
            entries=entries,
        )
        local = [one.entry.entry_id for one in holdings if one.entry.is_local]
        await self._spool.execute(ScriptCall(script=_HOLD, keys=names, args=args), settles=local)
        self._journal.tail.note(entry("delivery", msgspec.json.encode(record)) for record in records)
        self._journal.begun.settle(records)
        self._journal.begun.stored(records)

    async def of(self, user_id: int) -> list[HeldCall]:
        """Return the calls held for a user, the first held first."""
        found = await self._redis.hgetall(keys.HELD_CALLS.of(user_id))
        held: list[HeldCall] = []
        for call_id, document in found.items():
            try:
                held.append(msgspec.json.decode(document, type=HeldCall))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("held_call_unreadable", user_id=user_id, call_id=call_id, reason=str(error))
        return sorted(held, key=lambda call: (call.held_at, call.call_id))

    async def dispatch(self, user_id: int, calls: Sequence[HeldCall], now: datetime) -> str | None:
        """Put a digest of these calls into the outbox; `None` when they (or some) have left already, else its entry."""
        digest = Digest(user_id=user_id, decided_at=now, held=tuple(calls))
        args = packed(digest=raw(msgspec.json.encode(digest)), call_ids=[call.call_id for call in calls])
        names = [keys.OUTBOX.of(partition_of(user_id)), keys.HELD_CALLS.of(user_id)]
        reply = await self._redis.script(_DISPATCH, names, args)
        return reply.decode() if isinstance(reply, bytes) else None

    async def waits(self, user_id: int, entry_id: str) -> bool:
        """Whether a digest that was dispatched still stands in the outbox."""
        found = await self._redis.xrange(keys.OUTBOX.of(partition_of(user_id)), start=entry_id, count=1)
        return bool(found) and found[0].id == entry_id

    async def bring_forward(self, user_id: int, now: datetime) -> None:
        """What waits for this user is looked at now, whenever it was to be."""
        args = packed(user_id=user_id, now_ms=milliseconds(now))
        await self._redis.script(_BRING_FORWARD, [_due(user_id)], args)

    async def postpone(self, user_id: int, *, seen: int, until: datetime) -> None:
        """Say when the next of the `seen` calls that are left is due; nothing left, nothing due."""
        names = [_due(user_id), keys.HELD_CALLS.of(user_id)]
        await self._redis.script(_RESCHEDULE, names, packed(user_id=user_id, seen=seen, due_ms=milliseconds(until)))

    async def _take_back(self, entry: OutboxEntry, digest: Digest, now: datetime) -> None:
        user_id, partition = digest.user_id, entry.partition
        names = [keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition), _due(user_id), keys.HELD_CALLS.of(user_id)]
        calls = {
            call.call_id: raw(msgspec.json.encode(replace(call, may_repeat=call.may_repeat or entry.may_repeat)))
            for call in digest.held
        }
        args = packed(group=GROUP, entry=entry.entry_id, user_id=user_id, due_ms=milliseconds(now), calls=calls)
        await self._redis.script(_TAKE_BACK, names, args)


def _due(user_id: int) -> str:
    """Name the due times among which the subscriber's next digest stands."""
    return keys.DUE.of(DIGEST, partition_of(user_id))


def _held_call(entry: OutboxEntry, verdict: Hold, now: datetime) -> HeldCall:
    alert = entry.alert
    return HeldCall(
        call_id=alert.call_id,
        token_address=alert.token_address,
        set_number=alert.set_number,
        also=alert.also,
        score=alert.score,
        late_s=alert.late_s,
        received_at=alert.received_at,
        decided_at=alert.decided_at,
        held_at=now,
        due_at=verdict.until,
        reason=verdict.reason,
        may_repeat=entry.may_repeat,
    )


def _record(holding: Holding) -> DeliveryRecord:
    return replace(record_of(holding.entry), status="digest", reason=holding.verdict.reason)


def record_of(entry: OutboxEntry) -> DeliveryRecord:
    """Begin the journal record of an alert; as it stands, it says that Telegram never takes it."""
    alert = entry.alert
    return DeliveryRecord(
        call_id=alert.call_id,
        user_id=alert.user_id,
        set_number=alert.set_number,
        status="dead",
        decided_at=alert.decided_at,
        may_repeat=entry.may_repeat,
    )


def records_of(entry: OutboxEntry) -> list[DeliveryRecord]:
    """Begin the journal records of an entry: of a digest, one for each call in it, with kind `digest`."""
    match entry.outgoing:
        case Alert():
            return [record_of(entry)]
        case Digest(user_id=user_id, held=held):
            return [_record_in_digest(user_id, call, may_repeat=entry.may_repeat) for call in held]
        case Envelope() as envelope:
            record = DeliveryRecord(
                call_id=envelope.key,
                user_id=envelope.user_id,
                kind=envelope.kind,
                set_number=0,
                status="dead",
                decided_at=envelope.decided_at,
                may_repeat=entry.may_repeat,
            )
            return [record]


def _record_in_digest(user_id: int, call: HeldCall, *, may_repeat: bool) -> DeliveryRecord:
    return DeliveryRecord(
        call_id=call.call_id,
        user_id=user_id,
        kind="digest",
        set_number=call.set_number,
        status="dead",
        decided_at=call.decided_at,
        may_repeat=may_repeat,
        reason=call.reason,
    )
