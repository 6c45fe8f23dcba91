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
from domain.subscribers.partitions import partition_of
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import Argument, RedisManager, Script
from runtime.clock import milliseconds
from services.claims.outbox import GROUP, OutboxEntry
from services.delivery.policy import came_up_member, competes
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.local_store import ScriptCall
from services.stores.spool import Spool

log = structlog.get_logger(__name__)

CALLS_PER_DIGEST: Final = 20
"""So that a digest fits one message; more calls make more digests."""
_USERS_AT_ONCE: Final = 200

# KEYS: outbox, in-flight marks, journal, digests due, held calls of the user, what came up for him, then one mark per
# entry. ARGV: group, user, now in ms, lifetime of what came up, lifetime of a mark; per entry: its id ('' in the local
# store), call id, held call, due in ms, journal record, what came up ('' for none). Whoever no longer holds the entry
# changes nothing: its digest may have gone already.
HOLD: Final = Script("""
local held = 0
for a = 6, #ARGV, 6 do
  local is_ours
  if ARGV[a] == '' then
    is_ours = redis.call('SET', KEYS[6 + (a / 6)], '1', 'NX', 'EX', ARGV[5])
  else
    is_ours = redis.call('XACK', KEYS[1], ARGV[1], ARGV[a]) == 1
  end
  if is_ours then
    redis.call('HSET', KEYS[5], ARGV[a + 1], ARGV[a + 2])
    redis.call('ZADD', KEYS[4], 'LT', ARGV[a + 3], ARGV[2])
    redis.call('XADD', KEYS[3], '*', 'kind', 'delivery', 'data', ARGV[a + 4])
    if ARGV[a + 5] ~= '' then
      redis.call('ZADD', KEYS[6], ARGV[3], ARGV[a + 5])
      redis.call('EXPIRE', KEYS[6], ARGV[4])
    end
    held = held + 1
  end
  if ARGV[a] ~= '' then
    redis.call('XDEL', KEYS[1], ARGV[a])
    redis.call('HDEL', KEYS[2], ARGV[a])
  end
end
return held
""")

# KEYS: outbox, held calls of the user. ARGV: digest, then the ids of its calls. All of them leave or none. Returns the
# entry of the digest.
_DISPATCH: Final = Script("""
for a = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[a]) == 0 then return false end
end
for a = 2, #ARGV do redis.call('HDEL', KEYS[2], ARGV[a]) end
return redis.call('XADD', KEYS[1], '*', 'alert', ARGV[1])
""")

# KEYS: outbox, in-flight marks, digests due, held calls of the user. ARGV: group, entry of a digest, user, when its
# calls are due again in ms, then id and document of each. Whoever no longer holds the entry changes nothing.
_TAKE_BACK: Final = Script("""
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  for a = 5, #ARGV, 2 do redis.call('HSET', KEYS[4], ARGV[a], ARGV[a + 1]) end
  redis.call('ZADD', KEYS[3], 'LT', ARGV[4], ARGV[3])
end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
""")

# KEYS: digests due. ARGV: user, now in ms.
_BRING_FORWARD: Final = Script("return redis.call('ZADD', KEYS[1], 'XX', 'LT', ARGV[2], ARGV[1])")

# KEYS: digests due, held calls of the user. ARGV: user, how many held calls were seen, when the next is due in ms.
# A call that was held meanwhile leaves the time as it is: the next look finds it.
_RESCHEDULE: Final = Script("""
local held = redis.call('HLEN', KEYS[2])
if held == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
elseif held == tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
return held
""")


class Holding(Struct, frozen=True, kw_only=True):
    """An entry of the outbox and why it waits."""

    entry: OutboxEntry
    verdict: Hold


class HeldCalls:
    def __init__(self, redis: RedisManager, spool: Spool, journal: Journal) -> None:
        self._redis = redis
        self._spool = spool
        self._journal = journal

    async def hold(self, subscriber: Subscriber, holdings: Sequence[Holding], now: datetime) -> None:
        """Move alerts of one subscriber from the outbox into his next digest. May be repeated.

        What is held of a digest are its calls: they go back to where they were.
        """
        for one in holdings:
            if one.entry.alert.kind == "digest":
                await self._take_back(one, now)
        holdings = [one for one in holdings if one.entry.alert.kind == "alert"]
        if not holdings:
            return
        user_id = subscriber.user_id
        partition = partition_of(user_id)
        names = [keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition), keys.JOURNAL.of(), keys.DIGESTS_DUE.of()]
        names += [keys.HELD_CALLS.of(user_id), keys.CAME_UP.of(user_id)]
        names += [keys.SETTLED_LOCALLY.of(one.entry.entry_id) for one in holdings]
        lifetimes = (keys.CAME_UP.expires_s, keys.SETTLED_LOCALLY.expires_s)
        args: list[Argument] = [GROUP, user_id, milliseconds(now), *lifetimes]
        capped = subscriber.preferences.alerts_per_hour is not None
        records = [_record(one) for one in holdings]
        for one, record in zip(holdings, records, strict=True):
            alert = one.entry.alert
            args += ["" if one.entry.is_local else one.entry.entry_id, alert.call_id]
            held_call = msgspec.json.encode(_held_call(one.entry, one.verdict, now))
            args += [held_call, milliseconds(one.verdict.until), msgspec.json.encode(record)]
            args += [came_up_member(alert, sent=False) if capped and competes(one.verdict) else b""]
        local = [one.entry.entry_id for one in holdings if one.entry.is_local]
        await self._spool.execute(ScriptCall(script="hold", keys=names, args=args), settles=local)
        self._journal.tail.note(entry("delivery", msgspec.json.encode(record)) for record in records)
        self._journal.begun.settle(records)
        self._journal.begun.stored(records)

    async def due(self, now: datetime) -> list[int]:
        """Return users whose digest is due, the longest due first."""
        found = await self._redis.zrange_by_score(keys.DIGESTS_DUE.of(), most=milliseconds(now), count=_USERS_AT_ONCE)
        return [int(member) for member, _ in found]

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
        digest = Alert(
            user_id=user_id,
            call_id=f"digest:{calls[0].call_id}",
            token_address="",
            set_number=0,
            received_at=now,
            decided_at=now,
            kind="digest",
            held=tuple(calls),
        )
        args = [msgspec.json.encode(digest), *(call.call_id for call in calls)]
        names = [keys.OUTBOX.of(partition_of(user_id)), keys.HELD_CALLS.of(user_id)]
        reply = await self._redis.script(_DISPATCH, names, args)
        return reply.decode() if isinstance(reply, bytes) else None

    async def waits(self, user_id: int, entry_id: str) -> bool:
        """Whether a digest that was dispatched still stands in the outbox."""
        found = await self._redis.xrange(keys.OUTBOX.of(partition_of(user_id)), start=entry_id, count=1)
        return bool(found) and found[0].id == entry_id

    async def bring_forward(self, user_id: int, now: datetime) -> None:
        """What waits for this user is looked at now, whenever it was to be: he can be written to again."""
        await self._redis.script(_BRING_FORWARD, [keys.DIGESTS_DUE.of()], [user_id, milliseconds(now)])

    async def postpone(self, user_id: int, *, seen: int, until: datetime) -> None:
        """Say when the next of the `seen` calls that are left is due; nothing left, nothing due."""
        names = [keys.DIGESTS_DUE.of(), keys.HELD_CALLS.of(user_id)]
        await self._redis.script(_RESCHEDULE, names, [user_id, seen, milliseconds(until)])

    async def _take_back(self, digest: Holding, now: datetime) -> None:
        alert = digest.entry.alert
        partition = partition_of(alert.user_id)
        names = [keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition)]
        names += [keys.DIGESTS_DUE.of(), keys.HELD_CALLS.of(alert.user_id)]
        args: list[Argument] = [GROUP, digest.entry.entry_id, alert.user_id, milliseconds(now)]
        for call in alert.held:
            may_repeat = call.may_repeat or digest.entry.may_repeat
            args += [call.call_id, msgspec.json.encode(replace(call, may_repeat=may_repeat))]
        await self._redis.script(_TAKE_BACK, names, args)


def _held_call(entry: OutboxEntry, verdict: Hold, now: datetime) -> HeldCall:
    alert = entry.alert
    return HeldCall(
        call_id=alert.call_id,
        token_address=alert.token_address,
        set_number=alert.set_number,
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
    if entry.alert.kind == "alert":
        return [record_of(entry)]
    return [
        DeliveryRecord(
            call_id=call.call_id,
            user_id=entry.alert.user_id,
            kind="digest",
            set_number=call.set_number,
            status="dead",
            decided_at=call.decided_at,
            may_repeat=entry.may_repeat,
            reason=call.reason,
        )
        for call in entry.alert.held
    ]
