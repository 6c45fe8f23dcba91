"""One decided call becomes alerts: what is claimed, and the script that does it, all or nothing, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.matching.matcher import PendingPair
from domain.stored.alerts import Alert, WaitingCall
from domain.subscribers.partitions import PARTITIONS, Partition, partition_of
from managers.redis.client import Argument
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from services.cluster.fencing import FENCED, numbers_of
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
    also: Mapping[int, tuple[int, ...]] = {}
    """By user id: the numbers of their other filter sets that passed."""
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
Redis was unavailable; what remains is to write down who was accepted."""

CLAIM: Final = Script.beside(__file__, "claim.lua", after=FENCED)


class _Accepted(Struct, frozen=True, kw_only=True, gc=False):
    """Who is accepted, in three columns: a batch may be thousands."""

    alerts: list[str]
    """JSON of `domain.stored.alerts.Alert`."""
    records: list[int]
    """Here and below, a whole number without a unit is a place in KEYS."""
    outboxes: list[int]


class _Waiting(Struct, frozen=True, kw_only=True, gc=False):
    call: int
    by_end: int
    document: msgspec.Raw | None
    ends_ms: int | None


class _Checked(Struct, frozen=True, kw_only=True, gc=False):
    at: str
    channel: str
    called_at: str
    is_first: bool


class _Decided(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    id: str
    stored_call: int
    rejected_record: int
    journaled_mark: int
    ends_ms: int
    waiting: Sequence[_Waiting]
    accepted: _Accepted | None = None
    payload: msgspec.Raw | None = None
    record: msgspec.Raw | None = None
    decided: msgspec.Raw | None = None
    checked: _Checked | None = None


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
    # Most batches are of calls that nobody is left for: they need neither the outboxes nor an answer that is kept.
    concerns_anybody = any(d.accepted or d.waiting or d.ends_waiting for d in decisions)
    answer = _answer_key(mode, decisions) if concerns_anybody else _NO_ANSWER
    source = "" if cursor is None else cursor.source
    names = [_FENCES, _JOURNAL, answer, keys.FEED_CURSOR.of(source), _MATCH_CURSORS]
    names += _OF_PARTITIONS if concerns_anybody else ()
    return names, packed(
        fences=numbers_of(fences or {}),
        group=GROUP,
        is_local=mode == "local",
        call_s=keys.CALL.expires_s,
        journaled_s=keys.JOURNALED_CALL.expires_s,
        rejected_s=keys.REJECTED_TOKEN.expires_s,
        waiting_s=keys.WAITING_CALL.expires_s,
        answer_s=keys.CLAIM_REPLY.expires_s,
        position=None if cursor is None else str(cursor.position),
        match_cursors=match_cursors or {},
        calls=[_decided(decision, names, _record_ends(decision, mode, now)) for decision in decisions],
    )


_FENCES: Final = keys.FENCES.of()
_JOURNAL: Final = keys.JOURNAL.of()
_MATCH_CURSORS: Final = keys.MATCH_CURSORS.of()
_NO_ANSWER: Final = keys.CLAIM_REPLY.of("none")
_OUTBOX_OF_0: Final = 6
_WAITING_CALLS_OF_0: Final = _OUTBOX_OF_0 + PARTITIONS
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


def _decided(decision: ClaimRequest, names: list[str], ends_ms: int) -> _Decided:
    """Return what the script is told of a call; adds its keys to `names`."""
    address, call_id = decision.token_address, decision.call_id
    names += [stored_call_key(call_id, decision.late_s, decision.decided_at)]
    names += [keys.REJECTED_TOKEN.of(address), keys.JOURNALED_CALL.of(call_id)]
    place = len(names)
    accepted = _accepted(decision, names)
    return _Decided(
        id=call_id,
        stored_call=place - 2,
        rejected_record=place - 1,
        journaled_mark=place,
        ends_ms=ends_ms,
        accepted=accepted,
        waiting=_waits(decision, names),
        payload=raw(decision.call_payload) if accepted else None,
        record=raw(decision.accepted_record) if accepted else None,
        decided=raw(decision.decided_payload) if decision.decided_payload else None,
        checked=_checked(decision.checked),
    )


def _accepted(decision: ClaimRequest, names: list[str]) -> _Accepted | None:
    if not decision.accepted:
        return None
    first, address = len(names) + 1, decision.token_address
    names += [keys.ACCEPTED_TOKEN.of(address, user_id) for user_id, _ in decision.accepted]
    return _Accepted(
        alerts=[_encode(alert).decode() for alert in alerts_of(decision)],
        records=list(range(first, len(names) + 1)),
        outboxes=[_OUTBOX_OF_0 + partition_of(user_id) for user_id, _ in decision.accepted],
    )


def _checked(channel: CheckedChannel | None) -> _Checked | None:
    if channel is None:
        return None
    return _Checked(
        at=_iso(channel.at),
        channel=f"channel:{channel.channel_id}",
        called_at=_iso(channel.called_at),
        is_first=channel.is_first,
    )


def _iso(at: datetime) -> str:
    """`at.isoformat()` with a Z, in a fraction of the time."""
    return _encode(at)[1:-1].decode()


def alerts_of(decision: ClaimRequest) -> list[Alert]:
    """Return the alert of each accepted pair, in their order."""
    return [
        Alert(
            user_id=user_id,
            call_id=decision.call_id,
            token_address=decision.token_address,
            set_number=set_number,
            also=decision.also.get(user_id, ()),
            received_at=decision.received_at,
            decided_at=decision.decided_at,
            late_s=decision.late_s,
            score=decision.score,
        )
        for user_id, set_number in decision.accepted
    ]


def _waits(decision: ClaimRequest, names: list[str]) -> list[_Waiting]:
    """Who waits from now on, partition by partition."""
    if decision.waiting is None and not decision.ends_waiting:
        return []
    pairs: dict[Partition, list[PendingPair]] = {partition: [] for partition in decision.ends_waiting}
    for pair in decision.waiting.pairs if decision.waiting else ():
        pairs.setdefault(partition_of(pair.user_id), []).append(pair)
    waits: list[_Waiting] = []
    for partition, waiting in pairs.items():
        names.append(keys.WAITING_CALL.of(partition, decision.call_id))
        document = ends_ms = None
        if waiting and decision.waiting:
            part = WaitingCall(call=decision.waiting.call, pairs=tuple(waiting))
            document, ends_ms = raw(_encode(part)), milliseconds(part.until)
        by_end = _WAITING_CALLS_OF_0 + partition
        waits.append(_Waiting(call=len(names), by_end=by_end, document=document, ends_ms=ends_ms))
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
