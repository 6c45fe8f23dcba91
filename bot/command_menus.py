"""The commands in Telegram's own menu, made from the routes that stand beside the handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from domain.admins.roles import AdminRole
from handlers.conversation.routing import Routes
from managers.telegram.client import TelegramManager
from runtime.errors import MessageRefusedError, RecipientGoneError
from texts.renderer import Texts

log = structlog.get_logger(__name__)


class CommandMenus:
    def __init__(
        self,
        telegram: TelegramManager,
        routes: Callable[[], Routes],
        texts: Texts,
        admins: Callable[[], Awaitable[Mapping[int, AdminRole]]],
    ) -> None:
        """`routes`: asked each time, when all is composed. `admins`: who they are now."""
        self._telegram = telegram
        self._routes = routes
        self._texts = texts
        self._admins = admins
        self._missing = set[int]()
        self.wanted = asyncio.Event()
        """An admin who had no menu of their own has written: `publish` once more."""

    def admin_wrote(self, chat_id: int) -> None:
        """Telegram knows the chat of an admin only once they have written to the bot."""
        if chat_id in self._missing:
            self.wanted.set()

    async def publish(self) -> None:
        """Show everybody their commands, admins theirs. May be repeated."""
        self.wanted.clear()
        self._missing.clear()
        await self._telegram.set_commands(self._routes().menu(self._texts, None))
        for chat_id, role in (await self._admins()).items():
            await self.show_to(chat_id, role)

    async def show_to(self, chat_id: int, role: AdminRole | None) -> None:
        """Show one person what their role may do; without a role, what everybody may."""
        try:
            await self._telegram.set_commands(self._routes().menu(self._texts, role), chat_id=chat_id)
        except (RecipientGoneError, MessageRefusedError) as error:
            self._missing.add(chat_id)
            log.info("admin_menu_not_set", chat_id=chat_id, reason=str(error))
