"""Presets as admins change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.filters.presets import Preset
from domain.subscribers.subscriber import Subscriber
from domain.tracking.records import Records
from handlers.admin.buttons import (
    AdminPreset,
    AdminPresets,
    AskTakeRules,
    DescribePreset,
    NamePreset,
    NewPreset,
    RemovePreset,
)
from handlers.admin.running.buttons import ShowPresetHistory
from handlers.conversation.menus import View, in_rows, message
from handlers.filters.preset_menus import preset_about, preset_keyboard, preset_lines
from handlers.records.lines import record_at_a_glance
from texts.markup import Html


def admin_presets_menu(view: View, presets: Sequence[Preset], admin: Subscriber, note: Html | None = None) -> Message:
    """All presets, and the admin's own sets that a new one could be made of."""
    return message(
        note or Html(),
        view.html("admin.presets", presets=preset_lines(view, presets)),
        keyboard=(
            *preset_keyboard(view, presets, AdminPreset),
            *_own_sets(view, admin, "button.new_preset", NewPreset),
        ),
    )


def admin_preset_menu(
    view: View,
    preset: Preset,
    admin: Subscriber,
    followers: int,
    note: Html | None = None,
    records: Records | None = None,
) -> Message:
    """One preset, and what can be done about it."""
    key = preset.key
    return message(
        note or Html(),
        view.html("admin.preset", name=view.preset_name(preset), key=key, followers=followers),
        preset_about(view, preset),
        view.rules(preset.rules),
        record_at_a_glance(view, records, "preset"),
        view.html("admin.preset_hint"),
        keyboard=(
            *_own_sets(view, admin, "button.take_rules", lambda number: AskTakeRules(key, number)),
            (
                view.button("button.rename", NamePreset(key)),
                view.button("button.describe", DescribePreset(key)),
            ),
            (view.button("button.preset_history", ShowPresetHistory(key, 0)),),
            (
                view.button("button.delete", RemovePreset(key)),
                view.button("button.back", AdminPresets()),
            ),
        ),
    )


def _own_sets(
    view: View, admin: Subscriber, key: str, data: Callable[[int], CallbackData]
) -> tuple[tuple[Button, ...], ...]:
    sets = admin.filter_sets
    return in_rows((view.button(key, data(s.number), name=view.set_name(s)) for s in sets), 1)
