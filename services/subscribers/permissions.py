"""What Telegram says that somebody may do in a chat, believed for five minutes."""

from __future__ import annotations

from typing import Protocol

from managers.storage.cache import SmartCache


class AsksTelegram(Protocol):
    """`managers.telegram.client.TelegramManager` in the running bot."""

    async def administers(self, chat_id: int, user_id: int) -> bool: ...


class PermissionsService:
    def __init__(self, telegram: AsksTelegram, cache: SmartCache[tuple[int, int], bool]) -> None:
        self._telegram = telegram
        self._cache = cache

    async def administers(self, chat_id: int, user_id: int) -> bool:
        """Whether somebody is the owner or an administrator of a group. `DeliveryError` when Telegram is down."""
        return await self._cache.get_or_load((chat_id, user_id), self._ask)

    async def _ask(self, key: tuple[int, int]) -> bool:
        return await self._telegram.administers(*key)
