"""Channels that are read: how each is doing, added, paused and removed; what people suggest, taken up or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from domain.admins.roles import allows
from handlers.admin.people.cards import user_card
from handlers.admin.running import reading_menus as menus
from handlers.admin.running.reading_buttons import (
    AcceptSuggestion,
    AskAddChannel,
    AskRemoveReading,
    FindRead,
    PauseReading,
    RefuseSuggestion,
    RemoveReading,
    ResumeReading,
    ShowRead,
    ShowReading,
    ShowSuggester,
)
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, text_input
from runtime.errors import UserFacingError
from services.channels.group import ChannelServices
from services.channels.listed import ChangedMeanwhileError, ListedChannels
from services.channels.rows import ReadChannel, State
from services.running.channels import ChannelsAdmin
from services.tracking.records.group import RecordServices
from texts.markup import Html

PER_PAGE: Final = 6
ADD: Final = "channel_add"
FIND: Final = "channel_find_read"
"""Kinds of question."""
MAX_ADDED: Final = 50
"""At once."""
_REMOVABLE: Final[tuple[State, ...]] = ("read", "paused")
_SEPARATORS: Final = re.compile(r"[\s,;]+")


class AdminReadingMixin(BotBase):
    @callback(ShowReading, admin="read_only")
    async def show_reading(self, turn: Turn, data: ShowReading) -> None:
        if data.which not in menus.WHICH:
            raise UserFacingError("callback.stale")
        await show_reading(self, turn, data.which, data.page)

    @callback(ShowRead, admin="read_only")
    async def show_read(self, turn: Turn, data: ShowRead) -> None:
        await _show(self, turn, await _known(self.services, data.channel))

    @callback(ShowSuggester, admin="read_only")
    async def show_suggester(self, turn: Turn, data: ShowSuggester) -> None:
        await self.show(turn, await user_card(self.services, turn, data.user_id, back=ShowRead(data.channel)))

    @callback(FindRead, admin="read_only")
    async def ask_read(self, turn: Turn, _data: FindRead) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, FIND, "")
        back = (view.button("button.back", ShowReading("read", 0)),)
        await self.show(turn, message(view.html("channels_admin.ask"), keyboard=(back,)))

    @text_input(FIND, admin="read_only")
    async def typed_read(self, turn: Turn, _payload: str) -> None:
        view = view_of(self.services, turn)
        opening = menus.found(view, await _listed(self.services).all(), turn.text)
        if not opening:
            await self.ask_again(turn, UserFacingError("channels_admin.none_called", typed=turn.text))
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        back = (view.button("button.back", ShowReading("read", 0)),)
        await self.reply(turn, message(view.html("reading.found"), keyboard=(*opening, back)))

    @callback(AskAddChannel, admin="owner")
    async def ask_add_channel(self, turn: Turn, _data: AskAddChannel) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, ADD, "")
        back = (view.button("button.back", ShowReading("read", 0)),)
        await self.show(turn, message(view.html("reading.ask_add"), keyboard=(back,)))

    @text_input(ADD, admin="owner", acts="add channel")
    async def typed_new_channel(self, turn: Turn, _payload: str) -> None:
        """Add one channel, or each of several; what is wrong with one of those costs itself."""
        names = [name for name in _SEPARATORS.split(turn.text) if name]
        if len(names) > MAX_ADDED:
            await self.ask_again(turn, UserFacingError("reading.too_many", count=len(names), limit=MAX_ADDED))
            return
        if len(names) > 1:
            await self._add_each(turn, names)
            return
        try:
            one = await _listed(self.services).add(turn.text, turn.user_id)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        if turn.deed is not None:
            turn.deed.about(details=one.channel)
        view = view_of(self.services, turn)
        opened = (
            view.button("button.reading_how", ShowRead(one.channel)),
            view.button("button.channel_add", AskAddChannel()),
        )
        back = (view.button("button.back", ShowReading("read", 0)),)
        key = "reading.added" if one.read_to is None else "reading.added_paused"
        await self.reply(turn, message(view.html(key, channel=one.channel), keyboard=(opened, back)))

    async def _add_each(self, turn: Turn, names: Sequence[str]) -> None:
        view, added, refused = view_of(self.services, turn), list[str](), list[Html]()
        for name in names:
            try:
                added.append((await _listed(self.services).add(name, turn.user_id)).channel)
            except UserFacingError as error:
                refused.append(view.html(error.key, **error.arguments))
        if not added:
            await self.ask_again(turn, UserFacingError("reading.none_added", count=len(names)))
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        if turn.deed is not None:
            turn.deed.about(details=" ".join(added))
        back = (view.button("button.back", ShowReading("read", 0)),)
        text = view.html("reading.added_many", count=len(added))
        await self.reply(turn, message(text, view.listed(refused), keyboard=(back,)))

    @callback(PauseReading, admin="owner", acts="pause channel")
    async def pause_reading(self, turn: Turn, data: PauseReading) -> str:
        return await self._put(turn, data.channel, "paused", ("read",), "toast.reading_paused")

    @callback(ResumeReading, admin="owner", acts="resume channel")
    async def resume_reading(self, turn: Turn, data: ResumeReading) -> str:
        return await self._put(turn, data.channel, "read", ("paused", "removed", "refused"), "toast.reading_resumed")

    @callback(AskRemoveReading, admin="owner")
    async def ask_remove_reading(self, turn: Turn, data: AskRemoveReading) -> str | None:
        one, view = await _known(self.services, data.channel), view_of(self.services, turn)
        if one.state not in _REMOVABLE:
            return await _changed_meanwhile(self, turn, one, "removed")
        text = view.html("reading.sure_remove", channel=menus.named(view, one))
        yes, back = RemoveReading(one.channel), ShowRead(one.channel)
        asked = await asked_twice(self.services, turn, text, yes_key="button.reading_remove_yes", yes=yes, back=back)
        await self.show(turn, asked)
        return None

    @callback(RemoveReading, admin="owner", acts="remove channel", confirmed=True)
    async def remove_reading(self, turn: Turn, data: RemoveReading) -> str:
        return await self._put(turn, data.channel, "removed", _REMOVABLE, "value.reading_removed")

    @callback(AcceptSuggestion, admin="owner", acts="accept channel")
    async def accept_suggestion(self, turn: Turn, data: AcceptSuggestion) -> str:
        return await self._decide(turn, data.channel, is_accepted=True)

    @callback(RefuseSuggestion, admin="owner", acts="refuse channel")
    async def refuse_suggestion(self, turn: Turn, data: RefuseSuggestion) -> str:
        return await self._decide(turn, data.channel, is_accepted=False)

    async def _put(self, turn: Turn, channel: str, state: State, of: Sequence[State], said: str) -> str:
        try:
            one = await _listed(self.services).change(channel, state, of=of)
        except ChangedMeanwhileError as error:
            return await _changed_meanwhile(self, turn, error.one, state)
        await _show(self, turn, one)
        if state == "read" and one.read_to is None:
            said = "toast.reading_anew"
        return view_of(self.services, turn).plain(said)

    async def _decide(self, turn: Turn, channel: str, *, is_accepted: bool) -> str:
        try:
            await _listed(self.services).decide(channel, turn.user_id, is_accepted=is_accepted)
        except ChangedMeanwhileError as error:
            return await _changed_meanwhile(self, turn, error.one, "read" if is_accepted else "refused")
        await show_reading(self, turn, "suggested", 0)
        view = view_of(self.services, turn)
        return view.plain("value.suggestion_accepted" if is_accepted else "value.suggestion_refused")


async def show_reading(bot: BotBase, turn: Turn, which: menus.Which, asked: int) -> None:
    """Show one page of a list."""
    channels, view = bot.services.of(ChannelServices), view_of(bot.services, turn)
    if not channels.reads():
        await bot.show(turn, menus.nothing_is_read(view))
        return
    known, now = await channels.listed.all(), bot.services.conversation.clock()
    page = Page.at(asked, total=len(menus.ordered(known, which)), per_page=PER_PAGE)
    looked = await _looked(bot.services, page.of(menus.ordered(known, which)))
    title, text = menus.page_of(view, which, known, page, looked, now)
    keyboard = menus.turning(view, which, known, page, changes=allows(turn.role, "owner"))
    await bot.show(turn, message(title, menus.blocked_line(view, channels), text, keyboard=keyboard))


async def _changed_meanwhile(bot: BotBase, turn: Turn, one: ReadChannel, wanted: State) -> str:
    """Show a channel as it stands now; it is not as it was when the button was shown."""
    await _show(bot, turn, one)
    key = "toast.reading_done_before" if one.state == wanted else "toast.reading_changed"
    if turn.deed is not None:
        turn.deed.end("refused", key)
    return view_of(bot.services, turn).plain(key)


async def _show(bot: BotBase, turn: Turn, one: ReadChannel) -> None:
    channels, view = bot.services.of(ChannelServices), view_of(bot.services, turn)
    looked = (await _looked(bot.services, [one]))[one.channel]
    reasons = await channels.listed.reasons(one.channel)
    silent, now = channels.silent(one.channel), bot.services.conversation.clock()
    paragraphs = menus.card(view, one, looked, reasons, silent, now)
    has_called = await bot.services.of(ChannelsAdmin).knows(one.channel)
    beside = menus.ordered(await channels.listed.all(), menus.which_of(one))
    place = next((at for at, other in enumerate(beside) if other.channel == one.channel), 0)
    back = ShowReading(menus.which_of(one), place // PER_PAGE)
    keyboard = menus.acting(view, one, back, changes=allows(turn.role, "owner"), has_called=has_called)
    await bot.show(turn, message(*paragraphs, keyboard=keyboard))


async def _looked(services: Services, shown: Sequence[ReadChannel]) -> dict[str, menus.Looked]:
    channels, records = services.of(ChannelServices), services.of(RecordServices).records
    posted = await channels.listed.counted_each([one.channel for one in shown])
    return {
        one.channel: menus.Looked(
            posted=posted.get(one.channel),
            records=await records.find("channel", one.channel),
            interval_s=channels.interval_of(one.channel),
        )
        for one in shown
    }


def _listed(services: Services) -> ListedChannels:
    return services.of(ChannelServices).listed


async def _known(services: Services, channel: str) -> ReadChannel:
    found = await _listed(services).find(channel)
    if found is None:
        raise UserFacingError("callback.stale")
    return found
