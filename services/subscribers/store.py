"""Where subscribers live: memory, then Redis (the live truth), then PostgreSQL (the permanent one)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, LiteralString, NamedTuple

import msgspec
import structlog

from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.redis.scripts import Script, packed, raw
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager, PostgresUnavailableError, Row
from runtime.errors import TransientError, UnreadableError
from runtime.waiting import Progress
from services.cluster.changes import CHANGES_KEPT
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.sealing import Sealer, UnknownKeyError
from services.stores.unreadable import NOT_READABLE, Unreadable

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_BATCH: Final = 1000

_ALL: Final[LiteralString] = "SELECT user_id, document FROM subscribers ORDER BY user_id"
_ONE: Final[LiteralString] = "SELECT user_id, document FROM subscribers WHERE user_id = $1"

_SAVE: Final = Script.beside(__file__, "save.lua")
_OTHER_KEY: Final = "key "
_NO_DOCUMENT: Final = "unreadable"
_REDIS, _POSTGRESQL = "Redis", "PostgreSQL"


class StaleSubscriberError(TransientError):
    """Somebody else changed the subscriber meanwhile: find it again and change what stands now."""

    def __init__(self, user_id: int, revision: int, standing: int) -> None:
        super().__init__(f"subscriber {user_id}: revision {revision} comes after {standing} was stored")
        self.user_id = user_id
        self.standing = standing


class _Kept(NamedTuple):
    """A row of PostgreSQL."""

    user_id: int
    document: bytes
    subscriber: Subscriber | None
    """`None`: it cannot be read."""


class _Head(msgspec.Struct):
    """What a script reads of a document."""

    revision: int = 1
    created_at: str = ""


class SubscribersStore:
    def __init__(
        self,
        redis: RedisManager,
        postgres: PostgresManager,
        journal: Journal,
        cache: SmartCache[int, Subscriber | None],
        owner: str = "",
        sealer: Sealer | None = None,
    ) -> None:
        """`owner`: the process by whom changes are made (`services.cluster.changes`)."""
        self._sealer = sealer or Sealer()
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._cache = cache
        self._owner = owner
        self.unreadable = Unreadable[int]("subscriber")
        """Whose documents could not be read here."""

    async def find(self, user_id: int) -> Subscriber | None:
        """Return the subscriber; `None`: there is none. `TransientError` only when memory does not know.

        `UnreadableError`: there is one, and the document cannot be read.
        """
        return await self._cache.get_or_load(user_id, self._load)

    async def save(self, subscriber: Subscriber) -> None:
        """Store a new revision together with its journal entry, atomically. May be repeated.

        `StaleSubscriberError` when the same or a later revision stands there with other contents; `UnknownKeyError`
        when what stands there is sealed by a key that is not ours; `UnreadableError` when it is no document.
        """
        user_id = subscriber.user_id
        plain = _encoded(subscriber)
        document = self._sealed(subscriber, plain)
        names = [keys.SUBSCRIBER.of(user_id), keys.SUBSCRIBERS.of(), keys.JOURNAL.of(), keys.CHANGES.of()]
        names += [keys.ERASING.of(), keys.EPOCH.of()]
        # Whatever comes of it, what memory knows is no longer sure.
        self._cache.invalidate(user_id)
        args = packed(
            user_id=user_id,
            revision=subscriber.revision,
            created_at=msgspec.to_builtins(subscriber.created_at),
            document=raw(document),
            digest=self._sealer.digest(plain),
            known_keys=self._sealer.fingerprints,
            by=self._owner,
            changes_kept=CHANGES_KEPT,
        )
        reply = await self._redis.script(_SAVE, names, args)
        if reply != b"stored":
            said = reply.decode() if isinstance(reply, bytes) else "0"
            if said.startswith(_OTHER_KEY):
                raise await self._foreign(user_id, UnknownKeyError(said.removeprefix(_OTHER_KEY)))
            if said == _NO_DOCUMENT:
                raise self._not_read(user_id, msgspec.DecodeError(said), _REDIS)
            standing = int(float(said))
            raise StaleSubscriberError(user_id, subscriber.revision, standing)
        self._journal.tail.note([entry("subscriber", document)])
        self._cache.put(user_id, subscriber)
        self.unreadable.clear(user_id)

    def forget(self, user_id: int) -> None:
        """Another process changed the subscriber: memory is not right any more."""
        self._cache.invalidate(user_id)

    def forget_all(self) -> None:
        self._cache.clear()

    async def load_all(self) -> AsyncIterator[list[Subscriber]]:
        """Yield everybody, batch by batch, at start.

        First the journal is drained, so that PostgreSQL knows what Redis knows; then PostgreSQL is read,
        and what an emptied Redis lacks is put back. When PostgreSQL is down, or was emptied, Redis is read instead. A
        subscriber may come twice; the higher revision is the right one. Who cannot be read is left out.
        """
        try:
            await self._check()
            await self._drain()
            async for batch in self._from_postgres():
                yield batch
        except PostgresUnavailableError as error:
            log.warning("subscribers_loaded_from_redis", reason=str(error))
            async for batch in self._from_redis():
                yield batch

    async def put_all_back(self, progress: Progress = lambda: None) -> int:
        """Give Redis every document that it lacks or has an earlier revision of; returns how many there are."""
        count = 0
        async for rows in self._postgres.stream(_ALL, batch=_BATCH):
            progress()
            batch = [self._kept(row) for row in rows]
            await self._put_back(batch)
            found = await self._redis.mget([keys.SUBSCRIBER.of(one.user_id) for one in batch])
            pairs = zip((one.subscriber for one in batch), found, strict=True)
            earlier = [one for one, has in pairs if one and has and await self._is_earlier(has, one)]
            await self._redis.transaction([("SET", keys.SUBSCRIBER.of(s.user_id), self._sealed(s)) for s in earlier])
            count += len(rows)
        return count

    async def _check(self) -> None:
        try:
            if self._journal.check is not None:
                await self._journal.check()
        except RedisUnavailableError as error:
            log.warning("database_not_checked", reason=str(error))

    async def _drain(self) -> None:
        try:
            await self._journal.drain_all()
        except RedisUnavailableError as error:
            log.warning("journal_not_drained", reason=str(error))

    async def _from_postgres(self) -> AsyncIterator[list[Subscriber]]:
        refill = True
        async for rows in self._postgres.stream(_ALL, batch=_BATCH):
            batch = [self._kept(row) for row in rows]
            if refill:
                refill = await self._put_back(batch)
            yield [one.subscriber for one in batch if one.subscriber]

    async def _put_back(self, batch: Sequence[_Kept]) -> bool:
        """Give Redis the documents it lacks; return whether Redis is there.

        One that cannot be read, too: a Redis that lacks it would take its owner for somebody new.
        """
        names = [keys.SUBSCRIBER.of(one.user_id) for one in batch]
        try:
            if await self._redis.exists(*names) < len(names):
                put = [("SET", name, self._as_kept(one), "NX") for name, one in zip(names, batch, strict=True)]
                members = ("SADD", keys.SUBSCRIBERS.of(), *(one.user_id for one in batch))
                replies = await self._redis.transaction([*put, members])
                log.info("redis_refilled", subscribers=sum(reply is not None for reply in replies[:-1]))
        except RedisUnavailableError as error:
            log.warning("redis_not_refilled", reason=str(error))
            return False
        return True

    async def _from_redis(self) -> AsyncIterator[list[Subscriber]]:
        async for user_ids in self._redis.sscan(keys.SUBSCRIBERS.of(), count=_BATCH):
            documents = await self._redis.mget([keys.SUBSCRIBER.of(user_id) for user_id in user_ids])
            found = zip(user_ids, documents, strict=True)
            read = [
                await self._opened_if(int(user_id), document) for user_id, document in found if document is not None
            ]
            yield [one for one in read if one]

    async def _load(self, user_id: int) -> Subscriber | None:
        found = await self._found(user_id)
        self.unreadable.clear(user_id)
        return found

    async def _found(self, user_id: int) -> Subscriber | None:
        redis_unavailable: RedisUnavailableError | None = None
        try:
            document, epoch = await self._redis.mget([keys.SUBSCRIBER.of(user_id), keys.EPOCH.of()])
        except RedisUnavailableError as error:
            redis_unavailable = error
        else:
            if document is not None:
                return await self._opened(user_id, document)
            if epoch is not None:
                return None  # this Redis is complete
        # Redis is unavailable, or was emptied and is not filled yet: PostgreSQL knows all but the latest.
        row = await self._postgres.fetch_row(_ONE, user_id)
        if row is not None:
            kept = self._kept(row)
            if redis_unavailable is None:
                await self._put_back([kept])
            if kept.subscriber is None:
                raise UnreadableError(user_id)
            return kept.subscriber
        if redis_unavailable is not None:
            raise redis_unavailable
        return None

    def _sealed(self, subscriber: Subscriber, plain: bytes | None = None) -> bytes:
        """Return what Redis gets of a document."""
        created_at = msgspec.to_builtins(subscriber.created_at)
        document = plain or _encoded(subscriber)
        return self._sealer.seal(document, revision=subscriber.revision, created_at=created_at)

    def _as_kept(self, kept: _Kept) -> bytes:
        """Return what Redis gets of a row."""
        if kept.subscriber is not None:
            return self._sealed(kept.subscriber)
        head = _head_of(kept.document)
        return self._sealer.seal(kept.document, revision=head.revision, created_at=head.created_at)

    def _kept(self, row: Row) -> _Kept:
        user_id, document = row["user_id"], row["document"]
        plain = document.encode() if isinstance(document, str) else document
        try:
            return _Kept(user_id, plain, _decoded(plain))
        except NOT_READABLE as error:
            self.unreadable.note(user_id, error, _POSTGRESQL)
            return _Kept(user_id, plain, None)

    async def _is_earlier(self, stored: bytes, than: Subscriber) -> bool:
        known = await self._opened_if(than.user_id, stored)
        return known is not None and known.revision < than.revision

    async def _opened_if(self, user_id: int, stored: bytes) -> Subscriber | None:
        try:
            return await self._opened(user_id, stored)
        except UnreadableError:
            return None

    async def _opened(self, user_id: int, stored: bytes) -> Subscriber:
        try:
            return _decoded(self._sealer.open(stored))
        except UnknownKeyError as error:
            raise await self._foreign(user_id, error) from error
        except NOT_READABLE as error:
            raise self._not_read(user_id, error, _REDIS) from error

    async def _foreign(self, user_id: int, error: UnknownKeyError) -> UnknownKeyError | UnreadableError:
        """Of a document whose key is not ours: a key by which nobody seals is none, and the document is damaged."""
        if await self._redis.hget(keys.SEALED_BY.of(), error.fingerprint) is not None:
            return error
        return self._not_read(user_id, error, _REDIS)

    def _not_read(self, user_id: int, error: Exception, where: str) -> UnreadableError:
        self.unreadable.note(user_id, error, where)
        return UnreadableError(user_id)


def _encoded(subscriber: Subscriber) -> bytes:
    """Encode the same subscriber to the same bytes, always."""
    return msgspec.json.encode(subscriber, order="sorted")


def _decoded(document: bytes) -> Subscriber:
    return msgspec.json.decode(document, type=Subscriber)


def _head_of(document: bytes) -> _Head:
    try:
        return msgspec.json.decode(document, type=_Head)
    except NOT_READABLE:
        return _Head()
