"""Buttons that a tap has put under a card in place of its own: what 🔇 asks there, and what is muted, to be undone.

Whoever edits a card sends its buttons along, or Telegram takes them away. The process that edits may be another than
the one that answers taps, so what stands under a card is kept in Redis for as long as cards are edited.
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from domain.delivery.messages import Button
from managers.redis.client import RedisManager
from runtime.errors import TransientError
from services.monitoring.metrics import Metrics
from services.stores import keys
from services.stores.sealing import Sealer, UnknownKeyError

log = structlog.get_logger(__name__)

Keyboard = tuple[tuple[Button, ...], ...]
_rows: Final = msgspec.json.Decoder(Keyboard)


class CardKeyboards:
    """While Redis is unavailable nothing is kept and nothing is known: an edit then brings the card's own buttons."""

    def __init__(self, redis: RedisManager, sealer: Sealer, metrics: Metrics) -> None:
        self._redis = redis
        self._sealer = sealer
        self._metrics = metrics

    async def keep(self, chat_id: int, message_id: int, keyboard: Keyboard) -> None:
        """Keep what stands there from now on; say so before it does, or an edit may come between."""
        value = self._sealer.seal(msgspec.json.encode(keyboard))
        key = keys.CARD_KEYBOARD
        try:
            await self._redis.set(key.of(chat_id, message_id), value, ex_s=key.expires_s)
        except TransientError as error:
            self._unavailable(error)

    async def forget(self, chat_id: int, message_id: int) -> None:
        """The card has its own buttons."""
        try:
            await self._redis.delete(keys.CARD_KEYBOARD.of(chat_id, message_id))
        except TransientError as error:
            self._unavailable(error)

    async def under(self, chat_id: int, message_id: int) -> Keyboard | None:
        """Return what stands there; `None`: the card's own buttons, as far as anybody knows."""
        try:
            value = await self._redis.get(keys.CARD_KEYBOARD.of(chat_id, message_id))
            return None if value is None else _rows.decode(self._sealer.open(value))
        except TransientError as error:
            self._unavailable(error)
        except (msgspec.MsgspecError, UnicodeDecodeError, UnknownKeyError) as error:  # buttons stop nobody's edits
            log.warning("card_keyboard_unreadable", chat_id=chat_id, message_id=message_id, reason=str(error))
        return None

    def _unavailable(self, error: TransientError) -> None:
        self._metrics.counts.fallbacks["card keyboards"] += 1
        log.warning("card_keyboard_unavailable", reason=str(error))
