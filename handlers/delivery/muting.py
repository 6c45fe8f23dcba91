"""What 🔇 on an alert asks and shows under it, what is muted then and until when, and the list of it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

from domain.buttons.cards import MuteToken
from domain.calls.addresses import call_tag
from domain.calls.events import Call
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery import changes
from domain.delivery.changes import Change
from domain.delivery.policy import mute_channel, unmute, unmute_channel
from domain.subscribers.subscriber import Preferences
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import as_toast, view_of
from handlers.conversation.routing import callback, command
from handlers.delivery import muting_menus
from handlers.delivery.buttons import (
    CloseMute,
    MuteAll,
    MuteChannel,
    MuteHere,
    MuteOnly,
    ShowMuted,
    UnmuteAll,
    UnmuteChannel,
    UnmuteHere,
    UnmuteToken,
)
from handlers.delivery.standing import (
    Waiting,
    local_moment,
    subscriber_state,
    what_comes,
    what_is_held,
    what_waits,
)
from runtime.errors import MessageRefusedError, UserFacingError
from services.delivery.card_keyboards import CardKeyboards
from services.delivery.told_calls import ToldCalls

ALL_FOR: Final = "1h"
_ALL_FOR: Final = timedelta(hours=1)


def _channel_of(call: Call | None) -> tuple[tuple[str, ...], str]:
    """The ids of the channel whose call it was, the main one first, and its title."""
    if call is None:
        raise UserFacingError("mute.channel_unknown")
    return call.channel.ids, call.channel.title or call.channel.id


class MutingMixin(BotBase):
    """A token for a day, a channel until it is unmuted, everything for an hour."""

    @callback(MuteToken, aside=True)
    async def ask_what_to_mute(self, turn: Turn, data: MuteToken) -> None:
        """Ask under the alert itself, or in a new message where nobody knows any more what it told of."""
        changes.token_muted(data.address, self.services.conversation.clock())
        preferences = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        call = await self._told(turn, data.address)
        if not await self._shown_under(turn, call, preferences, asks=True):
            await self.reply(turn, muting_menus.question(view_of(self.services, turn), data.address, call))

    @callback(CloseMute, goes_on=True, aside=True)
    async def close_mute(self, turn: Turn, data: CloseMute) -> None:
        preferences = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        await self._shown_under(turn, await self._told(turn, data.address), preferences)

    @callback(MuteHere, aside=True)
    async def mute_here(self, turn: Turn, data: MuteHere) -> str:
        """Mute one of three; the alert shows it, and the toast says what and until when."""
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        call = await self._told(turn, data.address)
        name, title = muting_menus.name_of(data.address, call), ""
        what = muting_menus.known(data.what)
        match what:
            case "token":
                change, lasts = changes.token_muted(data.address, now, name), changes.MUTED_FOR
            case "channel":
                (channel, *_), title = _channel_of(call)
                change, lasts = partial(mute_channel, channel_id=channel, title=title), timedelta()
            case "all":
                change, lasts = changes.snooze(ALL_FOR, now), _ALL_FOR
        preferences = await self._change_muted(turn, change, all_of_it=what == "all")
        await self._shown_under(turn, call, preferences)
        until = local_moment(preferences, now + lasts, now)
        if what == "all":
            subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
            return as_toast(
                view.html("mute.all_toast", until=until), await what_is_held(self.services, view, subscriber)
            )
        return view.plain(muting_menus.MUTED[what], name=name, title=title, until=until)

    @callback(UnmuteHere, aside=True)
    async def unmute_here(self, turn: Turn, data: UnmuteHere) -> str:
        """Unmute one of three; what was unmuted elsewhere meanwhile is said to be so."""
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        call = await self._told(turn, data.address)
        name, ids = muting_menus.name_of(data.address, call), ()
        what = muting_menus.known(data.what)
        match what:
            case "token":
                change = partial(unmute, token_address=data.address)
            case "channel":
                ids, name = _channel_of(call)
                change = partial(unmute_channel, channel_ids=ids)
            case "all":
                change = changes.snooze("off", now)
        before = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        if what != "all" and not muting_menus.muted_until(before, data.address, ids, now)[what]:
            await self._shown_under(turn, call, before)
            return view.plain("mute.not_muted", name=name)
        held = await what_waits(self.services, turn.user_id)
        await self._shown_under(turn, call, await self._change_muted(turn, change))
        return await self._back_on(turn, held) if what == "all" else view.plain(muting_menus.UNMUTED[what], name=name)

    async def _back_on(self, turn: Turn, held: Waiting) -> str:
        """Say that not everything is muted any more, and whether alerts come now."""
        view = view_of(self.services, turn)
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        state = await subscriber_state(self.services, view, subscriber, in_delivery=True)
        return as_toast(view.html("mute.all_over"), what_comes(self.services, view, subscriber, held), state)

    async def _shown_under(
        self, turn: Turn, call: Call | None, preferences: Preferences, *, asks: bool = False
    ) -> bool:
        """Show what is muted under the alert that was tapped; whether that was possible."""
        if call is None or turn.menu_id is None:
            return False
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        venues = self.services.find(Venues) or NO_VENUES
        keyboard = muting_menus.under_alert(view, call, preferences, now, asks=asks, venues=venues)
        keyboards = self.services.find(CardKeyboards)
        if keyboards is not None:
            await keyboards.keep(turn.chat_id, turn.menu_id, keyboard)
        try:
            await self.services.conversation.telegram.edit_keyboard(turn.chat_id, turn.menu_id, keyboard)
        except MessageRefusedError:
            if keyboards is not None:
                await keyboards.forget(turn.chat_id, turn.menu_id)
            return False
        return True

    @callback(MuteOnly, aside=True)
    async def mute_token(self, turn: Turn, data: MuteOnly) -> None:
        now, call = self.services.conversation.clock(), await self._told(turn, data.address)
        name = muting_menus.name_of(data.address, call)
        preferences = await self._change_muted(turn, changes.token_muted(data.address, now, name))
        until = local_moment(preferences, now + changes.MUTED_FOR, now)
        await self.show(turn, muting_menus.token_muted(view_of(self.services, turn), data.address, name, until))

    @callback(MuteChannel, aside=True)
    async def mute_channel(self, turn: Turn, data: MuteChannel) -> None:
        (channel, *_), title = _channel_of(await self._told(turn, data.address))
        await self._change_muted(turn, lambda p: mute_channel(p, channel, title))
        await self.show(turn, muting_menus.channel_muted(view_of(self.services, turn), channel, title))

    @callback(MuteAll, aside=True)
    async def mute_all(self, turn: Turn, _data: MuteAll) -> None:
        now = self.services.conversation.clock()
        preferences = await self._change_muted(turn, changes.snooze(ALL_FOR, now), all_of_it=True)
        until = local_moment(preferences, now + _ALL_FOR, now)
        view = view_of(self.services, turn)
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        waits = await what_is_held(self.services, view, subscriber)
        await self.show(turn, muting_menus.all_muted(view, until, waits))

    @command("mute", help="help.mute", goes_on=True)
    async def list_muted(self, turn: Turn) -> None:
        await self.show_muted(turn, ShowMuted(0))

    @callback(ShowMuted, goes_on=True)
    async def show_muted(self, turn: Turn, data: ShowMuted) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_muted(turn, subscriber.preferences, data.page)

    @callback(UnmuteToken)
    async def unmute_token(self, turn: Turn, data: UnmuteToken) -> str:
        before = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        name = before.muted_names.get(data.address) or muting_menus.name_of(data.address, None)
        await self._show_muted(turn, await self._change_muted(turn, lambda p: unmute(p, data.address)), data.page)
        return view_of(self.services, turn).plain("delivery.token_unmuted", name=name)

    @callback(UnmuteAll)
    async def unmute_all(self, turn: Turn, data: UnmuteAll) -> str:
        held, now = await what_waits(self.services, turn.user_id), self.services.conversation.clock()
        await self._show_muted(turn, await self._change_muted(turn, changes.snooze("off", now)), data.page)
        return await self._back_on(turn, held)

    @callback(UnmuteChannel)
    async def unmute_channel(self, turn: Turn, data: UnmuteChannel) -> str | None:
        before = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        tagged = {channel: title for channel, title in before.muted_channels.items() if call_tag(channel) == data.tag}
        if not tagged:  # it was tapped twice
            await self._show_muted(turn, before, data.page)
            return None
        [(channel, title), *_] = tagged.items()
        await self._show_muted(turn, await self._change_muted(turn, lambda p: unmute_channel(p, [channel])), data.page)
        return view_of(self.services, turn).plain("delivery.channel_unmuted", name=title)

    async def _show_muted(self, turn: Turn, preferences: Preferences, page: int) -> None:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        await self.show(turn, muting_menus.muted_menu(view, preferences, page, now))

    async def _change_muted(self, turn: Turn, change: Change, *, all_of_it: bool = False) -> Preferences:
        subscribers = self.services.subscribers.subscribers
        changed = subscribers.pause_for if all_of_it else subscribers.change_preferences
        return (await changed(turn.user_id, change)).preferences

    async def _told(self, turn: Turn, address: str) -> Call | None:
        told = self.services.find(ToldCalls)
        return None if told is None else await told.of(turn.user_id, address)
