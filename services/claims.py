"""One decided call becomes alerts: what is claimed, and the script that does it, all or nothing, once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct

from domain.calls import Call
from domain.matching import Waiting
from managers.redis import Argument, Script
from services import keys

AlertKind = Literal["alert", "digest"]


class HeldCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that waits for a digest, or stands in one."""

    call_id: str
    token_address: str
    set_number: int
    score: int
    late_s: float | None = None
    received_at: datetime
    decided_at: datetime
    held_at: datetime
    due_at: datetime
    """When its digest goes out."""
    reason: str
    """`domain.policy.HoldReason`."""


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call for one subscriber, or a digest of calls that were held back for him.

    The call itself is stored once, see `Outbox.load_call`.
    """

    user_id: int
    call_id: str
    """Of a digest: `digest:` and the id of its first call."""
    token_address: str
    set_number: int
    """The filter set that passed."""
    received_at: datetime
    decided_at: datetime
    kind: AlertKind = "alert"
    late_s: float | None = None
    """It passed so long after the call, when a missing figure arrived; `None`: at once."""
    score: int = 50
    """`domain.score.score` of the call."""
    held: tuple[HeldCall, ...] = ()
    """What a digest is about."""


class WaitingCall(Struct, frozen=True, kw_only=True):
    """A call that somebody still waits for."""

    call: Call
    pairs: tuple[Waiting, ...]

    @property
    def until(self) -> datetime:
        return max(pair.until for pair in self.pairs)


class ClaimRequest(Struct, frozen=True, kw_only=True):
    """One decided call: who passed, and what to remember about it."""

    call_id: str
    token_address: str
    call_payload: bytes
    """JSON of `domain.calls.Call`; stored when anybody is accepted."""
    decided_payload: bytes = b""
    """JSON of `services.journal_rows.DecidedCall`, journaled once per call; empty: nobody was left to check."""
    accepted: Sequence[tuple[int, int]]
    """(user id, number of the filter set that passed), each user once."""
    accepted_record: bytes
    rejected_record: bytes | None
    """What the token's record becomes for those who did not pass; `None` leaves it as it is."""
    received_at: datetime
    decided_at: datetime
    score: int = 50
    late_s: float | None = None
    """Set when pairs that waited have passed."""
    waiting: WaitingCall | None = None
    """Who waits for it from now on; `None`: nobody (any more)."""


class FeedCursor(Struct, frozen=True, kw_only=True):
    """Everything of the source up to `position` is in this batch or was in an earlier one."""

    source: str
    position: int


# KEYS: outbox, journal, answer to this batch, feed cursor, waiting calls by end; per call: stored call, rejected
# record, mark of a journaled call, who waits for it, then one accepted record per user. ARGV: cursor ('' for none),
# lifetimes of accepted record, rejected record, call, answer, mark and waiting call; per call: call id, payload,
# accepted record, rejected record ('' for none), decided call ('' for none), waiting call ('' for none, '-' to end
# the waiting), its end in ms, number of users, then one alert per user. Returns one character per (call, user): 1
# where this batch accepted. The answer is kept when anything was accepted or began or ended to wait.
CLAIM: Final = Script("""
local answer = redis.call('GET', KEYS[3])
if answer then return answer end
local flags, k, a, changed = {}, 6, 8, false
while k <= #KEYS do
  local payload, waiting, users, stored = ARGV[a + 1], ARGV[a + 5], tonumber(ARGV[a + 7]), false
  if ARGV[a + 4] ~= '' and redis.call('SET', KEYS[k + 2], '1', 'NX', 'EX', ARGV[6]) then
    redis.call('XADD', KEYS[2], '*', 'kind', 'call', 'data', ARGV[a + 4])
  end
  for i = 1, users do
    local record = KEYS[k + 3 + i]
    if redis.call('EXISTS', record) == 0 then
      if not stored then redis.call('SET', KEYS[k], payload, 'NX', 'EX', ARGV[4]) end
      stored = true
      redis.call('XADD', KEYS[1], '*', 'alert', ARGV[a + 7 + i])
      redis.call('SET', record, ARGV[a + 2], 'EX', ARGV[2])
      flags[#flags + 1] = '1'
      changed = true
    else
      flags[#flags + 1] = '0'
    end
  end
  if ARGV[a + 3] ~= '' then redis.call('SET', KEYS[k + 1], ARGV[a + 3], 'EX', ARGV[3]) end
  if waiting == '-' then
    redis.call('DEL', KEYS[k + 3])
    redis.call('ZREM', KEYS[5], ARGV[a])
    changed = true
  elseif waiting ~= '' then
    redis.call('SET', KEYS[k + 3], waiting, 'EX', ARGV[7])
    redis.call('ZADD', KEYS[5], ARGV[a + 6], ARGV[a])
    changed = true
  end
  k, a = k + 4 + users, a + 8 + users
end
if ARGV[1] ~= '' then
  local position = redis.call('GET', KEYS[4])
  if not position or tonumber(position) < tonumber(ARGV[1]) then redis.call('SET', KEYS[4], ARGV[1]) end
end
answer = table.concat(flags)
if changed then redis.call('SET', KEYS[3], answer, 'EX', ARGV[5]) end
return answer
""")


def claim_command(decisions: Sequence[ClaimRequest], cursor: FeedCursor | None) -> tuple[list[str], list[Argument]]:
    """Return the keys and arguments that `CLAIM` takes."""
    names: list[str] = []
    args: list[Argument] = []
    for decision in decisions:
        address = decision.token_address
        names += [stored_call_key(decision.call_id, decision.late_s, decision.decided_at)]
        names += [keys.REJECTED_TOKEN.of(address), keys.JOURNALED_CALL.of(decision.call_id)]
        names += [keys.WAITING_CALL.of(decision.call_id)]
        names += [keys.ACCEPTED_TOKEN.of(address, user_id) for user_id, _ in decision.accepted]
        args += [decision.call_id, decision.call_payload, decision.accepted_record]
        args += [decision.rejected_record or b"", decision.decided_payload, *_waiting(decision)]
        args += [len(decision.accepted), *_alerts_of(decision)]
    position: Argument = b"" if cursor is None else cursor.position
    source = "" if cursor is None else cursor.source
    lifetimes = (
        keys.ACCEPTED_TOKEN,
        keys.REJECTED_TOKEN,
        keys.CALL,
        keys.CLAIM_REPLY,
        keys.JOURNALED_CALL,
        keys.WAITING_CALL,
    )
    head = [keys.OUTBOX.of(), keys.JOURNAL.of(), _answer_key(names, args), keys.FEED_CURSOR.of(source)]
    head_args = [position, *(key.expires_s for key in lifetimes)]
    return [*head, keys.WAITING_CALLS.of(), *names], [*head_args, *args]


def stored_call_key(call_id: str, late_s: float | None, decided_at: datetime) -> str:
    """Name the stored call: as it was decided at first or, where it passed late, with the figures that came then."""
    if late_s is None:
        return keys.CALL.of(call_id)
    return keys.LATE_CALL.of(call_id, milliseconds(decided_at))


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _waiting(decision: ClaimRequest) -> tuple[Argument, Argument]:
    if decision.waiting is not None:
        return msgspec.json.encode(decision.waiting), milliseconds(decision.waiting.until)
    return (b"" if decision.late_s is None else b"-"), 0


def _alerts_of(decision: ClaimRequest) -> list[bytes]:
    encode = msgspec.json.Encoder().encode
    return [
        encode(
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
        )
        for user_id, set_number in decision.accepted
    ]


def _answer_key(names: Sequence[str], args: Sequence[Argument]) -> str:
    """Name the answer after everything that was asked: the same batch, the same answer."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (*names, *args):
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    return keys.CLAIM_REPLY.of(digest.hexdigest())
