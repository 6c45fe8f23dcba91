"""Where subscribers live: memory, then Redis (the live truth), then PostgreSQL (the permanent one)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, LiteralString

import msgspec
import structlog

from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.redis.scripts import Script, packed, raw
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from runtime.errors import TransientError
from runtime.waiting import Progress
from services.cluster.changes import CHANGES_KEPT
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.sealing import Sealer, UnknownKeyError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_BATCH: Final = 1000

_ALL: Final[LiteralString] = "SELECT document FROM subscribers ORDER BY user_id"
_ONE: Final[LiteralString] = "SELECT document FROM subscribers WHERE user_id = $1"

_SAVE: Final = Script.beside(__file__, "save.lua")
_OTHER_KEY: Final = "key "


class StaleSubscriberError(TransientError):
    """Somebody else changed the subscriber meanwhile: find it again and change what stands now."""

    def __init__(self, user_id: int, revision: int, standing: int) -> None:
        super().__init__(f"subscriber {user_id}: revision {revision} comes after {standing} was stored")
        self.user_id = user_id
        self.standing = standing


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

    async def find(self, user_id: int) -> Subscriber | None:
        """Return the subscriber or `None`. `TransientError` only when memory does not know."""
        return await self._cache.get_or_load(user_id, self._load)

    async def save(self, subscriber: Subscriber) -> None:
        """Store a new revision together with its journal entry, atomically. May be repeated.

        `StaleSubscriberError` when the same or a later revision stands there with other contents; `UnknownKeyError`
        when what stands there is sealed by a key that is not ours.
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
                raise UnknownKeyError(said.removeprefix(_OTHER_KEY))
            standing = int(float(said))
            raise StaleSubscriberError(user_id, subscriber.revision, standing)
        self._journal.tail.note([entry("subscriber", document)])
        self._cache.put(user_id, subscriber)

    def forget(self, user_id: int) -> None:
        """Another process changed the subscriber: memory is not right any more."""
        self._cache.invalidate(user_id)

    def forget_all(self) -> None:
        self._cache.clear()

    async def load_all(self) -> AsyncIterator[list[Subscriber]]:
        """Yield everybody, batch by batch, at start.

        First the journal is drained, so that PostgreSQL knows what Redis knows; then PostgreSQL is read,
        and what an emptied Redis lacks is put back. When PostgreSQL is down, or was emptied, Redis is read instead. A
        subscriber may come twice; the higher revision is the right one.
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
            batch = [_decoded(row["document"]) for row in rows]
            await self._put_back(batch)
            found = await self._redis.mget([keys.SUBSCRIBER.of(s.user_id) for s in batch])
            pairs = zip(batch, found, strict=True)
            earlier = [one for one, has in pairs if has and self._opened(has).revision < one.revision]
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
            batch = [_decoded(row["document"]) for row in rows]
            if refill:
                refill = await self._put_back(batch)
            yield batch

    async def _put_back(self, batch: Sequence[Subscriber]) -> bool:
        """Give Redis the documents it lacks; return whether Redis is there."""
        names = [keys.SUBSCRIBER.of(s.user_id) for s in batch]
        try:
            if await self._redis.exists(*names) < len(names):
                put = [("SET", name, self._sealed(s), "NX") for name, s in zip(names, batch, strict=True)]
                members = ("SADD", keys.SUBSCRIBERS.of(), *(s.user_id for s in batch))
                replies = await self._redis.transaction([*put, members])
                log.info("redis_refilled", subscribers=sum(reply is not None for reply in replies[:-1]))
        except RedisUnavailableError as error:
            log.warning("redis_not_refilled", reason=str(error))
            return False
        return True

    async def _from_redis(self) -> AsyncIterator[list[Subscriber]]:
        async for user_ids in self._redis.sscan(keys.SUBSCRIBERS.of(), count=_BATCH):
            documents = await self._redis.mget([keys.SUBSCRIBER.of(user_id) for user_id in user_ids])
            yield [self._opened(document) for document in documents if document is not None]

    async def _load(self, user_id: int) -> Subscriber | None:
        redis_unavailable: RedisUnavailableError | None = None
        try:
            document, epoch = await self._redis.mget([keys.SUBSCRIBER.of(user_id), keys.EPOCH.of()])
        except RedisUnavailableError as error:
            redis_unavailable = error
        else:
            if document is not None:
                return self._opened(document)
            if epoch is not None:
                return None  # this Redis is complete
        # Redis is unavailable, or was emptied and is not filled yet: PostgreSQL knows all but the latest.
        row = await self._postgres.fetch_row(_ONE, user_id)
        if row is not None:
            found = _decoded(row["document"])
            if redis_unavailable is None:
                await self._put_back([found])
            return found
        if redis_unavailable is not None:
            raise redis_unavailable
        return None

    def _sealed(self, subscriber: Subscriber, plain: bytes | None = None) -> bytes:
        """Return what Redis gets of a document."""
        created_at = msgspec.to_builtins(subscriber.created_at)
        document = plain or _encoded(subscriber)
        return self._sealer.seal(document, revision=subscriber.revision, created_at=created_at)

    def _opened(self, stored: bytes) -> Subscriber:
        return _decoded(self._sealer.open(stored))


def _encoded(subscriber: Subscriber) -> bytes:
    """Encode the same subscriber to the same bytes, always."""
    return msgspec.json.encode(subscriber, order="sorted")


def _decoded(document: bytes | str) -> Subscriber:
    return msgspec.json.decode(document, type=Subscriber)
