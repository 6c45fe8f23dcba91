"""What 🔇 on an alert asks, what is muted then and until when, and the list of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from domain.buttons.cards import MuteToken
from domain.calls.addresses import call_tag
from domain.calls.events import Call
from domain.delivery import changes
from domain.delivery.changes import Change
from domain.delivery.policy import mute_channel, unmute, unmute_channel
from domain.subscribers.subscriber import Preferences
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import view_of
from handlers.conversation.routing import callback
from handlers.delivery import muting_menus
from handlers.delivery.buttons import MuteAll, MuteChannel, MuteOnly, ShowMuted, UnmuteChannel, UnmuteToken
from handlers.delivery.standing import local_moment
from runtime.errors import UserFacingError
from services.delivery.told_calls import ToldCalls

ALL_FOR: Final = "1h"
_ALL_FOR: Final = timedelta(hours=1)


class MutingMixin(BotBase):
    """A token for a day, a channel until it is unmuted, everything for an hour."""

    @callback(MuteToken)
    async def ask_what_to_mute(self, turn: Turn, data: MuteToken) -> None:
        """Ask in a new message: the alert whose button this is shall stay."""
        changes.token_muted(data.address, self.services.conversation.clock())
        await self.services.subscribers.subscribers.require(turn.user_id)
        call = await self._told(turn, data.address)
        await self.reply(turn, muting_menus.question(view_of(self.services, turn), data.address, call))

    @callback(MuteOnly)
    async def mute_token(self, turn: Turn, data: MuteOnly) -> None:
        now, call = self.services.conversation.clock(), await self._told(turn, data.address)
        name = muting_menus.name_of(data.address, call)
        preferences = await self._change_muted(turn, changes.token_muted(data.address, now, name))
        until = local_moment(preferences, now + changes.MUTED_FOR, now)
        await self.show(turn, muting_menus.token_muted(view_of(self.services, turn), data.address, name, until))

    @callback(MuteChannel)
    async def mute_channel(self, turn: Turn, data: MuteChannel) -> None:
        call = await self._told(turn, data.address)
        if call is None:
            raise UserFacingError("mute.channel_unknown")
        channel, title = call.channel, call.channel.title or call.channel.id
        await self._change_muted(turn, lambda p: mute_channel(p, channel.id, title))
        await self.show(turn, muting_menus.channel_muted(view_of(self.services, turn), channel.id, title))

    @callback(MuteAll)
    async def mute_all(self, turn: Turn, _data: MuteAll) -> None:
        now = self.services.conversation.clock()
        preferences = await self._change_muted(turn, changes.snooze(ALL_FOR, now))
        until = local_moment(preferences, now + _ALL_FOR, now)
        await self.show(turn, muting_menus.all_muted(view_of(self.services, turn), until))

    @callback(ShowMuted, goes_on=True)
    async def show_muted(self, turn: Turn, data: ShowMuted) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_muted(turn, subscriber.preferences, data.page)

    @callback(UnmuteToken)
    async def unmute_token(self, turn: Turn, data: UnmuteToken) -> str:
        await self._show_muted(turn, await self._change_muted(turn, lambda p: unmute(p, data.address)), data.page)
        return view_of(self.services, turn).plain("delivery.token_unmuted")

    @callback(UnmuteChannel)
    async def unmute_channel(self, turn: Turn, data: UnmuteChannel) -> str:
        def unmuted(preferences: Preferences) -> Preferences:
            for channel_id in preferences.muted_channels:
                if call_tag(channel_id) == data.tag:
                    return unmute_channel(preferences, channel_id)
            return preferences

        await self._show_muted(turn, await self._change_muted(turn, unmuted), data.page)
        return view_of(self.services, turn).plain("delivery.channel_unmuted")

    async def _show_muted(self, turn: Turn, preferences: Preferences, page: int) -> None:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        await self.show(turn, muting_menus.muted_menu(view, preferences, page, now))

    async def _change_muted(self, turn: Turn, change: Change) -> Preferences:
        return (await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)).preferences

    async def _told(self, turn: Turn, address: str) -> Call | None:
        told = self.services.find(ToldCalls)
        return None if told is None else await told.of(turn.user_id, address)
