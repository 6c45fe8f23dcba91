"""Somebody would like a channel to be read."""

from __future__ import annotations

from typing import Final

from domain.channels.names import channel_named, is_channel_link
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import command, text_input
from runtime.errors import UserFacingError
from services.channels.group import ChannelServices

TYPED: Final = "suggest"
"""Kind of question."""
_AGAIN: Final = frozenset({"channels_read.no_name", "channels_read.one_at_a_time"})
"""What can be mended by typing it anew."""


class SuggestMixin(BotBase):
    @command("suggest", help="help.suggest", takes=True)
    async def suggest(self, turn: Turn) -> None:
        """Take the name of a channel; what is missing is asked for."""
        await self.services.subscribers.subscribers.require(turn.user_id)
        if not self.services.of(ChannelServices).reads():
            raise UserFacingError("channels_read.none_read")
        _, _, typed = turn.text.partition(" ")
        if typed.strip():
            await self._suggest(turn, typed)
            return
        await self.services.conversation.inputs.expect(turn.user_id, TYPED, "")
        await self.reply(turn, message(view_of(self.services, turn).html("suggest.ask")))

    @text_input(TYPED)
    async def typed_suggestion(self, turn: Turn, _payload: str) -> None:
        try:
            await self._suggest(turn, turn.text)
        except UserFacingError as error:
            if error.key in _AGAIN:
                await self.ask_again(turn, error)
                return
            await self.services.conversation.inputs.cancel(turn.user_id)
            raise
        await self.services.conversation.inputs.cancel(turn.user_id)

    async def _suggest(self, turn: Turn, typed: str) -> None:
        one = await self.services.of(ChannelServices).listed.suggest(_meant(typed), turn.user_id)
        await self.reply(turn, message(view_of(self.services, turn).html("suggest.noted", channel=one.channel)))


def _meant(typed: str) -> str:
    """Return what names the channel: of several words the one that is a link or begins with `@`."""
    words = typed.split()
    if len(words) < 2:  # noqa: PLR2004 - one word is a name by itself
        return typed.strip()
    pointed = {channel for word in words if (channel := is_channel_link(word)) is not None}
    if len(pointed) == 1:
        return pointed.pop()
    if pointed or channel_named(words[0]) is not None:
        raise UserFacingError("channels_read.one_at_a_time")
    return typed.strip()
