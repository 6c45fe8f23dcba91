"""Alerts between decision and Telegram: claimed once, sent at least once, twice only where nobody can know.

A claim is one script for a whole batch: per (token, user) it marks the token as accepted and puts the alert into the
stream of the user's partition, both or neither. Whoever owns a partition reads its stream as a consumer group. Right
before a request leaves, its entries are marked as in flight; whatever still has its mark after a crash may have been
delivered, and says so.

While Redis is down a process that does everything alone goes on: what it claims goes into the local store, and stays
there until it is settled; everything else is written down and brought to Redis later (`services.stores.spool`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, cast

import msgspec
import structlog
from msgspec.structs import replace

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert, HeldCall
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import read_outgoing
from domain.subscribers.partitions import ALL, Partition
from managers.redis.client import Command, RedisManager, RedisReplyError, RedisUnavailableError, StreamEntry
from managers.redis.scripts import Script, packed, raw
from runtime.fault_points import fault_point
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.claiming import CLAIM, GROUP, ClaimRequest, FeedCursor, alerts_of, claim_command, read_answer
from services.claims.outbox_entries import LOCAL, LocalQueue, OutboxEntry, apart, as_local, from_local
from services.claims.stored_calls import StoredCalls
from services.cluster.fencing import FENCED, lease_lost, numbers_of
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.operations import ScriptCall, Transaction
from services.stores.spool import Spool

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

__all__ = ["GROUP", "Alert", "ClaimRequest", "FeedCursor", "HeldCall", "Outbox", "OutboxEntry"]

_BEGIN: Final = Script.beside(__file__, "begin.lua", after=FENCED)
_DEAD_LETTER: Final = Script.beside(__file__, "dead_letter.lua")
_PAGE: Final = 500
DOCUMENT_FIELD: Final = "alert"


class Outbox:
    def __init__(
        self,
        redis: RedisManager,
        journal: Journal,
        spool: Spool,
        calls: StoredCalls,
        accepted: AcceptedPairs,
        *,
        match_fences: Callable[[], Mapping[str, int]] = dict,
        send_fences: Callable[[Partition], Mapping[str, int]] = lambda _: {},
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`match_fences`, `send_fences`: names and numbers of the leases held for claiming and for sending."""
        self._redis = redis
        self._journal = journal
        self._spool = spool
        self._calls = calls
        self._accepted = accepted
        self._match_fences = match_fences
        self._send_fences = send_fences
        self._clock = clock
        self.stood_before: Callable[[str, int, datetime], None] = lambda _address, _user_id, _until: None
        """Told of every pair that was not accepted, since an earlier record stands: token, user, and when it ends."""
        self._local = LocalQueue()

    # claiming

    async def claim(
        self,
        decisions: Sequence[ClaimRequest],
        cursor: FeedCursor | None = None,
        match_cursors: Mapping[Partition, str] | None = None,
    ) -> list[set[int]]:
        """Claim a batch in one round trip; return per call the users that are newly accepted.

        When the answer gets lost (`RedisUnavailableError`), ask again with the same batch: nothing happens twice, and
        for five minutes the answer is the one that got lost. `LeaseLostError`: nothing was changed.
        """
        if not decisions and cursor is None and not match_cursors:
            return []
        for decision in decisions:
            if decision.accepted:
                self._calls.remember(decision, decision.call_payload)
        fault_point("claiming")
        async with self._spool.entered():
            if not self._spool.is_local:
                try:
                    return await self._claim_at_redis(decisions, cursor, match_cursors)
                except RedisUnavailableError as error:
                    if not self._spool.may_go_local():
                        raise
                    self._spool.go_local(str(error))
            return await self._claim_locally(decisions, cursor)

    async def _claim_at_redis(
        self,
        decisions: Sequence[ClaimRequest],
        cursor: FeedCursor | None,
        match_cursors: Mapping[Partition, str] | None,
    ) -> list[set[int]]:
        fences, now = self._match_fences(), self._clock()
        names, args = claim_command(decisions, cursor, fences=fences, match_cursors=match_cursors, now=now)
        try:
            reply = await self._redis.script(CLAIM, names, args)
        except RedisReplyError as error:
            raise lease_lost(error) or error from error
        claimed, stand = read_answer(cast("bytes", reply), decisions)
        for address, user_id, left in stand:
            self.stood_before(address, user_id, now + left)
        self._note_claims(decisions, claimed)
        self._journal.tail.keep_none()
        fault_point("claimed")
        return claimed

    async def _claim_locally(self, decisions: Sequence[ClaimRequest], cursor: FeedCursor | None) -> list[set[int]]:
        """Claim what neither a sender's hands nor PostgreSQL know. The matcher remembers the rest."""
        known = await asyncio.gather(*map(self._accepted.known, decisions))
        kept = [
            replace(d, accepted=[p for p in d.accepted if p[0] not in k]) for d, k in zip(decisions, known, strict=True)
        ]
        for decision, earlier in zip(decisions, known, strict=True):
            for user_id, accepted_at in earlier.items():
                if accepted_at is not None:
                    self.stood_before(decision.token_address, user_id, accepted_at + ACCEPTED_FOR)
        # What a sender got although the answer to its claim was lost: nobody has noted it yet.
        got = (alert for d in decisions for alert in alerts_of(d) if self._accepted.was_handed_out(alert))
        self._journal.tail.note(entry("claim", msgspec.json.encode(alert)) for alert in got)
        claimed = [{user_id for user_id, _ in d.accepted} for d in kept]
        names, args = claim_command(kept, cursor, mode="local")
        alerts = [
            OutboxEntry(entry_id=f"{LOCAL}{uuid.uuid4().hex}", outgoing=alert) for d in kept for alert in alerts_of(d)
        ]
        payloads = {d.call_id: d.call_payload for d in kept}
        stored = [as_local(one, payloads[one.alert.call_id]) for one in alerts]
        await self._spool.put(stored, ScriptCall(script=CLAIM, keys=names, args=args))
        self._note_claims(kept, claimed, kept=True)
        self._local.put(alerts)
        fault_point("claimed")
        return claimed

    def _note_claims(
        self, decisions: Sequence[ClaimRequest], claimed: Sequence[set[int]], *, kept: bool = False
    ) -> None:
        for decision, users in zip(decisions, claimed, strict=True):
            accepted = (alert for alert in alerts_of(decision) if alert.user_id in users) if users else ()
            noted = [entry("claim", msgspec.json.encode(alert)) for alert in accepted]
            noted += [entry("call", decision.decided_payload)] if decision.decided_payload else []
            self._journal.tail.note(noted, kept=kept)

    async def cursor(self, source: str) -> int | None:
        """Return the position up to which everything of the source was claimed."""
        value = await self._redis.get(keys.FEED_CURSOR.of(source))
        return None if value is None else int(value)

    async def load_call(self, alert: Alert | HeldCall) -> bytes | None:
        """Return the call as it was when it passed (JSON of `domain.calls.events.Call`)."""
        return await self._calls.find(alert)

    # sending

    @property
    def is_behind(self) -> bool:
        """Whether Redis does not know yet what was finished without it."""
        return self._spool.is_local or bool(self._spool.waiting)

    async def size(self, partitions: Iterable[Partition] = ALL) -> int:
        """Return how many alerts have no known outcome yet."""
        lengths = await self._redis.transaction([("XLEN", keys.OUTBOX.of(p)) for p in sorted(partitions)])
        return sum(cast("list[int]", lengths)) + self._spool.local_alerts

    async def prepare(self, partitions: Iterable[Partition] = ALL) -> None:
        """Create the consumer groups that are missing."""
        for partition in partitions:
            await self._redis.xgroup_create(keys.OUTBOX.of(partition), GROUP)

    async def read(
        self, consumer: str, count: int, block_ms: int, partitions: Iterable[Partition] = ALL
    ) -> list[OutboxEntry]:
        """Take alerts that nobody has taken; nothing when none came in time, or Redis has lost its groups."""
        if self._local:
            return self._local.take(count)
        streams = {keys.OUTBOX.of(partition): partition for partition in partitions}
        if self._spool.is_local or not streams:
            await self._local.wait(block_ms / 1000)
            return self._local.take(count)
        try:
            found = await self._redis.xreadgroup_many(list(streams), GROUP, consumer, count=count, block_ms=block_ms)
        except RedisReplyError as error:
            if error.code != "NOGROUP":
                raise
            await asyncio.sleep(block_ms / 1000)  # emptied: it is noticed and filled again
            return []
        entries: list[OutboxEntry] = []
        for stream, its in found.items():
            entries += await self._entries(streams[stream], its, marks={})
        return entries

    async def recover(
        self, consumer: str, partitions: Iterable[Partition] = ALL, *, min_idle_s: float = 0.0
    ) -> list[OutboxEntry]:
        """Return what was taken, never finished, by whomever; with `min_idle_s` only what was taken so long ago.

        Without `min_idle_s` for the owner of these partitions, before their first `read`: later it would return what is
        being sent right now.
        """
        recovered: list[OutboxEntry] = []
        if min_idle_s and self._spool.waiting:
            return recovered  # some of it is finished, and Redis is only about to hear of it
        for partition in partitions:
            await self._redis.xgroup_create(keys.OUTBOX.of(partition), GROUP)
            entries = await self._taken_over(partition, consumer, int(min_idle_s * 1000))
            marks: dict[str, bytes | None] = {}
            for at in range(0, len(entries), _PAGE):
                ids = [e.id for e in entries[at : at + _PAGE]]
                found = await self._redis.hmget(keys.IN_FLIGHT.of(partition), ids)
                marks |= zip(ids, found, strict=True)
            recovered += await self._entries(partition, entries, marks)
        # Should Redis be emptied and we be killed before they are sent again, this is all that is known of them.
        self._journal.begun.recovered(one.outgoing for one in recovered if one.may_repeat)
        return recovered

    async def recover_local(self) -> None:
        """Take up the alerts that a killed process left in the local store. Once, at start."""
        entries: list[OutboxEntry] = []
        for alert in await self._spool.unsettled():
            if one := from_local(alert):
                self._calls.remember(one.alert, alert.call_json)
                entries.append(one)
        self._local.put(entries)

    async def begin(self, entries: Sequence[OutboxEntry]) -> None:
        """Mark the entries as in flight: the very next thing is the request.

        `LeaseLostError`: somebody else owns a partition by now and nothing may be sent.
        """
        local, remote = apart(entries)
        if local:
            await self._spool.mark(local)
        leaving = (one.outgoing for one in entries if not one.is_local)
        self._journal.begun.begin((one, self._calls.remembered(one)) for one in leaving)
        now_ms = int(time.time() * 1000)
        for partition, ids in remote.items():
            names = [keys.FENCES.of(), keys.IN_FLIGHT.of(partition)]
            marks = [part for entry_id in ids for part in (entry_id, now_ms)]
            args = packed(fences=numbers_of(self._send_fences(partition)), entries=ids, at_ms=now_ms)
            begin = ScriptCall(script=_BEGIN, keys=names, args=args)
            later = Transaction(commands=[["HSET", keys.IN_FLIGHT.of(partition), *marks]])
            try:
                await self._spool.execute(begin, later=later)
            except RedisReplyError as error:
                raise lease_lost(error) or error from error
        if remote:
            await self._spool.confirm()

    async def give_back(self, entries: Sequence[OutboxEntry]) -> None:
        """Unmark entries whose request surely did not get through; they stay with their consumer.

        The mark of an earlier attempt with an unknown outcome stays.
        """
        entries = [one for one in entries if not one.may_repeat]
        self._journal.begun.take_back([one.outgoing for one in entries])
        local, remote = apart(entries)
        if local:
            await self._spool.unmark(local)
        if remote:
            commands = [["HDEL", keys.IN_FLIGHT.of(partition), *ids] for partition, ids in remote.items()]
            await self._spool.execute(Transaction(commands=commands))

    async def finish(
        self,
        entries: Sequence[OutboxEntry],
        records: Sequence[DeliveryRecord],
        together_with: Sequence[Command] = (),
    ) -> None:
        """Forget the entries and journal what became of them, at once. May be repeated, as must the rest."""
        if not entries:
            return
        local, remote = apart(entries)
        noted = [entry("delivery", msgspec.json.encode(record)) for record in records]
        commands: list[Command] = [*together_with, *noted]
        for partition, ids in remote.items():
            stream = keys.OUTBOX.of(partition)
            commands += [("XACK", stream, GROUP, *ids), ("XDEL", stream, *ids)]
            commands += [("HDEL", keys.IN_FLIGHT.of(partition), *ids)]
        self._journal.begun.settle(records)  # Telegram has answered, whatever happens to Redis now
        await self._spool.execute(Transaction(commands=commands), settles=local)
        self._journal.tail.note(noted)
        self._journal.begun.stored(records)

    async def dead_letter(self, dead: OutboxEntry, reason: str, records: Sequence[DeliveryRecord]) -> None:
        """Move an entry to the dead letters, with its journal records, atomically. May be repeated."""
        encoded = [msgspec.json.encode(record) for record in records]
        await self._dead_letter(dead.partition, dead.entry_id, msgspec.json.encode(dead.outgoing), reason, encoded)
        self._journal.begun.settle(records)
        self._journal.begun.stored(records)

    async def _dead_letter(
        self, partition: Partition, entry_id: str, alert: bytes, reason: str, records: Sequence[bytes]
    ) -> None:
        names = [keys.OUTBOX.of(partition), keys.DEAD_LETTERS.of(), keys.IN_FLIGHT.of(partition), keys.JOURNAL.of()]
        names += [keys.SETTLED_LOCALLY.of(entry_id)]
        is_local = entry_id.startswith(LOCAL)
        args = packed(
            group=GROUP,
            entry=None if is_local else entry_id,
            alert=raw(alert),
            reason=reason,
            at_ms=int(time.time() * 1000),
            mark_s=keys.SETTLED_LOCALLY.expires_s,
            records=list(map(raw, records)),
        )
        operation = ScriptCall(script=_DEAD_LETTER, keys=names, args=args)
        await self._spool.execute(operation, settles=[entry_id] if is_local else ())
        self._journal.tail.note(entry("delivery", record) for record in records)
        log.warning("alert_dead_lettered", entry_id=entry_id, reason=reason)

    async def _taken_over(self, partition: Partition, consumer: str, min_idle_ms: int) -> list[StreamEntry]:
        taken: list[StreamEntry] = []
        start = "0-0"
        while True:
            try:
                start, page = await self._redis.xautoclaim(
                    keys.OUTBOX.of(partition), GROUP, consumer, min_idle_ms=min_idle_ms, start=start, count=_PAGE
                )
            except RedisReplyError as error:
                if error.code != "NOGROUP":
                    raise
                return []  # emptied in this moment: it is noticed and filled again
            taken += page
            if start == "0-0":
                return taken

    async def _entries(
        self, partition: Partition, found: Sequence[StreamEntry], marks: Mapping[str, bytes | None]
    ) -> list[OutboxEntry]:
        readable: list[OutboxEntry] = []
        gone: list[str] = []
        for one in found:
            document = one.fields.get(DOCUMENT_FIELD)
            if document is None:
                gone.append(one.id)
                continue
            may_repeat = marks.get(one.id) is not None
            try:
                decoded = read_outgoing(document)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                await self._dead_letter(partition, one.id, document, f"unreadable: {error}", ())
                continue
            if isinstance(decoded, Alert):
                self._accepted.handed_out(decoded)
            readable.append(OutboxEntry(entry_id=one.id, outgoing=decoded, may_repeat=may_repeat))
        await self._redis.xack(keys.OUTBOX.of(partition), GROUP, *gone)
        return readable
