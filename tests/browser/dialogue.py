"""The bot's side of a chat, played line by line by a test over the real Bot API client."""

from __future__ import annotations

from collections import deque

from telegram import Bot, CallbackQuery, Message, Update

POLL_S = 10


class Dialogue:
    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._next_update_id = 0
        self._waiting: deque[Update] = deque()

    async def next_text(self) -> str:
        """What a person writes next; other updates are passed over."""
        while True:
            update = await self._next_update()
            if isinstance(update.message, Message) and update.message.text is not None:
                return update.message.text

    async def next_tap(self) -> CallbackQuery:
        while True:
            update = await self._next_update()
            if update.callback_query is not None:
                return update.callback_query

    async def _next_update(self) -> Update:
        while not self._waiting:
            updates = await self.bot.get_updates(offset=self._next_update_id, timeout=POLL_S)
            self._waiting.extend(updates)
        update = self._waiting.popleft()
        self._next_update_id = update.update_id + 1
        return update
