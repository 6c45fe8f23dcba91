"""What belongs into the private chat and was asked for in a group: one sentence and the way there.

A group is not to be filled with it: only whoever administers the group, or has their alerts there, is answered, and no
group more than once a minute.
"""

from __future__ import annotations

from typing import Final

import structlog
from cachetools import TTLCache

from domain.delivery.messages import Button, Message
from handlers.conversation.base import GroupChat, Services, Turn
from runtime.errors import DeliveryError, TransientError, UnreadableError

log = structlog.get_logger(__name__)

ONCE_IN_S: Final = 60.0
ELSEWHERE_TEXT: Final = "command.elsewhere"
OPEN_CHAT_TEXT: Final = "button.open_chat"
_MAX_GROUPS: Final = 10_000
_START: Final = "group"
"""What /start is given: nothing but that they come from one."""


class GroupAnswers:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._answered: TTLCache[int, None] = TTLCache(
            _MAX_GROUPS, ONCE_IN_S, timer=lambda: services.conversation.clock().timestamp()
        )

    async def say_where(self, turn: Turn) -> None:
        """Tell whoever gave a command in a group where it is answered, or nothing at all."""
        group = turn.group
        if group is None or turn.is_forwarded or group.chat_id in self._answered:
            return
        try:
            if not await self._has_a_say(turn.user_id, group) or group.chat_id in self._answered:
                return
            self._answered[group.chat_id] = None
            await self._services.conversation.telegram.send(group.chat_id, self._message(turn, group))
        except (DeliveryError, TransientError, UnreadableError) as error:
            log.info("group_not_answered", chat_id=group.chat_id, reason=str(error))

    async def _has_a_say(self, user_id: int, group: GroupChat) -> bool:
        """Whether somebody administers the group, or has their alerts there."""
        if group.written_as != "person":
            return group.written_as == "group"  # only its administrators can write in its name
        subscriber = await self._services.subscribers.subscribers.find(user_id)
        place = subscriber.preferences.destination if subscriber else None
        if place is not None and place.chat_id == group.chat_id:
            return True
        return await self._services.conversation.permissions.administers(group.chat_id, user_id)

    def _message(self, turn: Turn, group: GroupChat) -> Message:
        conversation = self._services.conversation
        way = Button(
            text=conversation.texts.plain(OPEN_CHAT_TEXT, turn.language),
            url=f"https://t.me/{conversation.bot_username()}?start={_START}",
        )
        html = conversation.texts.render(ELSEWHERE_TEXT, turn.language)
        return Message(html=str(html), keyboard=((way,),), thread_id=group.thread_id)
