"""What Redis knows of a person, and how it is taken out.

Of every key it is said here whether it has a person in it and where. What a book keeps of them stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, cast

import msgspec
import structlog
from msgspec import Struct

from domain.stored.alerts import WaitingCall
from domain.subscribers.partitions import partition_of
from managers.redis.client import Command, RedisManager, StreamEntry
from managers.redis.replies import Reply, text
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from runtime.waiting import Progress
from services.claims.claiming import GROUP
from services.export import keys as export_keys
from services.payments import keys as payment_keys
from services.stores import keys
from services.stores.redis_key import RedisKey

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OWN: Final = (
    *(keys.SUBSCRIBER, keys.RECENT_ALERTS, keys.HELD_CALLS, keys.TOLD_ORDER, keys.DELAYED_ALERTS, keys.EXPECTED_INPUT),
    *(keys.HELD_INPUT, keys.SHARED_BY, payment_keys.SHOWN, payment_keys.PASTED, export_keys.EXPORTED),
)
"""By user id, and nothing else."""
AMONG: Final[dict[RedisKey, int]] = {keys.ACCEPTED_TOKEN: 1, keys.PUT: 1, keys.CARD_KEYBOARD: 0}
"""By user id among others: which part of the name it is."""
MEMBERS: Final = (keys.SUBSCRIBERS, keys.DUE, keys.WAITING_CALL, export_keys.EXPORTS)
"""Holds it among those of others."""
STREAMS: Final = (keys.OUTBOX, keys.DEAD_LETTERS, keys.CHANGES)
"""Holds entries of everybody."""
KEPT: Final = (
    *(payment_keys.INVOICE, payment_keys.INVOICES_OF, payment_keys.ENTITLEMENTS, payment_keys.ENTITLED),
    *(keys.ERASING, keys.ERASED),
)
"""The books, and that somebody was deleted."""
PASSES: Final = (keys.JOURNAL, keys.IN_DOUBT, keys.SENT_LATELY, keys.CONFIRMATION)
"""What is on its way; nothing of it stays."""

_BATCH: Final = 1_000
_STREAM_BATCH: Final = 500
_EVERYTHING: Final = 10**9
"""At once: what is due, or waits, for a sixteenth of everybody."""
_WITHOUT: Final = Script.beside(__file__, "without.lua")


class _Whose(Struct, frozen=True):
    user_id: int = 0


class Traces:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def remove(self, user_id: int, progress: Progress) -> int:
        """Take out what stands of them now; returns how many keys and entries it was. May be repeated."""
        removed = await self._shared_sets(user_id)
        removed += await self._redis.delete(*(key.of(user_id) for key in OWN))
        for key, place in AMONG.items():
            removed += await self._delete(_of_one(key, place, user_id), progress)
        removed += await self._due(user_id, progress)
        removed += await self._waiting(user_id)
        partition = partition_of(user_id)
        outbox, in_flight = keys.OUTBOX.of(partition), keys.IN_FLIGHT.of(partition)
        removed += await self._entries(outbox, _is_in("alert", user_id), progress, in_flight)
        removed += await self._entries(keys.DEAD_LETTERS.of(), _is_in("alert", user_id), progress)
        said = str(user_id).encode()
        removed += await self._entries(keys.CHANGES.of(), lambda one: one.get("user_id") == said, progress)
        commands: list[Command] = [
            ("SREM", keys.SUBSCRIBERS.of(), user_id),
            ("HDEL", export_keys.EXPORTS.of(), user_id),
        ]
        await self._redis.transaction(commands)
        return removed

    async def _shared_sets(self, user_id: int) -> int:
        codes = (await self._redis.hgetall(keys.SHARED_BY.of(user_id))).values()
        return await self._redis.delete(*(keys.SHARED_SET.of(code.decode()) for code in codes))

    async def _delete(self, pattern: str, progress: Progress) -> int:
        removed = 0
        async for names in self._redis.scan(pattern, count=_BATCH):
            progress()
            removed += await self._redis.delete(*names)
        return removed

    async def _due(self, user_id: int, progress: Progress) -> int:
        """Whatever is due for them, and for things of theirs."""
        removed = 0
        async for places in self._redis.scan(keys.DUE.of_any(), count=_BATCH):
            progress()
            found = await self._redis.transaction(
                [("ZSCAN", name, 0, "MATCH", f"{user_id}/*", "COUNT", _EVERYTHING) for name in places]
            )
            things = [_members(reply) for reply in found]
            gone = [("ZREM", name, user_id, *its) for name, its in zip(places, things, strict=True)]
            removed += sum(reply for reply in await self._redis.transaction(gone) if isinstance(reply, int))
        return removed

    async def _waiting(self, user_id: int) -> int:
        """Calls that wait for a figure, for them among others."""
        partition, removed = partition_of(user_id), 0
        for call_id, _ in await self._redis.zrange_by_score(keys.WAITING_CALLS.of(partition), count=_EVERYTHING):
            name = keys.WAITING_CALL.of(partition, call_id)
            document = await self._redis.get(name)
            known = None if document is None else msgspec.json.decode(document, type=WaitingCall)
            if document is None or known is None or all(pair.user_id != user_id for pair in known.pairs):
                continue
            left = tuple(pair for pair in known.pairs if pair.user_id != user_id)
            part = WaitingCall(call=known.call, pairs=left) if left else None
            args = packed(
                call_id=call_id,
                seen=raw(document),
                left=raw(msgspec.json.encode(part)) if part else None,
                ends_ms=milliseconds(part.until) if part else None,
            )
            names = [name, keys.WAITING_CALLS.of(partition)]
            removed += bool(await self._redis.script(_WITHOUT, names, args))
        return removed

    async def _entries(
        self,
        stream: str,
        is_theirs: Callable[[dict[str, bytes]], bool],
        progress: Progress,
        marks: str | None = None,
    ) -> int:
        removed = 0
        async for page in self._pages(stream):
            progress()
            ids = [one.id for one in page if is_theirs(one.fields)]
            if ids:
                acknowledged = [("XACK", stream, GROUP, *ids), ("HDEL", marks, *ids)] if marks else []
                await self._redis.transaction([*acknowledged, ("XDEL", stream, *ids)])
                removed += len(ids)
        return removed

    async def _pages(self, stream: str) -> AsyncIterator[Sequence[StreamEntry]]:
        start = "-"
        while page := await self._redis.xrange(stream, start=start, count=_STREAM_BATCH):
            yield page
            start = f"({page[-1].id}"


def _of_one(key: RedisKey, place: int, user_id: int) -> str:
    """Return the pattern of all keys that have the person in this place."""
    parts = key.pattern.split("{}")
    named = (str(user_id) if number == place else "*" for number in range(len(parts) - 1))
    return "".join(part + name for part, name in zip(parts, (*named, ""), strict=True))


def _is_in(field: str, user_id: int) -> Callable[[dict[str, bytes]], bool]:
    """Whether an entry is theirs; one that nobody can read belongs to nobody."""
    said = str(user_id).encode()

    def is_theirs(fields: dict[str, bytes]) -> bool:
        document = fields.get(field, b"")
        if said not in document:
            return False
        try:
            return msgspec.json.decode(document, type=_Whose).user_id == user_id
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("entry_unreadable", reason=str(error))
            return False

    return is_theirs


def _members(reply: Reply) -> list[str]:
    """Read what ZSCAN answers: members and scores in turn."""
    _, found = cast("tuple[bytes, list[Reply]]", reply)
    return [text(member) for member in found[::2]]
