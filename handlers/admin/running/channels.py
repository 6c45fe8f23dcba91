"""Channels: who calls how often and with what success; blocked for everybody, or featured; their calls corrected."""

from __future__ import annotations

from typing import Final, Literal

from handlers.admin.running import channel_menus as menus
from handlers.admin.running.buttons import (
    AskBlock,
    BlockChannel,
    FeatureChannel,
    FindChannel,
    ShowAdminChannel,
    ShowAdminChannels,
    UnblockChannel,
)
from handlers.admin.running.reading import show_reading
from handlers.admin.running.reading_buttons import ShowReading
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.channels.group import ChannelServices
from services.running.channels import WHICH, ChannelRow, ChannelsAdmin, Which
from services.running.controls import Controls
from services.tracking.records.group import RecordServices

PER_PAGE: Final = 8
MAX_PAGE: Final = 10_000
FIND: Final = "channel_find"
"""Kind of question."""


class AdminChannelsMixin(BotBase):
    @command("channels", help="help.channels", admin="read_only", topic="calls")
    async def channels(self, turn: Turn) -> None:
        """Those that are read, where any are; who called latest otherwise."""
        if self.services.of(ChannelServices).reads():
            await show_reading(self, turn, "read", 0)
        else:
            await self._show_admin_channels(turn, "latest", 0)

    @callback(ShowAdminChannels, admin="read_only")
    async def show_admin_channels(self, turn: Turn, data: ShowAdminChannels) -> None:
        if data.which not in WHICH:
            raise UserFacingError("callback.stale")
        await self._show_admin_channels(turn, data.which, max(0, min(data.page, MAX_PAGE)))

    async def _show_admin_channels(self, turn: Turn, which: Which, asked: int) -> None:
        channels, view = self.services.of(ChannelsAdmin), view_of(self.services, turn)
        found = await channels.page(which, asked * PER_PAGE, PER_PAGE)
        if not found.rows and asked:
            asked, found = 0, await channels.page(which, 0, PER_PAGE)
        page = Page.at(asked, total=found.total, per_page=PER_PAGE)
        others = (view.button(f"button.channels.{one}", ShowAdminChannels(one, 0)) for one in WHICH if one != which)
        keyboard = (
            *menus.opening(view, found),
            *page.turning(view, lambda number: ShowAdminChannels(which, number)),
            tuple(others),
            (view.button("button.channel_find", FindChannel()), view.button("button.reading", ShowReading("read", 0))),
        )
        head = view.html(f"channels_admin.{which}", count=f"{found.total:,}")
        now = self.services.conversation.clock()
        lines = menus.lines(view, found, self.services.of(Controls), now)
        await self.show(turn, message(head, lines, keyboard=keyboard))

    @callback(FindChannel, admin="read_only")
    async def ask_channel(self, turn: Turn, _data: FindChannel) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, FIND, "")
        back = (view.button("button.back", ShowAdminChannels("latest", 0)),)
        await self.show(turn, message(view.html("channels_admin.ask"), keyboard=(back,)))

    @text_input(FIND, admin="read_only")
    async def typed_channel(self, turn: Turn, _payload: str) -> None:
        try:
            found = await self.services.of(ChannelsAdmin).called(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        back = (view.button("button.back", ShowAdminChannels("latest", 0)),)
        lines = menus.lines(view, found, self.services.of(Controls), now)
        await self.reply(turn, message(lines, keyboard=(*menus.opening(view, found), back)))

    @callback(ShowAdminChannel, admin="read_only")
    async def show_admin_channel(self, turn: Turn, data: ShowAdminChannel) -> None:
        await show_channel(self, turn, await self.services.of(ChannelsAdmin).require(data.tag))

    @callback(AskBlock, admin="owner")
    async def ask_block(self, turn: Turn, data: AskBlock) -> None:
        one, view = await self.services.of(ChannelsAdmin).require(data.tag), view_of(self.services, turn)
        text = view.html("channels_admin.sure_block", title=one.title or one.channel_id)
        yes, back = BlockChannel(one.tag), ShowAdminChannel(one.tag)
        asked = await asked_twice(self.services, turn, text, yes_key="button.block_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(BlockChannel, admin="owner", acts="block channel", confirmed=True)
    async def block_channel(self, turn: Turn, data: BlockChannel) -> str:
        return await self._mark(turn, data.tag, "blocked", put=True)

    @callback(UnblockChannel, admin="owner", acts="unblock channel")
    async def unblock_channel(self, turn: Turn, data: UnblockChannel) -> str:
        return await self._mark(turn, data.tag, "blocked", put=False)

    @callback(FeatureChannel, admin="owner", acts="feature channel")
    async def feature_channel(self, turn: Turn, data: FeatureChannel) -> str:
        return await self._mark(turn, data.tag, "featured", put=data.featured)

    async def _mark(self, turn: Turn, tag: str, mark: Literal["blocked", "featured"], *, put: bool) -> str:
        one, controls = await self.services.of(ChannelsAdmin).require(tag), self.services.of(Controls)
        if put:
            await controls.put(mark, one.channel_id, "", turn.user_id)
        else:
            await controls.lift(mark, one.channel_id, turn.user_id)
        if turn.deed is not None:
            turn.deed.about(details=one.channel_id)
        await show_channel(self, turn, one)
        return view_of(self.services, turn).plain("value.channel_marked")


async def show_channel(bot: BotBase, turn: Turn, one: ChannelRow) -> None:
    """Show the page of a channel."""
    channels, controls = bot.services.of(ChannelsAdmin), bot.services.of(Controls)
    calls = await channels.calls_of(one.channel_id)
    records = await bot.services.of(RecordServices).records.find("channel", one.channel_id)
    view, now = view_of(bot.services, turn), bot.services.conversation.clock()
    is_read = await bot.services.of(ChannelServices).listed.find(one.channel_id) is not None
    main = controls.merges.mains.get(one.channel_id)
    title = (await channels.row(main)).title if main else None
    back = ShowAdminChannels("latest", await channels.place(one.channel_id) // PER_PAGE)
    card = menus.card(view, one, calls, records, controls, now, back, is_read=is_read, main_title=title)
    await bot.show(turn, card)
