"""What the menus look like: pure functions from what is known to a message with its buttons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from domain.calls import Channel
from domain.filters import FIELDS, FilterField, FilterSet, Range
from domain.messages import Button, Message
from domain.numbers import show_range, show_short
from domain.presets import Preset
from domain.subscribers import Subscriber
from handlers import callbacks
from handlers.base import Services, Turn
from services.users import state_of
from texts.markup import Html, join, to_plain, utf16_length
from texts.renderer import Texts

MAIN_SET = 1
"""The filter set that the menus edit."""
CHANNELS_PER_PAGE = 8
PRESETS_PER_ROW = 2
"""So that what the presets mean and their buttons fit on one screen of a phone."""
LIST_BUDGET_UTF16 = 3_000
"""Room for a list of any length in a message of 4096 units."""

Keyboard = tuple[tuple[Button, ...], ...]


class View(Struct, frozen=True, kw_only=True):
    """Words in one language; everything a menu needs besides its data."""

    texts: Texts
    language: str

    def html(self, key: str, /, **arguments: object) -> Html:
        return self.texts.render(key, self.language, **arguments)

    def plain(self, key: str, /, **arguments: object) -> str:
        return self.texts.plain(key, self.language, **arguments)

    def label(self, family: str, key: str) -> str:
        return self.texts.label(family, key, self.language)

    def button(self, key: str, data: callbacks.CallbackData, /, **arguments: object) -> Button:
        return Button(text=self.plain(key, **arguments), data=data.pack())

    def range(self, value: Range | None, field: FilterField) -> str:
        return self.plain("value.any") if value is None else show_range(value, field.unit)

    def channels(self, filter_set: FilterSet) -> str:
        chosen = len(filter_set.channels)
        return self.plain("value.some_channels", count=chosen) if chosen else self.plain("value.all_channels")

    def listed(self, lines: Iterable[Html], separator: str = "\n") -> Html:
        """As many lines as one message has room for, and how many were left out."""
        lines = tuple(lines)
        used = 0
        for position, line in enumerate(lines):
            used += utf16_length(to_plain(line)) + len(separator)
            if used > LIST_BUDGET_UTF16:
                more = self.html("list.more", count=len(lines) - position)
                return join(separator, (*lines[:position], more))
        return join(separator, lines)


def view_of(services: Services, turn: Turn) -> View:
    return View(texts=services.texts, language=turn.language)


def message(*paragraphs: Html, keyboard: Keyboard = ()) -> Message:
    return Message(html=str(join("\n\n", (text for text in paragraphs if text))), keyboard=keyboard)


def filter_set_of(subscriber: Subscriber, number: int) -> FilterSet:
    """Find the set, or an empty one in its place for somebody who has not made it yet."""
    return subscriber.filter_set(number) or FilterSet(user_id=subscriber.user_id, number=number, name="")


def state(view: View, subscriber: Subscriber, now: datetime) -> Html:
    """Say in one sentence whether alerts come, and if not, what to do."""
    account = state_of(subscriber, now)
    if account == "receiving" and not subscriber.filter_sets:
        return view.html("state.no_filter")
    if account == "receiving" and not any(filter_set.enabled for filter_set in subscriber.filter_sets):
        return view.html("state.disabled")
    return view.html(f"state.{account}")


def settings_menu(view: View, subscriber: Subscriber, number: int, now: datetime, note: Html | None = None) -> Message:
    filter_set = filter_set_of(subscriber, number)
    open_to_all = subscriber.filter_set(number) and not filter_set.ranges and not filter_set.channels
    rules = tuple(
        (
            view.button(
                "button.rule",
                callbacks.ShowField(number, field.key),
                label=view.label("filter", field.key),
                value=view.range(filter_set.ranges.get(field.key), field),
            ),
        )
        for field in FIELDS
    )
    channels = view.button("button.channels", callbacks.ShowChannels(number, 0), value=view.channels(filter_set))
    return message(
        note or Html(),
        view.html("settings.menu", state=state(view, subscriber, now)),
        view.html("settings.everything") if open_to_all else Html(),
        keyboard=(
            *rules,
            (channels,),
            (view.button("button.presets", callbacks.ShowPresets()), *_enabling(view, subscriber, number)),
            (_pausing(view, subscriber),),
        ),
    )


def _enabling(view: View, subscriber: Subscriber, number: int) -> tuple[Button, ...]:
    filter_set = subscriber.filter_set(number)
    if filter_set is None:
        return ()
    key = "button.filter_off" if filter_set.enabled else "button.filter_on"
    return (view.button(key, callbacks.SetEnabled(number, not filter_set.enabled)),)


def _pausing(view: View, subscriber: Subscriber) -> Button:
    key = "button.resume" if subscriber.paused else "button.pause"
    return view.button(key, callbacks.SetPaused(not subscriber.paused))


def field_keyboard(view: View, number: int, field: FilterField) -> Keyboard:
    return (
        (
            view.button("button.any", callbacks.ClearField(number, field.key)),
            view.button("button.back", callbacks.ShowSettings(number)),
        ),
    )


def field_prompt(view: View, filter_set: FilterSet, field: FilterField) -> Message:
    about_key = f"filter.{field.key}.about"
    return message(
        view.html(
            "settings.field",
            label=view.label("filter", field.key),
            about=view.html(about_key) if about_key in view.texts else Html(),
            value=view.range(filter_set.ranges.get(field.key), field),
            example=field.example,
            unit=view.html(f"unit.{field.unit}"),
        ),
        keyboard=field_keyboard(view, filter_set.number, field),
    )


def preset_keyboard(view: View, presets: Iterable[Preset]) -> Keyboard:
    buttons = [
        Button(text=view.label("preset", preset.key), data=callbacks.ApplyPreset(preset.key).pack())
        for preset in presets
    ]
    starts = range(0, len(buttons), PRESETS_PER_ROW)
    return tuple(tuple(buttons[start : start + PRESETS_PER_ROW]) for start in starts)


def preset_lines(view: View, presets: Iterable[Preset]) -> Html:
    return view.listed((_preset_line(view, preset) for preset in presets), "\n\n")


def _preset_line(view: View, preset: Preset) -> Html:
    """Describe a preset: its name, what it is for where a text says so, and its rules."""
    about_key = f"preset.{preset.key}.about"
    rules = [
        view.plain(
            "presets.rule",
            label=view.label("filter", field.key),
            value=view.range(preset.ranges[field.key], field),
        )
        for field in FIELDS
        if field.key in preset.ranges
    ]
    lines = (
        view.html("presets.name", preset=view.label("preset", preset.key)),
        view.html("presets.about", about=view.plain(about_key)) if about_key in view.texts else Html(),
        view.html("presets.rules", rules=", ".join(rules)) if rules else Html(),
    )
    return join("\n", (line for line in lines if line))


def presets_menu(view: View, presets: Sequence[Preset]) -> Message:
    back = view.button("button.back", callbacks.ShowSettings(MAIN_SET))
    return message(
        view.html("settings.presets", presets=preset_lines(view, presets)),
        keyboard=(*preset_keyboard(view, presets), (back,)),
    )


def choosable(known: Sequence[Channel], chosen: frozenset[str]) -> list[Channel]:
    """Channels to choose from, most successful first: those of the feed, and those chosen that it names no more.

    A choice moves nothing, so that the next tap hits what the reader saw.
    """
    seen = {channel.id: channel for channel in known}
    silent = (Channel(id=channel_id) for channel_id in chosen if channel_id not in seen)
    return sorted((*seen.values(), *silent), key=_by_success)


def _by_success(channel: Channel) -> tuple[float, str, str]:
    win_rate = channel.record.win_rate_percent if channel.record else None
    return (1.0 if win_rate is None else -win_rate, channel.title or "", channel.id)


def channels_menu(view: View, filter_set: FilterSet, channels: Sequence[Channel], page: int) -> Message:
    """One page of toggles; a page beyond the end is the last one."""
    number, count = filter_set.number, len(filter_set.channels)
    last = max(0, (len(channels) - 1) // CHANNELS_PER_PAGE)
    page = min(max(page, 0), last)
    shown = channels[page * CHANNELS_PER_PAGE : (page + 1) * CHANNELS_PER_PAGE]
    rows = [(_toggle(view, filter_set, channel, page),) for channel in shown]
    turning = [
        view.button(key, callbacks.ShowChannels(number, target))
        for key, target in (("button.previous", page - 1), ("button.next", page + 1))
        if 0 <= target <= last
    ]
    closing = [view.button("button.back", callbacks.ShowSettings(number))]
    if filter_set.channels:
        closing.insert(0, view.button("button.all_channels", callbacks.ClearChannels(number)))
    names = (view.html("channels.name", title=c.title or c.id) for c in channels if c.id in filter_set.channels)
    some = view.html("channels.some", count=count, names=view.listed(names, ", "))
    chosen = some if count else view.html("channels.all")
    return message(
        view.html("settings.channels" if channels else "settings.no_channels", chosen=chosen),
        keyboard=tuple(row for row in (*rows, tuple(turning), tuple(closing)) if row),
    )


def _toggle(view: View, filter_set: FilterSet, channel: Channel, page: int) -> Button:
    record = channel.record
    shown = record and view.plain(
        "button.channel_record",
        win_rate=show_short(record.win_rate_percent, "percent"),
        average=show_short(record.average_multiple, "multiple"),
    )
    chosen = channel.id in filter_set.channels
    return view.button(
        "button.channel_chosen" if chosen else "button.channel",
        callbacks.ToggleChannel(filter_set.number, page, callbacks.channel_tag(channel.id)),
        title=channel.title or channel.id,
        record=shown or "",
    )
