"""Presets as subscribers take them and as admins change them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from domain.delivery.messages import Button, Message
from domain.filters.presets import Preset
from domain.subscribers.subscriber import Subscriber
from handlers.conversation import callbacks
from handlers.conversation.menus import Keyboard, View, in_rows, message
from texts.markup import Html, join

PRESETS_PER_ROW: Final = 2
"""So that what the presets mean and their buttons fit on one screen of a phone."""


def preset_keyboard(view: View, presets: Iterable[Preset], data: Callable[[str], callbacks.CallbackData]) -> Keyboard:
    """One button per preset; `data` makes a button of its key."""
    buttons = (view.button("button.preset", data(preset.key), name=view.preset_name(preset)) for preset in presets)
    return in_rows(buttons, PRESETS_PER_ROW)


def preset_lines(view: View, presets: Iterable[Preset]) -> Html:
    return view.listed((_preset_line(view, preset) for preset in presets), "\n\n")


def _preset_line(view: View, preset: Preset) -> Html:
    """Describe a preset: its name, what it is for where somebody said so, and its rules."""
    rules = view.rules_short(preset.rules)
    lines = (
        view.html("presets.name", preset=view.preset_name(preset)),
        _about(view, preset),
        view.html("presets.rules", rules=rules) if rules else Html(),
    )
    return join("\n", (line for line in lines if line))


def _about(view: View, preset: Preset) -> Html:
    about_key = f"preset.{preset.key}.about"
    about = preset.about or (view.plain(about_key) if about_key in view.texts else "")
    return view.html("presets.about", about=about) if about else Html()


def new_set_menu(view: View, presets: Sequence[Preset]) -> Message:
    """What a new filter set begins with."""
    return message(
        view.html("set.new", presets=preset_lines(view, presets)),
        keyboard=(
            (view.button("button.empty_set", callbacks.AddSet()),),
            *preset_keyboard(view, presets, callbacks.ApplyPreset),
            (view.button("button.back", callbacks.ShowSettings()),),
        ),
    )


def presets_menu(view: View, presets: Sequence[Preset], number: int) -> Message:
    """Presets that a set can become."""
    return message(
        view.html("presets.menu", presets=preset_lines(view, presets)),
        keyboard=(
            *preset_keyboard(view, presets, lambda key: callbacks.UsePreset(number, key)),
            (view.button("button.back", callbacks.ShowSet(number)),),
        ),
    )


def admin_presets_menu(view: View, presets: Sequence[Preset], admin: Subscriber, note: Html | None = None) -> Message:
    """All presets, and the admin's own sets that a new one could be made of."""
    return message(
        note or Html(),
        view.html("admin.presets", presets=preset_lines(view, presets)),
        keyboard=(
            *preset_keyboard(view, presets, callbacks.AdminPreset),
            *_own_sets(view, admin, "button.new_preset", callbacks.NewPreset),
        ),
    )


def admin_preset_menu(
    view: View, preset: Preset, admin: Subscriber, followers: int, note: Html | None = None
) -> Message:
    """One preset, and what can be done about it."""
    key = preset.key
    return message(
        note or Html(),
        view.html("admin.preset", name=view.preset_name(preset), key=key, followers=followers),
        _about(view, preset),
        view.rules(preset.rules),
        view.html("admin.preset_hint"),
        keyboard=(
            *_own_sets(view, admin, "button.take_rules", lambda number: callbacks.TakeRules(key, number)),
            (
                view.button("button.rename", callbacks.NamePreset(key)),
                view.button("button.describe", callbacks.DescribePreset(key)),
            ),
            (
                view.button("button.delete", callbacks.RemovePreset(key)),
                view.button("button.back", callbacks.AdminPresets()),
            ),
        ),
    )


def _own_sets(
    view: View, admin: Subscriber, key: str, data: Callable[[int], callbacks.CallbackData]
) -> tuple[tuple[Button, ...], ...]:
    sets = admin.filter_sets
    return in_rows((view.button(key, data(s.number), name=view.set_name(s)) for s in sets), 1)
