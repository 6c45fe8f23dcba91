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

    async def held(self, user_id: int, tag: str, by: str = "") -> str:
        """Return what was typed; `by` is the button that says how it was meant.

        Raises `UserFacingError("question.over")` where another button has said so, something else was typed since, or
        it was too long ago.
        """
        value = await self._redis.get(keys.HELD_INPUT.of(user_id))
        typed, answer = (None, "") if value is None else _text(self._sealer.open(value))
        if typed is None or _tag(typed) != tag or answer not in {"", by}:
            raise UserFacingError("question.over")
        return typed

    async def settle(self, user_id: int, typed: str, by: str) -> None:
        """Note which button has said how it was meant: the same one may say it again, no other."""
        value = self._sealer.seal(msgspec.json.encode((typed, by)))
        await self._redis.set(keys.HELD_INPUT.of(user_id), value, ex_s=keys.HELD_INPUT.expires_s)

    async def let_go(self, user_id: int) -> None:
        """Forget what was typed: something else was said since."""
        await self._redis.delete(keys.HELD_INPUT.of(user_id))

    async def cancel(self, user_id: int) -> None:
        await self._redis.delete(keys.EXPECTED_INPUT.of(user_id))


def _text(value: bytes) -> tuple[str | None, str]:
    """Return what was typed, and the button that said how it was meant, if one has."""
    try:
        held = msgspec.json.decode(value, type=str | tuple[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, ""  # an earlier version left it, ten minutes ago at most
    return (held, "") if isinstance(held, str) else held


def _tag(typed: str) -> str:
    return blake2s(typed.encode(), digest_size=5).hexdigest()
