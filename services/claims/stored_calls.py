"""The call behind an alert, as it was decided: from memory, from Redis, or from PostgreSQL when Redis lost it."""

from __future__ import annotations

from typing import Final, LiteralString

import structlog
from cachetools import LRUCache

from domain.stored.alerts import Alert, HeldCall
from domain.stored.outgoing import Outgoing
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.claims.claiming import ClaimRequest
from services.stores.keys import stored_call_key

log = structlog.get_logger(__name__)

REMEMBERED: Final = 5_000
_STORED: Final[LiteralString] = "SELECT document::text FROM calls WHERE call_id = $1"


class StoredCalls:
    def __init__(self, redis: RedisManager, postgres: PostgresManager) -> None:
        self._redis = redis
        self._postgres = postgres
        self._remembered: LRUCache[str, bytes] = LRUCache(REMEMBERED)

    def remember(self, about: Alert | ClaimRequest, call: bytes) -> None:
        """Keep in memory a call for which alerts are on their way."""
        self._remembered[stored_call_key(about.call_id, about.late_s, about.decided_at)] = call

    def remembered(self, outgoing: Outgoing) -> bytes | None:
        """Return the call that an alert is about, if it is in memory."""
        if not isinstance(outgoing, Alert):
            return None
        alert = outgoing
        return self._remembered.get(stored_call_key(alert.call_id, alert.late_s, alert.decided_at))

    async def find(self, alert: Alert | HeldCall) -> bytes | None:
        """Return the call (JSON of `domain.calls.events.Call`), or `None` when nobody knows it any more.

        `TransientError` when not all could be asked. PostgreSQL knows a call as it came; of one that passed late the
        figures that came later are missing there.
        """
        key = stored_call_key(alert.call_id, alert.late_s, alert.decided_at)
        known = self._remembered.get(key)
        if known is not None:
            return known
        unavailable: TransientError | None = None
        try:
            found = await self._redis.get(key)
        except RedisUnavailableError as error:
            found, unavailable = None, error
        if found is None:
            row = await self._postgres.fetch_row(_STORED, alert.call_id)
            found = None if row is None else str(row["document"]).encode()
        if found is None and unavailable is not None:
            raise unavailable
        return found
