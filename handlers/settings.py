"""What reaches a subscriber: the menus of the filter, its channels and presets, and the pause."""

from __future__ import annotations

from domain.errors import UserFacingError
from domain.filters import FIELDS, FilterField
from domain.numbers import parse_range
from domain.subscribers import Subscriber
from handlers import callbacks, menus
from handlers.base import BotBase, Turn
from handlers.menus import MAIN_SET, view_of
from handlers.routing import callback, command, text_input
from texts.markup import Html

RANGE = "range"
"""Kind of the question that a typed range answers; its payload is the packed `ShowField`."""

_FIELDS = {field.key: field for field in FIELDS}


def _field(key: str) -> FilterField:
    """Find a rule named by a button of any age."""
    if key not in _FIELDS:
        raise UserFacingError("filter.unknown", typed=key)
    return _FIELDS[key]


class UserSettingsMixin(BotBase):
    """Filter rules, channels, presets, on/off and pause."""

    async def _show_settings(
        self, turn: Turn, subscriber: Subscriber, number: int = MAIN_SET, note: Html | None = None
    ) -> None:
        now = self.services.clock()
        await self.show(turn, menus.settings_menu(view_of(self.services, turn), subscriber, number, now, note))

    @command("settings", help="help.settings")
    async def settings(self, turn: Turn) -> None:
        await self._show_settings(turn, await self.services.users.require(turn.user_id))

    @callback(callbacks.ShowSettings)
    async def show_settings(self, turn: Turn, data: callbacks.ShowSettings) -> None:
        await self._show_settings(turn, await self.services.users.require(turn.user_id), data.number)

    @callback(callbacks.ShowField)
    async def show_field(self, turn: Turn, data: callbacks.ShowField) -> None:
        field = _field(data.field_key)
        subscriber = await self.services.users.require(turn.user_id)
        await self.services.inputs.expect(turn.user_id, RANGE, data.pack())
        filter_set = menus.filter_set_of(subscriber, data.number)
        await self.show(turn, menus.field_prompt(view_of(self.services, turn), filter_set, field))

    @text_input(RANGE)
    async def typed_range(self, turn: Turn, payload: str) -> None:
        asked = callbacks.ShowField.unpack(payload)
        field = _field(asked.field_key)
        try:
            value = parse_range(turn.text, field)
        except UserFacingError as error:
            await self._refuse_range(turn, asked, field, error)
            return
        users = self.services.users
        subscriber = await users.set_range(turn.user_id, asked.number, field.key, value)
        await self.services.inputs.cancel(turn.user_id)
        await self._show_saved(turn, subscriber, asked.number, field)

    async def _refuse_range(
        self, turn: Turn, asked: callbacks.ShowField, field: FilterField, error: UserFacingError
    ) -> None:
        """Say what was understood and what would be right; nothing changes, the question stays open."""
        view = view_of(self.services, turn)
        subscriber = await self.services.users.require(turn.user_id)
        await self.services.inputs.expect(turn.user_id, RANGE, asked.pack())
        current = menus.filter_set_of(subscriber, asked.number).ranges.get(field.key)
        refused = view.html(
            "settings.refused",
            error=view.html(error.key, **error.arguments),
            label=view.label("filter", field.key),
            value=view.range(current, field),
        )
        await self.reply(turn, menus.message(refused, keyboard=menus.field_keyboard(view, asked.number, field)))

    async def _show_saved(self, turn: Turn, subscriber: Subscriber, number: int, field: FilterField) -> None:
        view = view_of(self.services, turn)
        value = menus.filter_set_of(subscriber, number).ranges.get(field.key)
        note = view.html("settings.range_saved", label=view.label("filter", field.key), value=view.range(value, field))
        await self._show_settings(turn, subscriber, number, note)

    @callback(callbacks.ClearField)
    async def clear_field(self, turn: Turn, data: callbacks.ClearField) -> None:
        field = _field(data.field_key)
        subscriber = await self.services.users.set_range(turn.user_id, data.number, field.key, None)
        await self._show_saved(turn, subscriber, data.number, field)

    @callback(callbacks.ShowChannels)
    async def show_channels(self, turn: Turn, data: callbacks.ShowChannels) -> None:
        subscriber = await self.services.users.require(turn.user_id)
        await self._show_channels(turn, subscriber, data.number, data.page)

    async def _show_channels(self, turn: Turn, subscriber: Subscriber, number: int, page: int) -> None:
        filter_set = menus.filter_set_of(subscriber, number)
        channels = menus.choosable(self.services.channels.known(), filter_set.channels)
        await self.show(turn, menus.channels_menu(view_of(self.services, turn), filter_set, channels, page))

    @callback(callbacks.ToggleChannel)
    async def toggle_channel(self, turn: Turn, data: callbacks.ToggleChannel) -> None:
        users = self.services.users
        filter_set = menus.filter_set_of(await users.require(turn.user_id), data.number)
        channels = menus.choosable(self.services.channels.known(), filter_set.channels)
        tagged = [channel.id for channel in channels if callbacks.channel_tag(channel.id) == data.tag]
        if not tagged:
            raise UserFacingError("channel.unknown")
        subscriber = await users.toggle_channel(turn.user_id, data.number, tagged[0])
        await self._show_channels(turn, subscriber, data.number, data.page)

    @callback(callbacks.ClearChannels)
    async def clear_channels(self, turn: Turn, data: callbacks.ClearChannels) -> str:
        subscriber = await self.services.users.clear_channels(turn.user_id, data.number)
        await self._show_channels(turn, subscriber, data.number, page=0)
        return view_of(self.services, turn).plain("settings.channels_cleared")

    @callback(callbacks.ShowPresets)
    async def show_presets(self, turn: Turn, _data: callbacks.ShowPresets) -> None:
        await self.show(turn, menus.presets_menu(view_of(self.services, turn), self.services.presets.all()))

    @callback(callbacks.ApplyPreset)
    async def apply_preset(self, turn: Turn, data: callbacks.ApplyPreset) -> None:
        subscriber = await self.services.users.apply_preset(turn.user_id, data.preset_key)
        view = view_of(self.services, turn)
        note = view.html("settings.preset_saved", preset=view.label("preset", data.preset_key))
        await self._show_settings(turn, subscriber, MAIN_SET, note)

    @callback(callbacks.SetEnabled)
    async def set_enabled(self, turn: Turn, data: callbacks.SetEnabled) -> str:
        subscriber = await self.services.users.set_enabled(turn.user_id, data.number, enabled=data.enabled)
        await self._show_settings(turn, subscriber, data.number)
        return view_of(self.services, turn).plain("settings.filter_on" if data.enabled else "settings.filter_off")

    @callback(callbacks.SetPaused)
    async def set_paused(self, turn: Turn, data: callbacks.SetPaused) -> str:
        subscriber = await self.services.users.set_paused(turn.user_id, paused=data.paused)
        await self._show_settings(turn, subscriber)
        return view_of(self.services, turn).plain("settings.paused" if data.paused else "settings.resumed")

    @command("pause", help="help.pause")
    async def pause(self, turn: Turn) -> None:
        await self.services.users.set_paused(turn.user_id, paused=True)
        await self.reply(turn, menus.message(view_of(self.services, turn).html("pause.done")))

    @command("resume", help="help.resume")
    async def resume(self, turn: Turn) -> None:
        await self.services.users.set_paused(turn.user_id, paused=False)
        await self.reply(turn, menus.message(view_of(self.services, turn).html("resume.done")))
