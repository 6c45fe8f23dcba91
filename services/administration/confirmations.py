"""What is asked twice: a button that means something for a minute, once, for the admin who was asked."""

from __future__ import annotations

import secrets

import msgspec
from msgspec import Struct

from managers.redis.client import RedisManager
from services.stores import keys
from services.stores.sealing import Sealer


class Meant(Struct, frozen=True):
    """What somebody is asked about."""

    data: str
    """Packed, as a button of its own would carry it."""
    text: str = ""
    """What they typed for it."""


class Confirmations:
    """`TransientError` while Redis is unavailable."""

    def __init__(self, redis: RedisManager, sealer: Sealer | None = None) -> None:
        self._redis = redis
        self._sealer = sealer or Sealer()

    async def ask(self, user_id: int, data: str, text: str = "") -> str:
        """Return what the button carries that says yes."""
        token = secrets.token_urlsafe(9)
        meant = self._sealer.seal(msgspec.json.encode(Meant(data, text)))
        await self._redis.set(keys.CONFIRMATION.of(user_id, token), meant, ex_s=keys.CONFIRMATION.expires_s)
        return token

    async def take(self, user_id: int, token: str) -> Meant | None:
        """Return what was meant, once; `None` when it is too late, was answered, or was never asked of them."""
        (found,) = await self._redis.transaction([("GETDEL", keys.CONFIRMATION.of(user_id, token))])
        return msgspec.json.decode(self._sealer.open(found), type=Meant) if isinstance(found, bytes) else None
