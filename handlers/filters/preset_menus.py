"""Presets as subscribers take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from domain.filters.presets import Preset
from domain.tracking.records import Records
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.filters.buttons import AddSet, ApplyPreset, ShowSet, ShowSettings, UsePreset
from handlers.records.lines import record_at_a_glance
from texts.markup import Html, join, to_plain

PRESETS_PER_ROW: Final = 2
"""So that what the presets mean and their buttons fit on one screen of a phone."""


def preset_keyboard(view: View, presets: Iterable[Preset], data: Callable[[str], CallbackData]) -> Keyboard:
    """One button per preset; `data` makes a button of its key."""
    buttons = (view.button("button.preset", data(preset.key), name=view.preset_name(preset)) for preset in presets)
    return in_rows(buttons, PRESETS_PER_ROW)


NO_RECORDS: Final[Mapping[str, Records]] = {}


def presets_at_a_glance(view: View, presets: Iterable[Preset]) -> Html:
    """A line for each: what it is for, or its rules where nobody said so. With its buttons it fits one screen."""
    return view.listed(
        view.html(
            "presets.glance",
            preset=view.preset_name(preset),
            about=to_plain(preset_about(view, preset)) or view.rules_short(preset.rules),
        )
        for preset in presets
    )


def preset_lines(
    view: View, presets: Iterable[Preset], records: Mapping[str, Records] = NO_RECORDS, zone: str = "UTC"
) -> Html:
    return view.listed((_preset_line(view, preset, records.get(preset.key), zone) for preset in presets), "\n\n")


def _preset_line(view: View, preset: Preset, records: Records | None, zone: str) -> Html:
    """Describe a preset: its name, what it is for where somebody said so, its rules, and what its calls became."""
    rules = view.rules_short(preset.rules)
    lines = (
        view.html("presets.name", preset=view.preset_name(preset)),
        preset_about(view, preset),
        view.html("presets.rules", rules=rules) if rules else Html(),
        record_at_a_glance(view, records, "preset", zone=zone),
    )
    return join("\n", (line for line in lines if line))


def preset_about(view: View, preset: Preset) -> Html:
    about_key = f"preset.{preset.key}.about"
    about = preset.about or (view.plain(about_key) if about_key in view.texts else "")
    return view.html("presets.about", about=about) if about else Html()


def new_set_menu(view: View, presets: Sequence[Preset], records: Mapping[str, Records], zone: str) -> Message:
    """What a new filter set begins with."""
    return message(
        view.html("set.new", presets=preset_lines(view, presets, records, zone)),
        keyboard=(
            (view.button("button.empty_set", AddSet()),),
            *preset_keyboard(view, presets, ApplyPreset),
            (view.button("button.back", ShowSettings()),),
        ),
    )


def presets_menu(
    view: View, presets: Sequence[Preset], records: Mapping[str, Records], number: int, zone: str
) -> Message:
    """Presets that a set can become."""
    return message(
        view.html("presets.menu", presets=preset_lines(view, presets, records, zone)),
        keyboard=(
            *preset_keyboard(view, presets, lambda key: UsePreset(number, key)),
            (view.button("button.back", ShowSet(number)),),
        ),
    )
