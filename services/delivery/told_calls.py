"""The call that somebody got an alert for, by its token: a button on an alert carries no more."""

from __future__ import annotations

import msgspec
import structlog
from msgspec import Struct

from domain.calls.events import Call
from managers.redis.client import RedisManager
from runtime.errors import TransientError
from services.delivery.digests import read_call
from services.stores import keys

log = structlog.get_logger(__name__)


class _Accepted(Struct):
    call_id: str | None = None


class ToldCalls:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def of(self, user_id: int, address: str) -> Call | None:
        """`None` where it is longer ago than 14 days, or nobody can tell now."""
        try:
            accepted = await self._redis.get(keys.ACCEPTED_TOKEN.of(address, user_id))
            call_id = None if accepted is None else msgspec.json.decode(accepted, type=_Accepted).call_id
            return None if call_id is None else read_call(await self._redis.get(keys.CALL.of(call_id)), call_id)
        except (TransientError, msgspec.MsgspecError) as error:
            log.warning("told_call_unknown", user_id=user_id, reason=str(error))
            return None
