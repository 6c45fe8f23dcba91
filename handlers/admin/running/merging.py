"""Two channels that are one: which, what it would put together, and taken back."""

from __future__ import annotations

from typing import Final

from domain.channels.names import channel_named
from handlers.admin.running import channel_menus as menus
from handlers.admin.running.buttons import AskMerge, ChooseMain, MergeChannels, SeparateChannel, ShowAdminChannel
from handlers.admin.running.channels import show_channel
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, text_input
from runtime.errors import UserFacingError
from services.running.channels import ChannelRow, ChannelRows, ChannelsAdmin
from services.running.controls import Controls
from services.running.merging import Merging
from services.tracking.records.group import RecordServices

MAIN: Final = "channel_main"
"""Kind of question; its payload is the tag of the other channel."""


class AdminMergingMixin(BotBase):
    @callback(AskMerge, admin="owner")
    async def ask_main(self, turn: Turn, data: AskMerge) -> None:
        one, view = await self.services.of(ChannelsAdmin).require(data.tag), view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, MAIN, one.tag)
        text = view.html("channels_admin.ask_main", title=one.title or one.channel_id, channel=one.channel_id)
        await self.show(turn, message(text, keyboard=((view.button("button.back", ShowAdminChannel(one.tag)),),)))

    @text_input(MAIN, admin="owner")
    async def typed_main(self, turn: Turn, payload: str) -> None:
        one = await self.services.of(ChannelsAdmin).require(payload)
        try:
            found = await self._called(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        back = (view.button("button.back", ShowAdminChannel(one.tag)),)
        choosing = menus.choosing_main(view, one, found)
        head = view.html("channels_admin.choose_main", title=one.title or one.channel_id)
        lines = menus.lines(view, found, self.services.of(Controls), now)
        await self.reply(turn, message(head, lines, keyboard=(*choosing, back)))

    async def _called(self, typed: str) -> ChannelRows:
        """Find it by a part of its name or id; a link to it does as well."""
        channels = self.services.of(ChannelsAdmin)
        try:
            return await channels.called(typed)
        except UserFacingError:
            named = channel_named(typed)
            if named is None:
                raise
            return await channels.called(named)

    @callback(ChooseMain, admin="owner")
    async def ask_merge(self, turn: Turn, data: ChooseMain) -> None:
        other, main = await self._both(data.tag, data.main_tag)
        merging, view = self.services.of(Merging), view_of(self.services, turn)
        figures = await merging.figures(other.channel_id, main.channel_id)
        records = await self.services.of(RecordServices).records.many("channel", [other.channel_id, main.channel_id])
        text = menus.sure_merge(view, other, main, figures, records)
        yes, back = MergeChannels(other.tag, main.tag), ShowAdminChannel(other.tag)
        await self.show(
            turn, await asked_twice(self.services, turn, text, yes_key="button.merge_yes", yes=yes, back=back)
        )

    async def _both(self, tag: str, main_tag: str) -> tuple[ChannelRow, ChannelRow]:
        """Return the other and its main, which is that of the channel behind the button."""
        channels = self.services.of(ChannelsAdmin)
        other, named = await channels.require(tag), await channels.require(main_tag)
        main = self.services.of(Merging).main_for(other.channel_id, named.channel_id)
        return other, await channels.row(main)

    @callback(MergeChannels, admin="owner", acts="merge channels", confirmed=True)
    async def merge_channels(self, turn: Turn, data: MergeChannels) -> str:
        other, main = await self._both(data.tag, data.main_tag)
        named = await self.services.of(Merging).merge(other.channel_id, main.channel_id, turn.user_id)
        if turn.deed is not None:
            turn.deed.about(details=f"{other.channel_id} into {named}")
        await show_channel(self, turn, other)
        return view_of(self.services, turn).plain("value.channel_marked")

    @callback(SeparateChannel, admin="owner", acts="separate channels")
    async def separate_channel(self, turn: Turn, data: SeparateChannel) -> str:
        other = await self.services.of(ChannelsAdmin).require(data.tag)
        main = await self.services.of(Merging).separate(other.channel_id, turn.user_id)
        if turn.deed is not None:
            turn.deed.about(details=f"{other.channel_id} from {main or 'none'}")
        await show_channel(self, turn, other)
        return view_of(self.services, turn).plain("value.separated")
