"""How far a broadcast has come, in the message in which it was begun, and what came of it."""

from __future__ import annotations

from handlers.admin.broadcasts.menus import broadcast_card, result
from handlers.conversation.base import Conversation
from handlers.conversation.menus import View
from services.broadcasts.broadcasts import Standing
from texts import Texts
from texts.renderer import FALLBACK_LANGUAGE


class BroadcastScreen:
    """`services.broadcasts.spreading.Screen`."""

    def __init__(self, conversation: Conversation, texts: Texts) -> None:
        self._conversation = conversation
        self._view = View(texts=texts, language=FALLBACK_LANGUAGE)

    async def going_on(self, standing: Standing) -> None:
        if standing.broadcast.shown_in is not None:
            chat_id, message_id = standing.broadcast.shown_in
            await self._conversation.edit(chat_id, message_id, broadcast_card(self._view, standing))

    async def over(self, standing: Standing) -> None:
        """Say it as a new message too, which is heard; the one that showed it may be gone."""
        try:
            await self.going_on(standing)
        finally:
            place = standing.broadcast.shown_in
            chat_id = place[0] if place else standing.broadcast.created_by
            await self._conversation.send(chat_id, result(self._view, standing))
