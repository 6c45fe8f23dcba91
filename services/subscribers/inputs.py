"""What a subscriber's next text message answers. Kept in Redis so that a restart does not forget the question."""

from __future__ import annotations

from hashlib import blake2s

import msgspec
from msgspec import Struct

from managers.redis.client import RedisManager
from runtime.errors import UserFacingError
from services.stores import keys
from services.stores.sealing import Sealer


class Expected(Struct, frozen=True):
    kind: str
    payload: str


class InputsService:
    def __init__(self, redis: RedisManager, sealer: Sealer | None = None) -> None:
        self._redis = redis
        self._sealer = sealer or Sealer()

    async def expect(self, user_id: int, kind: str, payload: str) -> None:
        value = self._sealer.seal(msgspec.json.encode(Expected(kind, payload)))
        await self._redis.set(keys.EXPECTED_INPUT.of(user_id), value, ex_s=keys.EXPECTED_INPUT.expires_s)

    async def take(self, user_id: int) -> Expected | None:
        """What was asked, or `None`. The question stays open until `cancel` or ten minutes have passed."""
        value = await self._redis.get(keys.EXPECTED_INPUT.of(user_id))
        return None if value is None else msgspec.json.decode(self._sealer.open(value), type=Expected)

    async def hold(self, user_id: int, typed: str) -> str:
        """Keep what was typed until it is clear how it was meant; returns the tag under which a button finds it."""
        value = self._sealer.seal(msgspec.json.encode(typed))
        await self._redis.set(keys.HELD_INPUT.of(user_id), value, ex_s=keys.HELD_INPUT.expires_s)
        return _tag(typed)

    async def held(self, user_id: int, tag: str) -> str:
        """Raises `UserFacingError("callback.stale")` where something else was typed since, or too long ago."""
        value = await self._redis.get(keys.HELD_INPUT.of(user_id))
        typed = None if value is None else _text(self._sealer.open(value))
        if typed is None or _tag(typed) != tag:
            raise UserFacingError("callback.stale")
        return typed

    async def cancel(self, user_id: int) -> None:
        await self._redis.delete(keys.EXPECTED_INPUT.of(user_id))


def _text(value: bytes) -> str | None:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # an earlier version left it, ten minutes ago at most


def _tag(typed: str) -> str:
    return blake2s(typed.encode(), digest_size=5).hexdigest()
