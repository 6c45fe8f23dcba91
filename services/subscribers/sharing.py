"""Filter sets as links: a snapshot that never changes, under a code that nobody can guess."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2s
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec.structs import replace

from domain.filters.registry import FIELDS, FilterSet
from domain.stored.snapshots import SharedSet
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from runtime.errors import UserFacingError
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.sealing import Sealer

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PAYLOAD_PREFIX: Final = "f_"
"""Of the payload of `/start` that opens a shared set."""
MAX_LINKS: Final = 200
"""Different snapshots that one subscriber may share."""
_CODE_BYTES: Final = 12
"""96 random bits, 16 characters."""
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{16}")
_FIELD_KEYS: Final = frozenset(field.key for field in FIELDS)

_ONE: Final[LiteralString] = "SELECT document FROM shared_sets WHERE code = $1"


def payload_of(code: str) -> str:
    """Return the payload of the link, at most 64 characters of `[A-Za-z0-9_-]`."""
    return PAYLOAD_PREFIX + code


class SharingService:
    """`TransientError` when Redis is unavailable, and for an unknown code when PostgreSQL is."""

    def __init__(
        self,
        *,
        redis: RedisManager,
        postgres: PostgresManager,
        journal: Journal,
        clock: Callable[[], datetime],
        sealer: Sealer | None = None,
    ) -> None:
        self._sealer = sealer or Sealer()
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._clock = clock

    async def share(self, creator: Subscriber, filter_set: FilterSet) -> SharedSet:
        """Store a snapshot; the same set shared again by the same person has the same code."""
        links, digest = keys.SHARED_BY.of(creator.user_id), _digest(filter_set)
        known = await self._redis.hget(links, digest)
        if known is not None:
            return await self.open(known.decode())
        if len(await self._redis.hgetall(links)) >= MAX_LINKS:
            raise UserFacingError("share.too_many", limit=MAX_LINKS)
        shared = SharedSet(
            code=secrets.token_urlsafe(_CODE_BYTES),
            creator_id=creator.user_id,
            creator_name=creator.name,
            name=filter_set.name,
            rules=filter_set.rules,
            shared_at=self._clock(),
        )
        document = self._sealer.seal(msgspec.json.encode(shared, order="sorted"))
        await self._journal.append_with(
            [("SET", keys.SHARED_SET.of(shared.code), document), ("HSET", links, digest, shared.code)],
            [entry("shared_set", document)],
        )
        log.info("set_shared", user_id=creator.user_id, code=shared.code, rules=len(shared.rules))
        return shared

    async def open(self, code: str) -> SharedSet:
        """Return the snapshot; `UserFacingError("share.unknown")` for any text that is not a code of ours.

        Rules over fields that no longer exist are left out.
        """
        if not _CODE.fullmatch(code):
            raise UserFacingError("share.unknown")
        document = await self._redis.get(keys.SHARED_SET.of(code)) or await self._stored(code)
        if document is None:
            raise UserFacingError("share.unknown")
        shared = msgspec.json.decode(self._sealer.open(document), type=SharedSet)
        rules = {key: rule for key, rule in shared.rules.items() if key in _FIELD_KEYS}
        return replace(shared, rules=rules)

    async def _stored(self, code: str) -> bytes | None:
        """Look where an emptied Redis was written down, and put it back."""
        try:
            row = await self._postgres.fetch_row(_ONE, code)
        except PostgresUnavailableError as error:
            log.warning("shared_set_not_looked_up", reason=str(error))
            raise
        if row is None:
            return None
        document: bytes = row["document"].encode()
        await self._redis.set(keys.SHARED_SET.of(code), self._sealer.seal(document), nx=True)
        return document


def _digest(filter_set: FilterSet) -> str:
    content = msgspec.json.encode((filter_set.name, filter_set.rules), order="sorted")
    return blake2s(content, digest_size=16).hexdigest()
