"""One decided call becomes alerts: what is claimed, and the script that does it, all or nothing, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.matching.matcher import Waiting
from domain.stored.alerts import Alert, WaitingCall
from domain.subscribers.partitions import PARTITIONS, Partition, partition_of
from managers.redis.client import Argument, Script
from runtime.clock import milliseconds
from services.cluster.fencing import FENCED, fence_args
from services.stores import keys
from services.stores.keys import stored_call_key

GROUP: Final = "senders"
"""Consumer group of every outbox."""

_encode = msgspec.json.Encoder().encode


class CheckedChannel(Struct, frozen=True, kw_only=True, gc=False):
    """A channel whose call of a token was held against everybody's filters."""

    channel_id: str
    called_at: datetime
    at: datetime
    """When it was checked."""
    is_first: bool
    """Of this token's record, which begins anew with it."""


class ClaimRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One decided call: who passed, and what to remember about it."""

    call_id: str
    token_address: str
    call_payload: bytes
    """JSON of `domain.calls.events.Call`; stored when anybody is accepted."""
    decided_payload: bytes = b""
    """JSON of `domain.stored.journal.DecidedCall`, journaled once per call; empty: nobody was left to check."""
    accepted: Sequence[tuple[int, int]]
    """(user id, number of the filter set that passed), each user once."""
    accepted_record: bytes
    checked: CheckedChannel | None = None
    """What is added to the token's record for those who did not pass; `None` leaves it as it is."""
    received_at: datetime
    decided_at: datetime
    score: int = 50
    late_s: float | None = None
    """Set when pairs that waited have passed."""
    waiting: WaitingCall | None = None
    """Who begins or goes on to wait for it; `None`: nobody."""
    ends_waiting: tuple[Partition, ...] = ()
    """Partitions in which somebody waited until now."""


class FeedCursor(Struct, frozen=True, kw_only=True):
    """Everything of the source up to `position` is in this batch or was in an earlier one."""

    source: str
    position: int


Mode = Literal["redis", "local"]
"""`redis`: whoever is not accepted yet gets an alert in the outbox. `local`: the alerts went into the local store while
Redis was away; what remains is to write down who was accepted."""

# KEYS: fences, journal, answer to this batch, feed cursor, match cursors; where anybody is accepted or waits, outbox of
# each partition and waiting calls of each partition by end; per call: stored call, rejected record, mark of a
# journaled call, one accepted record per user, one waiting call per partition that waits. ARGV: number of fences, then
# name and number of each; mode, feed cursor ('' for none), number of match cursors, then partition and entry of each;
# number of partitions named in KEYS; per call: call id, payload, accepted record, decided call ('' for none), number
# of users with the end of their records (`3:1209600000`: in ms from now or, in mode `local`, since 1970; without it as
# long as a record can live), number of waiting calls, when the channel was checked ('' for not at all), the channel,
# its call's time, whether the rejected record begins with it ('1'); per user: partition (from 1) and alert; per waiting
# call: partition (from 1), document ('-' to end the waiting) and its end in ms. Returns one
# character per (call, user): 1 where this batch accepted; then, where it did not, how long the record lives that stands
# (`101|86400000`, in ms, comma between them). The answer is kept when anything was accepted or began or ended to wait.
#
# A call is journaled behind its claims: where PostgreSQL has it, it has them, and the feed need not be asked again.
#
# In mode `local` an accepted record that stands already may be the work of this very batch, whose answer was lost
# before Redis went away: then its alert stands in the outbox as well, byte for byte, and leaves it.
CLAIM: Final = Script(
    FENCED
    + f"""
local group = '{GROUP}'
local accepted_s, rejected_s = {keys.ACCEPTED_TOKEN.expires_s}, {keys.REJECTED_TOKEN.expires_s}
local call_s, journaled_s = {keys.CALL.expires_s}, {keys.JOURNALED_CALL.expires_s}
local waiting_s, answer_s = {keys.WAITING_CALL.expires_s}, {keys.CLAIM_REPLY.expires_s}
"""
    + """
local answer = redis.call('GET', KEYS[3])
if answer then return answer end
local is_local, position = ARGV[next_arg] == 'local', ARGV[next_arg + 1]
local cursors = tonumber(ARGV[next_arg + 2])
local a = next_arg + 3 + 2 * cursors
local partitions = tonumber(ARGV[a])
a = a + 1
local flags, stand, k, changed = {}, {}, 6 + 2 * partitions, false

local function remove_twin(outbox, alert)
  for _, entry in ipairs(redis.call('XRANGE', outbox, '-', '+')) do
    if entry[2][2] == alert then
      redis.call('XACK', outbox, group, entry[1])
      redis.call('XDEL', outbox, entry[1])
    end
  end
end

while k <= #KEYS do
  local users, ends = string.match(ARGV[a + 4], '^(%d+):?(%d*)$')
  local waits = tonumber(ARGV[a + 5])
  users = tonumber(users)
  local stored = false
  for i = 1, users do
    local record, at = KEYS[k + 2 + i], a + 8 + 2 * i
    local outbox, alert = KEYS[5 + tonumber(ARGV[at])], ARGV[at + 1]
    local stands = redis.call('EXISTS', record) == 1
    if stands and is_local then remove_twin(outbox, alert) end
    if is_local or not stands then
      if not stored then redis.call('SET', KEYS[k], ARGV[a + 1], 'NX', 'EX', call_s) end
      stored = true
      if not is_local then redis.call('XADD', outbox, '*', 'alert', alert) end
      redis.call('XADD', KEYS[2], '*', 'kind', 'claim', 'data', alert)
      if ends == '' then
        redis.call('SET', record, ARGV[a + 2], 'EX', accepted_s)
      else
        redis.call('SET', record, ARGV[a + 2], is_local and 'PXAT' or 'PX', ends)
      end
      flags[#flags + 1] = '1'
      changed = true
    else
      flags[#flags + 1] = '0'
      stand[#stand + 1] = redis.call('PTTL', record)
    end
  end
  if ARGV[a + 3] ~= '' and redis.call('SET', KEYS[k + 2], '1', 'NX', 'EX', journaled_s) then
    redis.call('XADD', KEYS[2], '*', 'kind', 'call', 'data', ARGV[a + 3])
  end
  if ARGV[a + 6] ~= '' then
    if ARGV[a + 9] == '1' then redis.call('DEL', KEYS[k + 1]) end
    redis.call('HSET', KEYS[k + 1], 'status', 'rejected', 'timestamp', ARGV[a + 6], ARGV[a + 7], ARGV[a + 8])
    redis.call('EXPIRE', KEYS[k + 1], rejected_s)
  end
  for i = 1, waits do
    local at, waiting = a + 7 + 2 * users + 3 * i, KEYS[k + 2 + users + i]
    local ends = KEYS[5 + partitions + tonumber(ARGV[at])]
    if ARGV[at + 1] == '-' then
      redis.call('DEL', waiting)
      redis.call('ZREM', ends, ARGV[a])
    else
      redis.call('SET', waiting, ARGV[at + 1], 'EX', waiting_s)
      redis.call('ZADD', ends, ARGV[at + 2], ARGV[a])
    end
    changed = true
  end
  k, a = k + 3 + users + waits, a + 10 + 2 * users + 3 * waits
end
if position ~= '' then
  local known = redis.call('GET', KEYS[4])
  if not known or tonumber(known) < tonumber(position) then redis.call('SET', KEYS[4], position) end
end
if cursors > 0 then redis.call('HSET', KEYS[5], unpack(ARGV, next_arg + 3, next_arg + 2 + 2 * cursors)) end
answer = table.concat(flags)
if #stand > 0 then answer = answer .. '|' .. table.concat(stand, ',') end
if changed then redis.call('SET', KEYS[3], answer, 'EX', answer_s) end
return answer
"""
)


def claim_command(
    decisions: Sequence[ClaimRequest],
    cursor: FeedCursor | None = None,
    *,
    mode: Mode = "redis",
    fences: Mapping[str, int] | None = None,
    match_cursors: Mapping[Partition, str] | None = None,
    now: datetime | None = None,
) -> tuple[list[str], list[Argument]]:
    """Return the keys and arguments that `CLAIM` takes; `now` by the clock by which the calls were decided."""
    names: list[str] = []
    args: list[Argument] = []
    for decision in decisions:
        _add(decision, names, args, _record_ends(decision, mode, now))
    position: Argument = b"" if cursor is None else cursor.position
    source = "" if cursor is None else cursor.source
    moved = [part for partition, entry in (match_cursors or {}).items() for part in (partition, entry)]
    # Most batches are of calls that nobody is left for: they need neither the outboxes nor an answer that is kept.
    concerns_anybody = any(d.accepted or d.waiting or d.ends_waiting for d in decisions)
    answer = _answer_key(mode, decisions) if concerns_anybody else _NO_ANSWER
    head = [_FENCES, _JOURNAL, answer, keys.FEED_CURSOR.of(source), _MATCH_CURSORS]
    head += _OF_PARTITIONS if concerns_anybody else ()
    options: list[Argument] = [mode, position, len(moved) // 2, *moved, PARTITIONS if concerns_anybody else 0]
    return [*head, *names], [*fence_args(fences or {}), *options, *args]


_FENCES: Final = keys.FENCES.of()
_JOURNAL: Final = keys.JOURNAL.of()
_MATCH_CURSORS: Final = keys.MATCH_CURSORS.of()
_NO_ANSWER: Final = keys.CLAIM_REPLY.of("none")
_OF_PARTITIONS: Final = (
    *(keys.OUTBOX.of(partition) for partition in range(PARTITIONS)),
    *(keys.WAITING_CALLS.of(partition) for partition in range(PARTITIONS)),
)


def read_answer(
    answer: bytes, decisions: Sequence[ClaimRequest]
) -> tuple[list[set[int]], list[tuple[str, int, timedelta]]]:
    """Return per call who is newly accepted; of the others (token, user) for how long the earlier record stands."""
    flags, _, lives_ms = answer.decode().partition("|")
    flag = iter(flags)
    claimed = [{user_id for user_id, _ in d.accepted if next(flag) == "1"} for d in decisions]
    others = [
        (d.token_address, u)
        for d, users in zip(decisions, claimed, strict=True)
        for u, _ in d.accepted
        if u not in users
    ]
    lives = [timedelta(milliseconds=int(lives)) for lives in lives_ms.split(",") if lives]
    return claimed, [(*other, left) for other, left in zip(others, lives, strict=False)]


def _record_ends(decision: ClaimRequest, mode: Mode, now: datetime | None) -> int:
    """When the record of who is accepted ends: 14 days after the decision, whenever it is written."""
    ends_at = (decision.checked.at if decision.checked else decision.decided_at) + ACCEPTED_FOR
    if mode == "local":
        return milliseconds(ends_at)
    return max(1, milliseconds(ends_at) - milliseconds(now)) if now else keys.ACCEPTED_S * 1000


def _add(decision: ClaimRequest, names: list[str], args: list[Argument], ends: int) -> None:
    address, call_id = decision.token_address, decision.call_id
    waits = _waits(decision)
    names += [stored_call_key(call_id, decision.late_s, decision.decided_at)]
    names += [keys.REJECTED_TOKEN.of(address), keys.JOURNALED_CALL.of(call_id)]
    names += [keys.ACCEPTED_TOKEN.of(address, user_id) for user_id, _ in decision.accepted]
    names += [keys.WAITING_CALL.of(partition, call_id) for partition, _, _ in waits]
    args += [call_id, decision.call_payload, decision.accepted_record, decision.decided_payload]
    args += [f"{len(decision.accepted)}:{ends}", len(waits), *_checked(decision.checked)]
    for alert in alerts_of(decision):
        args += [partition_of(alert.user_id) + 1, _encode(alert)]
    for partition, document, end_ms in waits:
        args += [partition + 1, document, end_ms]


def _checked(channel: CheckedChannel | None) -> tuple[Argument, str, Argument, int]:
    if channel is None:
        return "", "", "", 0
    return _iso(channel.at), f"channel:{channel.channel_id}", _iso(channel.called_at), int(channel.is_first)


def _iso(at: datetime) -> bytes:
    """`at.isoformat()` with a Z, in a ninth of the time."""
    return _encode(at)[1:-1]


def alerts_of(decision: ClaimRequest) -> list[Alert]:
    """Return the alert of each accepted pair, in their order."""
    return [
        Alert(
            user_id=user_id,
            call_id=decision.call_id,
            token_address=decision.token_address,
            set_number=set_number,
            received_at=decision.received_at,
            decided_at=decision.decided_at,
            late_s=decision.late_s,
            score=decision.score,
        )
        for user_id, set_number in decision.accepted
    ]


def _waits(decision: ClaimRequest) -> list[tuple[Partition, Argument, int]]:
    """Who waits from now on, partition by partition: (partition, document, end in ms)."""
    if decision.waiting is None and not decision.ends_waiting:
        return []
    pairs: dict[Partition, list[Waiting]] = {partition: [] for partition in decision.ends_waiting}
    for pair in decision.waiting.pairs if decision.waiting else ():
        pairs.setdefault(partition_of(pair.user_id), []).append(pair)
    waits: list[tuple[Partition, Argument, int]] = []
    for partition, waiting in pairs.items():
        if waiting and decision.waiting:
            part = WaitingCall(call=decision.waiting.call, pairs=tuple(waiting))
            waits.append((partition, _encode(part), milliseconds(part.until)))
        else:
            waits.append((partition, b"-", 0))
    return waits


def _answer_key(mode: Mode, decisions: Sequence[ClaimRequest]) -> str:
    """Name the answer after what was asked: the same batch, the same answer.

    A call is decided once at a time, so that time tells what is stored of it; the lengths would show a mistake.
    """
    asked = [
        (
            *(d.call_id, d.decided_at, d.late_s, d.accepted, d.waiting and d.waiting.pairs, d.ends_waiting, d.checked),
            *(len(d.call_payload), len(d.decided_payload), len(d.accepted_record)),
        )
        for d in decisions
    ]
    return keys.CLAIM_REPLY.of(hashlib.blake2b(_encode((mode, asked)), digest_size=16).hexdigest())
