"""The rules of a filter set: by typing, by flags, by pages of channels, and what a missing value means."""

from __future__ import annotations

from typing import Final

from domain.filters.registry import FIELDS, FilterField, FilterSet, Missing, Range
from domain.filters.rules import parse_rule, with_policy
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, text_input
from handlers.filters.buttons import (
    ClearChannels,
    ClearField,
    SetFlag,
    SetMissing,
    ShowChannels,
    ShowField,
    ShowGroup,
    ToggleChannel,
    channel_tag,
)
from handlers.filters.channel_menus import channel_rule, channels_menu, choosable
from handlers.filters.set_menus import GROUPS, POLICIES, field_keyboard, field_menu, group_menu
from runtime.errors import UserFacingError
from services.subscribers.set_changes import CHANNEL, set_of
from texts.markup import Html

RULE: Final = "rule"
"""Kind of the question that a typed rule answers; its payload is the packed `ShowField`."""
YES: Final = Range(1.0, None)
NO: Final = Range(None, 0.0)
_FIELDS: Final = {field.key: field for field in FIELDS}


def _field(key: str) -> FilterField:
    """Find a field named by a button of any age."""
    if key not in _FIELDS:
        raise UserFacingError("filter.unknown", typed=key)
    return _FIELDS[key]


def _policy(missing: str, wait_minutes: int) -> tuple[Missing, int]:
    """Find a policy that the menu offers."""
    for policy in POLICIES:
        if policy == (missing, wait_minutes):
            return policy
    raise UserFacingError("callback.stale")


class RulesMixin(BotBase):
    """Groups and fields of a filter set."""

    @callback(ShowGroup)
    async def show_group(self, turn: Turn, data: ShowGroup) -> None:
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        for group in GROUPS:
            if group == data.group:
                await self.show(turn, group_menu(view_of(self.services, turn), filter_set, group))
                return
        raise UserFacingError("callback.stale")

    @callback(ShowField)
    async def show_field(self, turn: Turn, data: ShowField) -> None:
        field = _field(data.field_key)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        await self.services.conversation.inputs.expect(turn.user_id, RULE, data.pack())
        await self.show(turn, field_menu(view_of(self.services, turn), filter_set, field))

    @text_input(RULE)
    async def typed_rule(self, turn: Turn, payload: str) -> None:
        asked = ShowField.unpack(payload)
        field = _field(asked.field_key)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), asked.number)
        before = filter_set.rules.get(field.key)
        try:
            rule = parse_rule(turn.text, field)
            if rule and before:  # what a missing value means was chosen apart, and stays
                rule = with_policy(rule, before.missing, before.wait_minutes)
            subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, asked.number, field.key, rule)
        except UserFacingError as error:
            await self._refuse(turn, filter_set, field, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_saved(turn, subscriber, asked.number, field)

    async def _refuse(self, turn: Turn, filter_set: FilterSet, field: FilterField, error: UserFacingError) -> None:
        """Say what was understood and what would be right; nothing changes, the question stays open."""
        view = view_of(self.services, turn)
        data = ShowField(filter_set.number, field.key)
        await self.services.conversation.inputs.expect(turn.user_id, RULE, data.pack())
        refused = view.html(
            "settings.refused",
            error=view.html(error.key, **error.arguments),
            label=view.label("filter", field.key),
            value=view.rule(filter_set.rules.get(field.key), field),
        )
        await self.reply(turn, message(refused, keyboard=field_keyboard(view, filter_set, field)))

    async def _show_saved(self, turn: Turn, subscriber: Subscriber, number: int, field: FilterField) -> None:
        """Confirm a rule where the next one is chosen."""
        view = view_of(self.services, turn)
        filter_set = set_of(subscriber, number)
        note = self._saved(turn, filter_set, field)
        await self.show(turn, group_menu(view, filter_set, field.group, note))

    def _saved(self, turn: Turn, filter_set: FilterSet, field: FilterField) -> Html:
        view = view_of(self.services, turn)
        value = view.rule(filter_set.rules.get(field.key), field)
        return view.html("rule.saved", label=view.label("filter", field.key), value=value)

    @callback(ClearField)
    async def clear_field(self, turn: Turn, data: ClearField) -> None:
        field = _field(data.field_key)
        subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, data.number, field.key, None)
        await self._show_saved(turn, subscriber, data.number, field)

    @callback(SetFlag)
    async def set_flag(self, turn: Turn, data: SetFlag) -> None:
        field = _field(data.field_key)
        if field.unit != "flag":
            raise UserFacingError("callback.stale")
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        before = filter_set.rules.get(field.key)
        rule = YES if data.value else NO
        if before:
            rule = with_policy(rule, before.missing, before.wait_minutes)
        subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, data.number, field.key, rule)
        changed = set_of(subscriber, data.number)
        note = self._saved(turn, changed, field)
        await self.show(turn, field_menu(view_of(self.services, turn), changed, field, note))

    @callback(SetMissing)
    async def set_missing(self, turn: Turn, data: SetMissing) -> None:
        field = _field(data.field_key)
        missing, wait_minutes = _policy(data.missing, data.wait_minutes)
        sets = self.services.subscribers.sets
        subscriber = await sets.set_missing(turn.user_id, data.number, field.key, missing, wait_minutes)
        asked = ShowField(data.number, field.key)
        await self.services.conversation.inputs.expect(turn.user_id, RULE, asked.pack())
        filter_set = set_of(subscriber, data.number)
        await self.show(turn, field_menu(view_of(self.services, turn), filter_set, field))

    @callback(ShowChannels)
    async def show_channels(self, turn: Turn, data: ShowChannels) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_channels(turn, set_of(subscriber, data.number), data.page)

    async def _show_channels(self, turn: Turn, filter_set: FilterSet, page: int) -> None:
        channels = choosable(self.services.calls.channels.known(), channel_rule(filter_set))
        await self.show(turn, channels_menu(view_of(self.services, turn), filter_set, channels, page))

    @callback(ToggleChannel)
    async def toggle_channel(self, turn: Turn, data: ToggleChannel) -> None:
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        channels = choosable(self.services.calls.channels.known(), channel_rule(filter_set))
        tagged = [channel.id for channel in channels if channel_tag(channel.id) == data.tag]
        if not tagged:
            raise UserFacingError("channel.unknown")
        subscriber = await self.services.subscribers.sets.turn_channel(turn.user_id, data.number, tagged[0])
        await self._show_channels(turn, set_of(subscriber, data.number), data.page)

    @callback(ClearChannels)
    async def clear_channels(self, turn: Turn, data: ClearChannels) -> str:
        subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, data.number, CHANNEL, None)
        await self._show_channels(turn, set_of(subscriber, data.number), page=0)
        return view_of(self.services, turn).plain("settings.channels_cleared")
