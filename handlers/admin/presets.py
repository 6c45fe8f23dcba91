"""Presets, for its admins: made of and changed by their own filter sets, named and described by typing."""

from __future__ import annotations

from typing import Final

from domain.buttons.data import CallbackData
from domain.filters.presets import Preset
from handlers.admin.buttons import (
    AdminPreset,
    AdminPresets,
    AskTakeRules,
    ConfirmRemove,
    DescribePreset,
    NamePreset,
    NewPreset,
    RemovePreset,
    TakeRules,
)
from handlers.admin.preset_menus import admin_preset_menu, admin_presets_menu
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.subscribers.presets import MAX_ABOUT_UTF16
from services.subscribers.set_changes import MAX_NAME_UTF16, set_name, set_of
from services.tracking.records.group import RecordServices
from texts.markup import Html, utf16_length

NEW_PRESET: Final = "preset_new"
PRESET_NAME: Final = "preset_name"
PRESET_ABOUT: Final = "preset_about"
"""Kinds of questions; the payload is the packed data of the button that asked."""


class AdminPresetsMixin(BotBase):
    @command("presets", help="help.presets", admin="read_only", topic="calls")
    async def presets(self, turn: Turn) -> None:
        await self._show_presets(turn, None)

    @callback(AdminPresets, admin="read_only")
    async def show_all(self, turn: Turn, _data: AdminPresets) -> None:
        await self._show_presets(turn, None)

    async def _show_presets(self, turn: Turn, note: Html | None) -> None:
        admin = await self.services.subscribers.subscribers.require(turn.user_id)
        view, presets = view_of(self.services, turn), self.services.subscribers.presets.all()
        await self.show(turn, admin_presets_menu(view, presets, admin, note))

    @callback(AdminPreset, admin="read_only")
    async def show_preset(self, turn: Turn, data: AdminPreset) -> None:
        await self._show_admin_preset(turn, self.services.subscribers.presets.find(data.preset_key), None)

    async def _show_admin_preset(self, turn: Turn, preset: Preset, note: Html | None) -> None:
        subscribers, view = self.services.subscribers, view_of(self.services, turn)
        admin = await subscribers.subscribers.require(turn.user_id)
        followers = subscribers.roster.count_followers(preset.key)
        records = await self.services.of(RecordServices).records.find("preset", preset.key)
        await self.show(turn, admin_preset_menu(view, preset, admin, followers, note, records))

    @callback(AskTakeRules, admin="owner")
    async def ask_take_rules(self, turn: Turn, data: AskTakeRules) -> None:
        preset, view = self.services.subscribers.presets.find(data.preset_key), view_of(self.services, turn)
        own = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        text = view.html(
            "admin.preset_sure",
            name=view.preset_name(preset),
            own=view.set_name(own),
            rules=view.rules_short(own.rules),
            followers=self.services.subscribers.roster.count_followers(preset.key),
        )
        yes, back = TakeRules(preset.key, data.number), AdminPreset(preset.key)
        asked = await asked_twice(self.services, turn, text, yes_key="button.take_rules_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(TakeRules, admin="owner", acts="change preset", confirmed=True)
    async def take_rules(self, turn: Turn, data: TakeRules) -> None:
        """Give the preset the rules of one of the admin's sets, and all its followers with it."""
        rules = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number).rules
        preset = await self.services.subscribers.presets.set_rules(data.preset_key, rules, turn.user_id)
        followers = await self.services.subscribers.loading.follow_preset(preset.key)
        note = view_of(self.services, turn).html("admin.preset_changed", followers=followers)
        await self._show_admin_preset(turn, preset, note)

    @callback(RemovePreset, admin="owner")
    async def ask_remove(self, turn: Turn, data: RemovePreset) -> None:
        preset, view = self.services.subscribers.presets.find(data.preset_key), view_of(self.services, turn)
        followers = self.services.subscribers.roster.count_followers(preset.key)
        text = view.html("admin.preset_remove", name=view.preset_name(preset), followers=followers)
        yes, back = ConfirmRemove(preset.key), AdminPreset(preset.key)
        asked = await asked_twice(self.services, turn, text, yes_key="button.delete_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(ConfirmRemove, admin="owner", acts="remove preset", confirmed=True)
    async def remove(self, turn: Turn, data: ConfirmRemove) -> None:
        await self.services.subscribers.presets.remove(data.preset_key, turn.user_id)
        await self.services.subscribers.loading.follow_preset(data.preset_key)
        await self._show_presets(turn, view_of(self.services, turn).html("admin.preset_removed"))

    @callback(NewPreset, admin="owner")
    async def ask_new(self, turn: Turn, data: NewPreset) -> None:
        set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        await self._ask(turn, NEW_PRESET, data, AdminPresets(), "admin.ask_preset_name", MAX_NAME_UTF16)

    @callback(NamePreset, admin="owner")
    async def ask_preset_name(self, turn: Turn, data: NamePreset) -> None:
        key = self.services.subscribers.presets.find(data.preset_key).key
        await self._ask(turn, PRESET_NAME, data, AdminPreset(key), "admin.ask_preset_name", MAX_NAME_UTF16)

    @callback(DescribePreset, admin="owner")
    async def ask_preset_about(self, turn: Turn, data: DescribePreset) -> None:
        key = self.services.subscribers.presets.find(data.preset_key).key
        await self._ask(turn, PRESET_ABOUT, data, AdminPreset(key), "admin.ask_preset_about", MAX_ABOUT_UTF16)

    async def _ask(self, turn: Turn, kind: str, data: CallbackData, back: CallbackData, key: str, limit: int) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, kind, data.pack())
        await self.show(turn, message(view.html(key, limit=limit), keyboard=((view.button("button.back", back),),)))

    @text_input(NEW_PRESET, admin="owner", acts="add preset")
    async def typed_new_preset(self, turn: Turn, payload: str) -> None:
        asked = NewPreset.unpack(payload)
        name = await self._typed_name(turn)
        if name is None:
            return
        rules = set_of(await self.services.subscribers.subscribers.require(turn.user_id), asked.number).rules
        preset = await self.services.subscribers.presets.add(name, rules, turn.user_id)
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_admin_preset(turn, preset, view_of(self.services, turn).html("admin.preset_added"))

    @text_input(PRESET_NAME, admin="owner", acts="rename preset")
    async def typed_preset_name(self, turn: Turn, payload: str) -> None:
        name = await self._typed_name(turn)
        if name is not None:
            key = NamePreset.unpack(payload).preset_key
            await self._show_reworded(turn, await self.services.subscribers.presets.rename(key, name, turn.user_id))

    @text_input(PRESET_ABOUT, admin="owner", acts="describe preset")
    async def typed_preset_about(self, turn: Turn, payload: str) -> None:
        key, length = DescribePreset.unpack(payload).preset_key, utf16_length(turn.text.strip())
        if length > MAX_ABOUT_UTF16:
            await self.ask_again(
                turn, UserFacingError("admin.preset_about_long", limit=MAX_ABOUT_UTF16, length=f"{length:,}")
            )
            return
        await self._show_reworded(turn, await self.services.subscribers.presets.describe(key, turn.text, turn.user_id))

    async def _typed_name(self, turn: Turn) -> str | None:
        """Return the name that was typed, or say what is wrong with it; the question stays open."""
        try:
            return set_name(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return None

    async def _show_reworded(self, turn: Turn, preset: Preset) -> None:
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_admin_preset(turn, preset, view_of(self.services, turn).html("admin.preset_reworded"))
