"""Alerts between decision and Telegram: claimed once, sent at least once, twice only where nobody can know.

A claim is one script for a whole batch: per (token, user) it marks the token as accepted and puts the alert
into the stream, both or neither. Senders read the stream as a consumer group. Right before a request
leaves, its entries are marked as in flight; whatever still has its mark after a crash may have been
delivered, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, cast

import msgspec
import structlog
from msgspec import Struct

from managers.redis import Command, RedisManager, RedisReplyError, Script, StreamEntry
from services import keys
from services.claims import CLAIM, Alert, ClaimRequest, FeedCursor, HeldCall, claim_command, stored_call_key
from services.journal import Journal, entry
from services.journal_rows import DeliveryRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

__all__ = ["GROUP", "Alert", "ClaimRequest", "DeadLetter", "FeedCursor", "HeldCall", "Outbox", "OutboxEntry"]

GROUP: Final = "senders"
_PAGE: Final = 500
_ALERT_FIELD: Final = "alert"


class OutboxEntry(Struct, frozen=True, kw_only=True):
    entry_id: str
    alert: Alert
    may_repeat: bool = False
    """A request for it left earlier and its outcome was never known."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    entry_id: str
    """Of the letter, not of the outbox entry it was."""
    alert: Alert | None
    """`None` when not even that could be read."""
    reason: str
    buried_at: datetime


# KEYS: outbox, dead letters, in-flight marks, journal. ARGV: group, entry, alert, reason, time, then journal
# records. Only whoever still holds the entry writes the letter, so a repeated burial digs no second
# grave.
_BURY: Final = Script("""
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('XADD', KEYS[2], '*', 'alert', ARGV[3], 'reason', ARGV[4], 'buried_at_ms', ARGV[5])
  for i = 6, #ARGV do redis.call('XADD', KEYS[4], '*', 'kind', 'delivery', 'data', ARGV[i]) end
end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
return 1
""")


class Outbox:
    def __init__(self, redis: RedisManager, journal: Journal) -> None:
        self._redis = redis
        self._journal = journal
        self._stream = keys.OUTBOX.of()

    async def claim(self, decisions: Sequence[ClaimRequest], cursor: FeedCursor | None = None) -> list[set[int]]:
        """Claim a batch in one round trip; return per call the users that are newly accepted.

        When the answer gets lost (`RedisAwayError`), ask again with the same batch: nothing happens twice, and
        for five minutes the answer is the one that got lost.
        """
        if not decisions and cursor is None:
            return []
        names, args = claim_command(decisions, cursor)
        reply = await self._redis.script(CLAIM, names, args)
        flags = iter(cast("bytes", reply).decode())
        return [{user_id for user_id, _ in d.accepted if next(flags) == "1"} for d in decisions]

    async def cursor(self, source: str) -> int | None:
        """Return the position up to which everything of the source was claimed."""
        value = await self._redis.get(keys.FEED_CURSOR.of(source))
        return None if value is None else int(value)

    async def load_call(self, alert: Alert | HeldCall) -> bytes | None:
        """Return the call as it was when it passed (JSON of `domain.calls.Call`)."""
        return await self._redis.get(stored_call_key(alert.call_id, alert.late_s, alert.decided_at))

    async def size(self) -> int:
        """Return how many alerts have no known outcome yet."""
        return await self._redis.xlen(self._stream)

    async def read(self, consumer: str, count: int, block_ms: int) -> list[OutboxEntry]:
        """Take alerts that nobody has taken; nothing when none came in time."""
        try:
            found = await self._redis.xreadgroup(self._stream, GROUP, consumer, count=count, block_ms=block_ms)
        except RedisReplyError as error:
            if error.code != "NOGROUP":
                raise
            # The first start, or Redis was emptied.
            await self._redis.xgroup_create(self._stream, GROUP)
            return []
        return await self._entries(found, marks={})

    async def recover(self, consumer: str, *, min_idle_s: float = 60.0) -> list[OutboxEntry]:
        """Return what was taken, never finished: by this consumer before a restart, by others for too long.

        Once, at the start of a consumer, before `read`: later it would return what is being sent right now.
        """
        await self._redis.xgroup_create(self._stream, GROUP)
        found = {e.id: e for e in await self._own_pending(consumer)}
        found |= {e.id: e for e in await self._taken_over(consumer, int(min_idle_s * 1000))}
        entries = list(found.values())
        marks: dict[str, bytes | None] = {}
        for at in range(0, len(entries), _PAGE):
            ids = [e.id for e in entries[at : at + _PAGE]]
            marks |= zip(ids, await self._redis.hmget(keys.IN_FLIGHT.of(), ids), strict=True)
        return await self._entries(entries, marks)

    async def begin(self, entries: Sequence[OutboxEntry]) -> None:
        """Mark the entries as in flight: the very next thing is the request."""
        now_ms = int(time.time() * 1000)
        await self._redis.hset(keys.IN_FLIGHT.of(), {e.entry_id: now_ms for e in entries})

    async def give_back(self, entries: Sequence[OutboxEntry]) -> None:
        """Unmark entries whose request surely did not get through; they stay with their consumer.

        The mark of an earlier attempt with an unknown outcome stays.
        """
        await self._redis.hdel(keys.IN_FLIGHT.of(), *(e.entry_id for e in entries if not e.may_repeat))

    async def finish(
        self,
        entries: Sequence[OutboxEntry],
        records: Sequence[DeliveryRecord],
        together_with: Sequence[Command] = (),
    ) -> None:
        """Forget the entries and journal what became of them, in one MULTI. May be repeated, as must the rest."""
        ids = [e.entry_id for e in entries]
        if not ids:
            return
        await self._journal.append_with(
            [
                ("XACK", self._stream, GROUP, *ids),
                ("XDEL", self._stream, *ids),
                ("HDEL", keys.IN_FLIGHT.of(), *ids),
                *together_with,
            ],
            [entry("delivery", msgspec.json.encode(record)) for record in records],
        )

    async def bury(self, dead: OutboxEntry, reason: str, records: Sequence[DeliveryRecord]) -> None:
        """Move an entry to the dead letters, with its journal records, atomically. May be repeated."""
        encoded = [msgspec.json.encode(record) for record in records]
        await self._bury(dead.entry_id, msgspec.json.encode(dead.alert), reason, encoded)

    async def dead(self, *, count: int = 100, after: str = "-") -> list[DeadLetter]:
        """Return dead letters, oldest first. `after` is the id of the last one seen, to go on from there."""
        start = after if after == "-" else f"({after}"
        letters = await self._redis.xrange(keys.DEAD_LETTERS.of(), start=start, count=count)
        return [_dead_letter(letter) for letter in letters]

    async def _bury(self, entry_id: str, alert: bytes, reason: str, records: Sequence[bytes]) -> None:
        names = [self._stream, keys.DEAD_LETTERS.of(), keys.IN_FLIGHT.of(), keys.JOURNAL.of()]
        now_ms = int(time.time() * 1000)
        await self._redis.script(_BURY, names, [GROUP, entry_id, alert, reason, now_ms, *records])
        log.warning("alert_buried", entry_id=entry_id, reason=reason)

    async def _own_pending(self, consumer: str) -> list[StreamEntry]:
        pending: list[StreamEntry] = []
        after = "0"
        while page := await self._redis.xreadgroup_pending(self._stream, GROUP, consumer, after=after, count=_PAGE):
            pending += page
            after = page[-1].id
        return pending

    async def _taken_over(self, consumer: str, min_idle_ms: int) -> list[StreamEntry]:
        taken: list[StreamEntry] = []
        start = "0-0"
        while True:
            start, page = await self._redis.xautoclaim(
                self._stream, GROUP, consumer, min_idle_ms=min_idle_ms, start=start, count=_PAGE
            )
            taken += page
            if start == "0-0":
                return taken

    async def _entries(self, found: Sequence[StreamEntry], marks: dict[str, bytes | None]) -> list[OutboxEntry]:
        readable: list[OutboxEntry] = []
        gone: list[str] = []
        for one in found:
            alert = one.fields.get(_ALERT_FIELD)
            if alert is None:
                gone.append(one.id)
                continue
            may_repeat = marks.get(one.id) is not None
            try:
                decoded = msgspec.json.decode(alert, type=Alert)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                await self._bury(one.id, alert, f"unreadable: {error}", ())
                continue
            readable.append(OutboxEntry(entry_id=one.id, alert=decoded, may_repeat=may_repeat))
        await self._redis.xack(self._stream, GROUP, *gone)
        return readable


def _dead_letter(letter: StreamEntry) -> DeadLetter:
    try:
        alert = msgspec.json.decode(letter.fields.get(_ALERT_FIELD, b""), type=Alert)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        alert = None
    buried_at_ms = int(letter.fields.get("buried_at_ms", b"0"))
    return DeadLetter(
        entry_id=letter.id,
        alert=alert,
        reason=letter.fields.get("reason", b"").decode(errors="replace"),
        buried_at=datetime.fromtimestamp(buried_at_ms / 1000, UTC),
    )
