"""Somebody would like a channel to be read."""

from __future__ import annotations

from typing import Final

from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import command, text_input
from runtime.errors import UserFacingError
from services.channels.group import ChannelServices

TYPED: Final = "suggest"
"""Kind of question."""
_AGAIN: Final = "channels_read.no_name"
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
            if error.key == _AGAIN:
                await self.ask_again(turn, error)
                return
            await self.services.conversation.inputs.cancel(turn.user_id)
            raise
        await self.services.conversation.inputs.cancel(turn.user_id)

    async def _suggest(self, turn: Turn, typed: str) -> None:
        one = await self.services.of(ChannelServices).listed.suggest(typed.strip(), turn.user_id)
        await self.reply(turn, message(view_of(self.services, turn).html("suggest.noted", channel=one.channel)))
