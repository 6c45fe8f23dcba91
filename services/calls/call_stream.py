"""The way from the process that has the feed to those that match: every call once in a stream, read by all of them.

Each partition has a cursor: the entry up to which everything is decided for its subscribers. It moves in the script
that claims what was decided. Whoever takes over a partition goes on from its cursor, and nothing is trimmed that a
partition has not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

import msgspec
import structlog
from msgspec import Struct

from domain.calls.events import Call
from domain.subscribers.partitions import PARTITIONS, Partition
from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError, StreamEntry
from managers.redis.scripts import Script, packed, raw
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress, pause
from services.claims.claiming import FeedCursor
from services.cluster.fencing import FENCED, lease_lost, numbers_of
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_LENGTH: Final = 100_000
"""Calls in the stream beyond which the feed has to wait."""
BEGINNING: Final = "0-0"
_POLL_AGAIN_S: Final = 0.2
_TRIM_EVERY_S: Final = 5.0
_FIELD: Final = "call"

_PUBLISH: Final = Script.beside(__file__, "publish.lua", after=FENCED)
_TRIM: Final = Script.beside(__file__, "trim.lua")


class PublishedCall(Struct, frozen=True):
    entry_id: str
    call: Call


class Batch(Struct, frozen=True, kw_only=True):
    read_from: str
    """The entry after which the reading began."""
    calls: Sequence[PublishedCall]
    """Those that could be read."""
    read_to: str
    """The last entry, readable or not; `read_from` when there was none."""


class CallStream:
    """Every method raises `RedisUnavailableError`."""

    def __init__(self, redis: RedisManager, *, longest: int = MAX_LENGTH) -> None:
        self._redis = redis
        self._longest = longest

    async def publish(
        self,
        calls: Sequence[Call],
        cursor: FeedCursor | None,
        fences: Callable[[], Mapping[str, int]] = dict,
        progress: Progress = lambda: None,
    ) -> None:
        """Append a batch and move the feed's cursor, in one round trip; wait while the stream is full.

        After a lost reply repeat the same batch: nothing is added twice. `fences` is asked for at every attempt.
        `LeaseLostError`: somebody else has the feed by now, and nothing was changed.
        """
        if not calls and cursor is None:
            return
        payloads = list(map(_encode, calls))
        position = None if cursor is None else str(cursor.position)
        source = "" if cursor is None else cursor.source
        mark = keys.PUBLISHED.of(_digest(source, position, payloads))
        names = [keys.FENCES.of(), keys.CALLS.of(), mark, keys.FEED_CURSOR.of(source)]
        encoded = list(map(raw, payloads))
        is_full = False
        while not await self._publish(names, position, encoded, fences()):
            if not is_full:
                is_full = True
                log.warning("call_stream_full", longest=self._longest)
            await pause(_POLL_AGAIN_S, progress)

    async def read(self, after: str, count: int, block_ms: int) -> Batch:
        """Return what comes after an entry; nothing when nothing came in time."""
        found = await self._redis.xread(keys.CALLS.of(), after=after, count=count, block_ms=block_ms)
        readable = (_published(entry) for entry in found)
        calls = [one for one in readable if one]
        return Batch(read_from=after, calls=calls, read_to=found[-1].id if found else after)

    async def cursors(self, partitions: Iterable[Partition]) -> dict[Partition, str]:
        """Return up to which entry everything is decided for each; `BEGINNING` where nothing ever was."""
        wanted = sorted(partitions)
        found = await self._redis.hmget(keys.MATCH_CURSORS.of(), [str(p) for p in wanted])
        return {p: cursor.decode() if cursor else BEGINNING for p, cursor in zip(wanted, found, strict=True)}

    async def trim(self) -> int:
        """Remove what every partition has read; return how many calls went."""
        names = [keys.CALLS.of(), keys.MATCH_CURSORS.of()]
        return cast("int", await self._redis.script(_TRIM, names, packed(partitions=list(range(PARTITIONS)))))

    async def size(self) -> int:
        return await self._redis.xlen(keys.CALLS.of())

    async def keep_short(self, progress: Progress) -> None:
        """Trim for ever. Any number of processes may."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                await self.trim()
            except RedisUnavailableError as error:
                stop_if_cancelled()
                log.warning("call_stream_not_trimmed", reason=str(error))
            await pause(_TRIM_EVERY_S, progress)

    async def _publish(
        self, names: Sequence[str], position: str | None, calls: Sequence[msgspec.Raw], fences: Mapping[str, int]
    ) -> bool:
        args = packed(
            fences=numbers_of(fences),
            longest=self._longest,
            mark_s=keys.PUBLISHED.expires_s,
            position=position,
            calls=calls,
        )
        try:
            return await self._redis.script(_PUBLISH, names, args) == 1
        except RedisReplyError as error:
            raise lease_lost(error) or error from error


class CallReader:
    """Reads the stream for the partitions that a process owns, each from its own cursor on.

    One task reads, and claims (or drops) a batch before it reads the next.
    """

    def __init__(self, stream: CallStream) -> None:
        self._stream = stream
        self._read_to: dict[Partition, str] = {}
        """Partition -> the entry up to which everything is decided for it."""

    async def take_up(self, partitions: Iterable[Partition]) -> None:
        """Read for these as well, from their cursors on. The next batch may begin before the last one."""
        self._read_to |= await self._stream.cursors(partitions)

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Read for these no more; a batch that was read before moves their cursors no more either."""
        for partition in partitions:
            self._read_to.pop(partition, None)

    async def read(self, count: int, block_ms: int) -> Batch:
        """Return what comes after the lowest cursor of the partitions; nothing where there is none (any more)."""
        if not self._read_to:
            return Batch(read_from=BEGINNING, calls=[], read_to=BEGINNING)
        return await self._stream.read(min(self._read_to.values(), key=position_of), count, block_ms)

    def moves(self, batch: Batch) -> dict[Partition, str]:
        """Return the match cursors that the claim of this batch has to move.

        These are the partitions for which the batch has to be decided: others know it already, or were taken up while
        it was read and lack what came before it.
        """
        begin, end = position_of(batch.read_from), position_of(batch.read_to)
        return {p: batch.read_to for p, cursor in self._read_to.items() if begin <= position_of(cursor) < end}

    def claimed(self, moves: Mapping[Partition, str]) -> None:
        """Note that a batch was claimed together with these moves."""
        for partition, entry_id in moves.items():
            if partition in self._read_to:
                self._read_to[partition] = max(self._read_to[partition], entry_id, key=position_of)

    def __len__(self) -> int:
        return len(self._read_to)


def position_of(entry_id: str) -> tuple[int, int]:
    """Order the ids of a stream's entries: as text they are not in order."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Call).decode


def _published(entry: StreamEntry) -> PublishedCall | None:
    try:
        return PublishedCall(entry.id, _decode(entry.fields[_FIELD]))
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("published_call_unreadable", entry_id=entry.id, reason=str(error))
        return None


def _digest(source: str, position: str | None, payloads: Sequence[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (source.encode(), (position or "").encode(), *payloads):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.hexdigest()
