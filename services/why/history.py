"""What was decided, and by which settings: read back from where it is on its way and where it stays.

A record moves from Redis (outbox, then journal) to PostgreSQL and is in one of them at any time. So they are read in
that order: what moves on meanwhile is found in the next place, and nothing is missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec import Struct

from domain.calls.events import Call
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert, HeldCall, WaitingCall
from domain.stored.journal import DecidedCall, DeliveryRecord
from domain.subscribers.partitions import partition_of
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager, StreamEntry
from managers.storage.postgres import PostgresManager, Row
from runtime.clock import milliseconds
from runtime.waiting import Progress, pause
from services.stores import keys
from services.stores.journal_rows import moment
from services.why.answers import Death

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KEPT_FOR: Final = ACCEPTED_FOR
"""What was decided is explained for as long as a token counts as accepted."""
_REASONS_KEPT_FOR: Final = KEPT_FOR + ACCEPTED_FOR
"""A call that is just about to be forgotten may have been skipped for an alert of fourteen days before it."""
MAX_REVISIONS: Final = 500
"""Settings of one person that are looked at; whoever changed them more often in the time gets fewer answers."""
_PAGE: Final = 500
_BATCH: Final = 100
_MAX_JOURNAL_PAGES: Final = 10
_MAX_OUTBOX_PAGES: Final = 20
_SKEW_MS: Final = 60_000
"""The clock of Redis and ours may differ by so much."""
_PRUNE_BATCH: Final = 1000
_PRUNE_EVERY_S: Final = 3600.0

_CALLS_OF_ONE: Final[LiteralString] = """
    SELECT document, decided_at, reason, checked_channels FROM calls
    WHERE token_address = $1 AND decided_at >= $2 ORDER BY decided_at DESC LIMIT $3
"""
_BY_ID: Final[LiteralString] = "SELECT document, decided_at, reason, checked_channels FROM calls WHERE call_id = $1"
_DECIDED_SINCE: Final[LiteralString] = """
    SELECT document, decided_at, reason, checked_channels FROM calls
    WHERE decided_at >= $1 ORDER BY decided_at DESC LIMIT $2
"""
# From the revision that was current at $2 on.
_REVISIONS: Final[LiteralString] = """
    SELECT document, changed_at FROM subscriber_changes WHERE user_id = $1 AND revision >= coalesce(
        (SELECT max(revision) FROM subscriber_changes WHERE user_id = $1 AND changed_at <= $2), 0)
    ORDER BY revision DESC LIMIT $3
"""
# What brought the user a token, with the time at which it was accepted.
_BROUGHT: Final[LiteralString] = """
    SELECT c.document, c.decided_at, c.reason, c.checked_channels, a.claimed_at
    FROM claims a JOIN calls c ON c.call_id = a.call_id
    WHERE a.token_address = $1 AND a.user_id = $2 AND a.claimed_at >= $3 ORDER BY a.claimed_at DESC LIMIT 50
"""
_DELIVERIES: Final[LiteralString] = """
    SELECT d.call_id, d.user_id, d.kind, d.set_number, d.status, d.message_id, d.decided_at, d.sent_at, d.latency_s,
        d.may_repeat, d.reason
    FROM calls c JOIN deliveries d ON d.call_id = c.call_id AND d.user_id = $2
    WHERE c.token_address = $1 AND c.decided_at >= $3 AND d.decided_at >= $3
        AND d.kind IN ('alert', 'digest')
    ORDER BY d.decided_at DESC LIMIT 100
"""
# The newest call that had a price decides: a token that is traded again is not dead.
_DEATH: Final[LiteralString] = """
    SELECT ended_at AS at, ending AS cause FROM outcomes WHERE token_address = $1 AND price_usd IS NOT NULL
    ORDER BY called_at DESC LIMIT 1
"""
# A call that somebody was accepted for stays as long as their claims.
_PRUNE: Final[LiteralString] = """
    DELETE FROM calls WHERE call_id IN (
        SELECT call_id FROM calls WHERE decided_at < $1
            AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.call_id = calls.call_id)
        ORDER BY decided_at LIMIT $2)
"""
_PRUNE_CLAIMS: Final[LiteralString] = """
    DELETE FROM claims WHERE (call_id, user_id) IN
        (SELECT call_id, user_id FROM claims WHERE claimed_at < $1 ORDER BY claimed_at LIMIT $2)
"""


class Revision(Struct, frozen=True):
    """A subscriber's document and when it was stored."""

    subscriber: Subscriber
    changed_at: datetime


class Brought(Struct, frozen=True):
    """A call that brought somebody a token, and when it was accepted for them."""

    decided: DecidedCall
    accepted_at: datetime


class OpenWait(Struct, frozen=True):
    """An alert that no sender has finished."""

    alert: Alert
    in_flight: bool


class Recent(Struct, frozen=True, kw_only=True):
    """What the journal holds: of calls those asked for, of the rest what belongs to one user."""

    calls: list[DecidedCall] = []
    revisions: list[Revision] = []
    deliveries: list[DeliveryRecord] = []


class _Accepted(Struct, frozen=True):
    """What is read here of `domain.stored.accepted.AcceptedToken`."""

    call_id: str | None = None


class HistoryStore:
    def __init__(
        self,
        redis: RedisManager,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
        calls_kept_for: timedelta = KEPT_FOR,
    ) -> None:
        """`calls_kept_for`: in PostgreSQL, at least as long as they may be asked for."""
        self._calls_kept_for = calls_kept_for
        self._redis = redis
        self._postgres = postgres
        self._clock = clock

    async def recent(self, user_id: int, is_wanted: Callable[[bytes], bool]) -> Recent:
        """Read the newest entries of the journal; `is_wanted` looks at the JSON of a call before it is decoded."""
        found = Recent()
        owner = f'"user_id":{user_id}'.encode()
        async for one in self._journal():
            kind, data = one.fields.get("kind", b""), one.fields.get("data", b"")
            if is_wanted(data) if kind == b"call" else owner in data:
                _take(found, user_id, kind, data, moment(one.added_at_ms))
        return found

    async def calls_of(self, address: str, limit: int) -> list[DecidedCall]:
        """Return the decided calls of a token that PostgreSQL knows, newest first."""
        rows = await self._postgres.fetch(_CALLS_OF_ONE, address, self._clock() - KEPT_FOR, limit)
        return [_decided(row) for row in rows]

    async def call(self, call_id: str) -> DecidedCall | None:
        row = await self._postgres.fetch_row(_BY_ID, call_id)
        return None if row is None else _decided(row)

    async def decided_since(
        self, at: datetime, recent: Iterable[DecidedCall], *, limit: int
    ) -> AsyncIterator[list[DecidedCall]]:
        """Yield the calls decided since then, batch by batch: the `recent` ones of the journal, then the stored ones.

        Each newest first; a call may come twice.
        """
        waiting = newest_first(one for one in recent if one.decided_at >= at)
        for start in range(0, len(waiting), _BATCH):
            yield waiting[start : start + _BATCH]
        async for rows in self._postgres.stream(_DECIDED_SINCE, at, limit, batch=_BATCH):
            yield [_decided(row) for row in rows]

    async def late_call(self, call_id: str, decided_at: datetime) -> Call | None:
        """Return a call with the figures by which it passed late."""
        document = await self._redis.get(keys.LATE_CALL.of(call_id, milliseconds(decided_at)))
        return None if document is None else msgspec.json.decode(document, type=Call)

    async def still_waits(self, user_id: int, call_id: str, now: datetime) -> bool:
        """Whether the user's alert for a call waits for a figure."""
        document = await self._redis.get(keys.WAITING_CALL.of(partition_of(user_id), call_id))
        if document is None:
            return False
        pairs = msgspec.json.decode(document, type=WaitingCall).pairs
        return any(pair.user_id == user_id and now < pair.until for pair in pairs)

    async def revisions(self, user_id: int, since: datetime) -> list[Revision]:
        """Return what PostgreSQL knows: the document that was current then and the later ones, newest first."""
        rows = await self._postgres.fetch(_REVISIONS, user_id, since, MAX_REVISIONS)
        decode = msgspec.json.Decoder(Subscriber).decode
        return [Revision(decode(row["document"]), row["changed_at"]) for row in rows]

    async def deliveries(self, user_id: int, address: str) -> list[DeliveryRecord]:
        """Return what became of the user's alerts for a token, newest first."""
        rows = await self._postgres.fetch(_DELIVERIES, address, user_id, self._clock() - KEPT_FOR)
        return [msgspec.convert(dict(row), DeliveryRecord) for row in rows]

    async def death(self, address: str) -> Death | None:
        """Return when a token died and of what, where that is known."""
        row = await self._postgres.fetch_row(_DEATH, address)
        return None if row is None or row["cause"] in {None, "age"} else msgspec.convert(dict(row), Death)

    async def brought(self, user_id: int, address: str) -> list[Brought]:
        """Return which calls brought the user a token, newest first, for as long as they can explain a later one."""
        rows = await self._postgres.fetch(_BROUGHT, address, user_id, self._clock() - _REASONS_KEPT_FOR)
        return [Brought(_decided(row), row["claimed_at"]) for row in rows]

    async def accepted(self, user_id: int, addresses: Sequence[str]) -> dict[str, str]:
        """Return by token the id of the call that was accepted for the user, for 14 days."""
        if not addresses:
            return {}
        documents = await self._redis.mget([keys.ACCEPTED_TOKEN.of(address, user_id) for address in addresses])
        found: dict[str, str] = {}
        for address, document in zip(addresses, documents, strict=True):
            call_id = None if document is None else _call_id(document)
            if call_id:
                found[address] = call_id
        return found

    async def waiting(self, user_id: int, call_id: str, decided_at: datetime) -> OpenWait | None:
        """Find an alert in the outbox; of a very long one only the part after the decision is searched."""
        start = str(max(0, int(decided_at.timestamp() * 1000) - _SKEW_MS))
        owner = f'"user_id":{user_id}'.encode()
        partition = partition_of(user_id)
        for _ in range(_MAX_OUTBOX_PAGES):
            page = await self._redis.xrange(keys.OUTBOX.of(partition), start=start, count=_PAGE)
            for one in page:
                alert = _alert(one.fields.get("alert", b""), owner)
                if alert and (alert.user_id, alert.call_id) == (user_id, call_id):
                    mark = await self._redis.hget(keys.IN_FLIGHT.of(partition), one.id)
                    return OpenWait(alert, in_flight=mark is not None)
            if len(page) < _PAGE:
                break
            start = f"({page[-1].id}"
        return None

    async def held(self, user_id: int, call_ids: Iterable[str]) -> list[HeldCall]:
        """Return those of these calls that wait for a digest."""
        documents = [await self._redis.hget(keys.HELD_CALLS.of(user_id), call_id) for call_id in call_ids]
        try:
            return [msgspec.json.decode(document, type=HeldCall) for document in documents if document]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("held_call_unreadable", user_id=user_id, reason=str(error))
            return []

    async def prune(self, progress: Progress) -> int:
        """Forget what explains nothing any more, in small batches; return how much."""
        claims = await self._prune(_PRUNE_CLAIMS, self._calls_kept_for + ACCEPTED_FOR, progress)
        return claims + await self._prune(_PRUNE, self._calls_kept_for, progress)

    async def _prune(self, statement: LiteralString, kept_for: timedelta, progress: Progress) -> int:
        pruned = 0
        while True:
            progress()
            tag = await self._postgres.execute(statement, self._clock() - kept_for, _PRUNE_BATCH)
            deleted = int(tag.rpartition(" ")[2])
            pruned += deleted
            if deleted < _PRUNE_BATCH:
                return pruned

    async def run(self, progress: Progress) -> None:
        """Prune once an hour, for ever."""
        while True:
            pruned = await self.prune(progress)
            log.info("calls_pruned", calls=pruned)
            await pause(_PRUNE_EVERY_S, progress)

    async def _journal(self) -> AsyncIterator[StreamEntry]:
        before = "+"
        for _ in range(_MAX_JOURNAL_PAGES):
            page = await self._redis.xrevrange(keys.JOURNAL.of(), before=before, count=_PAGE)
            for one in page:
                yield one
            if len(page) < _PAGE:
                return
            before = page[-1].id


def newest_first(calls: Iterable[DecidedCall]) -> list[DecidedCall]:
    """Sort by the time of the decision; of a call that comes twice the first counts."""
    by_id: dict[str, DecidedCall] = {}
    for one in calls:
        by_id.setdefault(one.call.id, one)
    return sorted(by_id.values(), key=lambda one: one.decided_at, reverse=True)


def _take(found: Recent, user_id: int, kind: bytes, data: bytes, at: datetime) -> None:
    decode = msgspec.json.decode
    try:
        if kind == b"call":
            found.calls.append(decode(data, type=DecidedCall))
        elif kind == b"subscriber":
            subscriber = decode(data, type=Subscriber)
            if subscriber.user_id == user_id:
                found.revisions.append(Revision(subscriber, at))
        elif kind == b"delivery":
            record = decode(data, type=DeliveryRecord)
            if record.user_id == user_id:
                found.deliveries.append(record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # The journal puts it aside in its own time and says so.
        return


def _call_id(document: bytes) -> str | None:
    try:
        return msgspec.json.decode(document, type=_Accepted).call_id
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("accepted_token_unreadable", reason=str(error))
        return None


def _alert(data: bytes, owner: bytes) -> Alert | None:
    if owner not in data:
        return None
    try:
        return msgspec.json.decode(data, type=Alert)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _decided(row: Row) -> DecidedCall:
    return DecidedCall(
        call=msgspec.json.decode(row["document"], type=Call),
        decided_at=row["decided_at"],
        reason=row["reason"],
        checked_channels=tuple(row["checked_channels"]),
    )
