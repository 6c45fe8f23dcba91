"""Into the outbox whatever is no alert: each `(kind, user, subject, step)` once, however often it is put.

The unique key is set by the script that writes the outbox entry and the journal's. It lives for 90 days, and PostgreSQL
knows it as long: a Redis that was emptied gets both back, the key and what had not gone out (`services.recovery`).
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from domain.stored.outgoing import Envelope
from domain.subscribers.partitions import partition_of
from managers.redis.scripts import Script, packed, raw
from runtime.clock import milliseconds
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.operations import ScriptCall
from services.stores.spool import Spool

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_PUT: Final = Script.beside(__file__, "put.lua")


class Putting:
    def __init__(self, spool: Spool, journal: Journal) -> None:
        self._spool = spool
        self._journal = journal

    async def put(self, envelope: Envelope) -> bool | None:
        """Put it into the outbox; `False`: it had been put before. May be repeated, after a lost answer as well.

        `None`: Redis is unavailable and it was written down. It goes out when Redis is back, since only there is it
        known whether it went out before. `RedisUnavailableError` where nobody can write it down: nothing is known to
        have happened.
        """
        document = msgspec.json.encode(envelope)
        names = [keys.unique_key(envelope), keys.OUTBOX.of(partition_of(envelope.user_id)), keys.JOURNAL.of()]
        decided_ms = milliseconds(envelope.decided_at)
        args = packed(envelope=raw(document), decided_ms=decided_ms, lives_s=keys.PUT.expires_s)
        reply = await self._spool.execute(ScriptCall(script=_PUT, keys=names, args=args))
        if reply == 0:
            return False
        self._journal.tail.note([entry("put", document)])
        log.info("message_put", kind=envelope.kind, user_id=envelope.user_id, key=envelope.key)
        return None if reply is None else True
