"""The commands in Telegram's own menu, made from the routes that stand beside the handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from handlers.conversation.routing import Routes
from managers.telegram.client import TelegramManager
from runtime.errors import MessageRefusedError, RecipientGoneError
from texts.renderer import Texts

log = structlog.get_logger(__name__)


class CommandMenus:
    def __init__(
        self, telegram: TelegramManager, routes: Callable[[], Routes], texts: Texts, admin_chat_ids: Iterable[int]
    ) -> None:
        """`routes`: asked each time, when all is composed."""
        self._telegram = telegram
        self._routes = routes
        self._texts = texts
        self._admin_chat_ids = admin_chat_ids

    async def publish(self) -> None:
        """Show everybody their commands, admins theirs. May be repeated."""
        routes = self._routes()
        await self._telegram.set_commands(routes.menu(self._texts, admin=False))
        for chat_id in self._admin_chat_ids:
            try:
                await self._telegram.set_commands(routes.menu(self._texts, admin=True), chat_id=chat_id)
            except (RecipientGoneError, MessageRefusedError) as error:
                log.warning("admin_menu_not_set", chat_id=chat_id, reason=str(error))
