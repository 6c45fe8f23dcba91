"""The list of filter sets, and what can be done with one as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from domain.filters.presets import Preset
from domain.payments.plans import MAX_FILTER_SETS
from domain.subscribers.subscriber import Subscriber
from domain.tracking.records import Records
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import as_toast, message, view_of
from handlers.conversation.routing import callback, command, text_input
from handlers.delivery.buttons import SetPaused
from handlers.delivery.standing import is_paused, subscriber_state, what_comes, what_waits
from handlers.filters.buttons import (
    AddSet,
    ApplyPreset,
    ConfirmDelete,
    CopySet,
    DeleteSet,
    NewSet,
    RenameSet,
    SetEnabled,
    ShowPresets,
    ShowSet,
    ShowSettings,
    UsePreset,
)
from handlers.filters.doubt_menus import without_records
from handlers.filters.list_menus import settings_menu
from handlers.filters.preset_menus import new_set_menu, presets_menu
from handlers.filters.showing import set_page
from runtime.errors import UserFacingError
from services.subscribers.copies import CopyNames
from services.subscribers.filter_sets import Placed
from services.subscribers.set_changes import MAX_NAME_UTF16, set_of
from services.tracking.records.group import RecordServices
from texts.markup import Html, join

NAME = "set_name"
"""Kind of the question that a typed name answers; its payload is the packed `RenameSet`."""


class UserSettingsMixin(BotBase):
    """Filter sets: list, add, open, on/off, rename, duplicate, delete, presets; and the button that pauses."""

    @command("settings", help="help.settings", goes_on=True)
    async def settings(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_settings(turn, subscriber)

    async def _show_settings(self, turn: Turn, subscriber: Subscriber) -> None:
        view = view_of(self.services, turn)
        state = await subscriber_state(self.services, view, subscriber)
        await self.show(turn, settings_menu(view, subscriber, state, now=self.services.conversation.clock()))

    @callback(ShowSettings, goes_on=True)
    async def show_settings(self, turn: Turn, _data: ShowSettings) -> None:
        await self.settings(turn)

    @callback(ShowSet, goes_on=True)
    async def show_set(self, turn: Turn, data: ShowSet) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.show(turn, await set_page(self.services, turn, subscriber, set_of(subscriber, data.number)))

    @callback(NewSet)
    async def new_set(self, turn: Turn, _data: NewSet) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        presets, zone = self.services.subscribers.presets.all(), subscriber.preferences.time_zone
        view, records = view_of(self.services, turn), await self._records_of(presets)
        await self.show(turn, new_set_menu(view, presets, records, zone))

    @callback(AddSet)
    async def add_set(self, turn: Turn, _data: AddSet) -> None:
        await self._show_placed(turn, await self.services.subscribers.sets.add_set(turn.user_id, ""), Html())

    @callback(ApplyPreset)
    async def add_preset(self, turn: Turn, data: ApplyPreset) -> None:
        placed = await self.services.subscribers.sets.apply_preset(turn.user_id, data.preset_key)
        await self._show_added_preset(turn, placed)

    @callback(ShowPresets)
    async def show_presets(self, turn: Turn, data: ShowPresets) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        set_of(subscriber, data.number)
        zone = subscriber.preferences.time_zone
        view, presets = view_of(self.services, turn), self.services.subscribers.presets.all()
        await self.show(turn, presets_menu(view, presets, await self._records_of(presets), data.number, zone))

    async def _records_of(self, presets: Sequence[Preset]) -> dict[str, Records]:
        return await self.services.of(RecordServices).records.of_presets([preset.key for preset in presets])

    @callback(UsePreset)
    async def use_preset(self, turn: Turn, data: UsePreset) -> None:
        placed = await self.services.subscribers.sets.apply_preset(turn.user_id, data.preset_key, data.number)
        view = view_of(self.services, turn)
        name = view.set_name(placed.filter_set)
        await self._show_placed(turn, placed, view.html("settings.preset_saved", preset=name))

    async def _show_added_preset(self, turn: Turn, placed: Placed) -> None:
        view = view_of(self.services, turn)
        name = view.set_name(placed.filter_set)
        note = view.html("settings.preset_added" if placed.is_new else "settings.preset_there", preset=name)
        others = [one for one in placed.subscriber.filter_sets if one.enabled and one.number != placed.number]
        if placed.is_new and others:
            note = join("\n", (note, view.html("settings.others_stay", count=len(others))))
        await self._show_placed(turn, placed, note)

    async def _show_placed(self, turn: Turn, placed: Placed, note: Html) -> None:
        view = view_of(self.services, turn)
        silent = without_records(view, placed.filter_set.rules, self.services.calls.channels.known())
        said = join("\n", filter(None, (note, silent)))
        await self.show(turn, await set_page(self.services, turn, placed.subscriber, placed.filter_set, said))

    @callback(SetEnabled)
    async def set_enabled(self, turn: Turn, data: SetEnabled) -> str:
        subscriber = await self.services.subscribers.sets.set_enabled(turn.user_id, data.number, enabled=data.enabled)
        view = view_of(self.services, turn)
        changed = set_of(subscriber, data.number)
        await self.show(turn, await set_page(self.services, turn, subscriber, changed))
        key = "settings.filter_on" if data.enabled else "settings.filter_off"
        return view.plain(key, name=view.set_name(changed))

    @callback(RenameSet)
    async def ask_name(self, turn: Turn, data: RenameSet) -> None:
        view = view_of(self.services, turn)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        await self.services.conversation.inputs.expect(turn.user_id, NAME, data.pack())
        back = view.button("button.back", ShowSet(data.number))
        question = view.html("set.rename", name=view.set_name(filter_set), limit=MAX_NAME_UTF16)
        await self.show(turn, message(question, keyboard=((back,),)))

    @text_input(NAME)
    async def typed_name(self, turn: Turn, payload: str) -> None:
        asked, view = RenameSet.unpack(payload), view_of(self.services, turn)
        try:
            subscriber = await self.services.subscribers.sets.rename_set(turn.user_id, asked.number, turn.text)
        except UserFacingError as error:
            refused = view.html("error.try_again", error=view.html(error.key, **error.arguments))
            back = view.button("button.back", ShowSettings())
            await self.reply(turn, message(refused, keyboard=((back,),)))
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        filter_set = set_of(subscriber, asked.number)
        note = view.html("set.renamed", name=view.set_name(filter_set))
        await self.reply(turn, await set_page(self.services, turn, subscriber, filter_set, note))

    @callback(CopySet)
    async def copy_set(self, turn: Turn, data: CopySet) -> str | None:
        view = view_of(self.services, turn)
        further = (view.plain("value.further_copy", number=number) for number in range(2, MAX_FILTER_SETS + 2))
        names = CopyNames(view.set_name, (view.plain("value.copy"), *further))
        placed = await self.services.subscribers.sets.copy_set(turn.user_id, data.number, names)
        await self._show_placed(turn, placed, view.html("set.copied"))
        return None if placed.is_new else view.plain("toast.copied_before")

    @callback(DeleteSet)
    async def ask_delete(self, turn: Turn, data: DeleteSet) -> None:
        view = view_of(self.services, turn)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        keyboard = (
            (
                view.button("button.delete_yes", ConfirmDelete(data.number)),
                view.button("button.back", ShowSet(data.number)),
            ),
        )
        question = view.html("set.delete", name=view.set_name(filter_set))
        await self.show(turn, message(question, keyboard=keyboard))

    @callback(ConfirmDelete)
    async def delete_set(self, turn: Turn, data: ConfirmDelete) -> str:
        view, subscribers = view_of(self.services, turn), self.services.subscribers
        name = view.set_name(set_of(await subscribers.subscribers.require(turn.user_id), data.number))
        await self._show_settings(turn, await subscribers.sets.remove_set(turn.user_id, data.number))
        return view.plain("settings.deleted", name=name)

    @callback(SetPaused)
    async def set_paused(self, turn: Turn, data: SetPaused) -> str:
        subscribers = self.services.subscribers.subscribers
        view, held = view_of(self.services, turn), await what_waits(self.services, turn.user_id)
        was_paused = is_paused(await subscribers.require(turn.user_id), self.services.conversation.clock())
        subscriber = await (subscribers.pause(turn.user_id) if data.paused else subscribers.resume(turn.user_id))
        await self._show_settings(turn, subscriber)
        done = "settings.paused" if data.paused else "resume.done" if was_paused else "resume.nothing"
        return as_toast(view.html(done), what_comes(self.services, view, subscriber, held))
