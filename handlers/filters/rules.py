"""The rules of a filter set: by typing, by flags, by pages of channels, and what a missing value means."""

from __future__ import annotations

from typing import Final, get_args

from domain.delivery.messages import Message
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Missing, Range, Rule
from domain.filters.rules import parse_rule, with_policy
from domain.filters.values import Known, offered
from domain.reading.typed import Unsure
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import lines, message, view_of
from handlers.conversation.routing import callback, text_input
from handlers.filters.buttons import (
    ClearChannels,
    ClearField,
    KeepTyped,
    SetChannel,
    SetFlag,
    SetMissing,
    SetValue,
    ShowChannels,
    ShowField,
    ShowGroup,
    TakeReading,
    TakeValue,
    channel_tag,
)
from handlers.filters.channel_menus import channel_rule, channels_menu, choosable
from handlers.filters.doubt_menus import keep_menu, known_values, strange_values, which_menu, without_records
from handlers.filters.set_menus import (
    GROUPS,
    POLICIES,
    field_keyboard,
    field_menu,
    group_menu,
    if_missing,
    is_figure,
    unknown_too,
)
from runtime.errors import UserFacingError
from services.subscribers.set_changes import CHANNEL, Standing, set_of
from texts.markup import Html, join

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


def _standing(becomes: str) -> Standing:
    for standing in get_args(Standing):
        if standing == becomes:
            return standing
    raise UserFacingError("callback.stale")


Answer = TakeReading | KeepTyped | TakeValue
"""The buttons of a question about what was typed."""


class RulesMixin(BotBase):
    """Groups and fields of a filter set."""

    @callback(ShowGroup, goes_on=True)
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
        asked, inputs = ShowField.unpack(payload), self.services.conversation.inputs
        field, view = _field(asked.field_key), view_of(self.services, turn)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), asked.number)
        known = self._known(field)
        try:
            rule = parse_rule(turn.text, field, known)
            strange = strange_values(rule, filter_set.rules.get(field.key), known, field)
            if strange:
                tag = await inputs.hold(turn.user_id, turn.text)
                await self._ask_back(turn, asked, keep_menu(view, filter_set, field, strange, known, tag))
                return
            subscriber = await self._set(turn, filter_set, field, rule)
        except Unsure as doubt:
            tag = await inputs.hold(turn.user_id, turn.text)
            await self._ask_back(turn, asked, which_menu(view, filter_set, field, doubt, tag))
            return
        except UserFacingError as error:
            await self._refuse(turn, filter_set, field, error)
            return
        await inputs.cancel(turn.user_id)
        await inputs.let_go(turn.user_id)
        await self._show_saved(turn, subscriber, filter_set, field)

    def _known(self, field: FilterField) -> tuple[Known, ...]:
        return known_values(field, self.services.calls.channels.known())

    async def _set(self, turn: Turn, filter_set: FilterSet, field: FilterField, rule: Rule | None) -> Subscriber:
        """Set a rule; what a missing value means was chosen apart, and stays."""
        before = filter_set.rules.get(field.key)
        if rule and before:
            rule = with_policy(rule, before.missing, before.wait_minutes)
        return await self.services.subscribers.sets.set_rule(turn.user_id, filter_set.number, field.key, rule)

    async def _ask_back(self, turn: Turn, asked: ShowField, question: Message) -> None:
        """Nothing changes until it is clear what was meant; another answer may be typed instead."""
        await self.services.conversation.inputs.expect(turn.user_id, RULE, asked.pack())
        await self.reply(turn, question)

    @callback(TakeReading)
    async def take_reading(self, turn: Turn, data: TakeReading) -> None:
        field, typed = _field(data.field_key), await self._asked_about(turn, data)
        try:
            parse_rule(typed, field)
        except Unsure as doubt:
            if 0 <= data.place < len(doubt.readings):
                await self._take(turn, data, typed, parse_rule(doubt.readings[data.place], field))
                return
        raise UserFacingError("callback.stale")

    @callback(KeepTyped)
    async def keep_typed(self, turn: Turn, data: KeepTyped) -> None:
        field, typed = _field(data.field_key), await self._asked_about(turn, data)
        if field.unit != "choice":
            raise UserFacingError("callback.stale")
        await self._take(turn, data, typed, parse_rule(typed, field, self._known(field)))

    @callback(TakeValue)
    async def take_value(self, turn: Turn, data: TakeValue) -> None:
        """Answer with what a button names, in place of the list that was typed."""
        field, typed = _field(data.field_key), await self._asked_about(turn, data)
        if data.value not in offered(field.known):
            raise UserFacingError("callback.stale")
        await self._take(turn, data, typed, Choice(frozenset({data.value})))

    async def _asked_about(self, turn: Turn, data: Answer) -> str:
        """Return what was typed. `UserFacingError` where that question is over."""
        return await self.services.conversation.inputs.held(turn.user_id, data.tag, data.pack())

    async def _take(self, turn: Turn, data: Answer, typed: str, rule: Rule | None) -> None:
        field = _field(data.field_key)
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        subscriber = await self._set(turn, filter_set, field, rule)
        await self.services.conversation.inputs.settle(turn.user_id, typed, data.pack())
        await self._show_saved(turn, subscriber, filter_set, field)

    @callback(SetValue)
    async def set_value(self, turn: Turn, data: SetValue) -> None:
        field = _field(data.field_key)
        if data.value not in offered(field.known):
            raise UserFacingError("callback.stale")
        sets = self.services.subscribers.sets
        before = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        subscriber = await sets.set_value(turn.user_id, data.number, field.key, data.value, _standing(data.becomes))
        await self.services.conversation.inputs.let_go(turn.user_id)
        await self.services.conversation.inputs.expect(turn.user_id, RULE, ShowField(data.number, field.key).pack())
        changed = set_of(subscriber, data.number)
        note = self._saved(turn, before, changed, field)
        await self.show(turn, field_menu(view_of(self.services, turn), changed, field, note))

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
        missing = if_missing(view, filter_set.rules.get(field.key), field)
        await self.reply(turn, message(refused, missing, keyboard=field_keyboard(view, filter_set, field)))

    async def _show_saved(self, turn: Turn, subscriber: Subscriber, before: FilterSet, field: FilterField) -> None:
        """Confirm a rule where the next one is chosen."""
        view = view_of(self.services, turn)
        filter_set = set_of(subscriber, before.number)
        rule = None if field.key == CHANNEL else filter_set.rules.get(field.key)  # who called is always known
        note = lines(self._saved(turn, before, filter_set, field), unknown_too(view, rule, field))
        await self.show(turn, group_menu(view, filter_set, field.group, note))

    def _saved(self, turn: Turn, before: FilterSet, filter_set: FilterSet, field: FilterField) -> Html:
        view = view_of(self.services, turn)
        value = view.full_rule(filter_set.rules.get(field.key), field)
        lines = [view.html("rule.saved", label=view.label("filter", field.key), value=value)]
        if filter_set.enabled and not before.enabled:  # the first rule turns it on
            lines.append(view.html("rule.first", name=view.set_name(filter_set)))
        changed = {key: rule for key, rule in filter_set.rules.items() if key == field.key}
        lines.append(without_records(view, changed, self.services.calls.channels.known()))
        return join("\n", filter(None, lines))

    @callback(ClearField)
    async def clear_field(self, turn: Turn, data: ClearField) -> None:
        field = _field(data.field_key)
        before = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, data.number, field.key, None)
        await self.services.conversation.inputs.let_go(turn.user_id)
        await self._show_saved(turn, subscriber, before, field)

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
        note = self._saved(turn, filter_set, changed, field)
        await self.show(turn, field_menu(view_of(self.services, turn), changed, field, note))

    @callback(SetMissing)
    async def set_missing(self, turn: Turn, data: SetMissing) -> None:
        field = _field(data.field_key)
        missing, wait_minutes = _policy(data.missing, data.wait_minutes)
        sets = self.services.subscribers.sets
        subscriber = await sets.set_missing(turn.user_id, data.number, field.key, missing, wait_minutes)
        asked = ShowField(data.number, field.key)
        await self.services.conversation.inputs.expect(turn.user_id, RULE, asked.pack())
        view, filter_set = view_of(self.services, turn), set_of(subscriber, data.number)
        means = view.missing(filter_set.rules[field.key])
        label = view.label("filter", field.key)
        key = "rule.saved_missing" if is_figure(field) else "rule.saved_unknown"
        note = view.html(key, label=label, missing=means)
        await self.show(turn, field_menu(view, filter_set, field, note))

    @callback(ShowChannels)
    async def show_channels(self, turn: Turn, data: ShowChannels) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_channels(turn, set_of(subscriber, data.number), data.page)

    async def _show_channels(self, turn: Turn, filter_set: FilterSet, page: int) -> None:
        channels = choosable(self.services, channel_rule(filter_set))
        await self.show(turn, channels_menu(view_of(self.services, turn), filter_set, channels, page))

    @callback(SetChannel)
    async def set_channel(self, turn: Turn, data: SetChannel) -> None:
        filter_set = set_of(await self.services.subscribers.subscribers.require(turn.user_id), data.number)
        channels = choosable(self.services, channel_rule(filter_set))
        tagged = [channel.id for channel in channels if channel_tag(channel.id) == data.tag]
        if not tagged:
            raise UserFacingError("channel.unknown")
        subscriber = await self.services.subscribers.sets.set_value(
            turn.user_id, data.number, CHANNEL, tagged[0], _standing(data.becomes)
        )
        await self.services.conversation.inputs.let_go(turn.user_id)
        await self._show_channels(turn, set_of(subscriber, data.number), data.page)

    @callback(ClearChannels)
    async def clear_channels(self, turn: Turn, data: ClearChannels) -> str:
        subscriber = await self.services.subscribers.sets.set_rule(turn.user_id, data.number, CHANNEL, None)
        await self._show_channels(turn, set_of(subscriber, data.number), page=0)
        return view_of(self.services, turn).plain("settings.channels_cleared")
