"""What a preset was before: every change with who made it and when, and an earlier form taken back."""

from __future__ import annotations

from typing import Final

from domain.filters.presets import Preset
from domain.stored.snapshots import PresetChange
from domain.tracking.records import WINDOWS
from handlers.admin.buttons import AdminPreset
from handlers.admin.running.buttons import AskRestorePreset, RestorePreset, ShowPresetHistory
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback
from handlers.records.lines import record_at_a_glance
from services.subscribers.presets import INITIAL
from services.tracking.records.group import RecordServices
from texts.markup import Html, join

PER_PAGE: Final = 5
MAX_PAGE: Final = 10_000


class AdminPresetHistoryMixin(BotBase):
    @callback(ShowPresetHistory, admin="read_only")
    async def show_preset_history(self, turn: Turn, data: ShowPresetHistory) -> None:
        presets, view = self.services.subscribers.presets, view_of(self.services, turn)
        key, asked = data.preset_key, max(0, min(data.page, MAX_PAGE))
        found = await presets.history(key, asked * PER_PAGE, PER_PAGE)
        page = Page.at(asked, total=found.total, per_page=PER_PAGE)
        records = await self.services.of(RecordServices).records.find("preset", key)
        performance = join(
            "\n", filter(None, (record_at_a_glance(view, records, "preset", window) for window in WINDOWS))
        )
        initial = presets.initial(key) if found.changes else None
        revisions = [one.revision for one in found.changes if one.preset is not None]
        buttons = (
            view.button("button.preset_restore", AskRestorePreset(key, revision), revision=revision)
            for revision in (*revisions, *((INITIAL,) if initial else ()))
        )
        keyboard = (
            *in_rows(buttons, 2),
            *page.turning(view, lambda number: ShowPresetHistory(key, number)),
            (view.button("button.back", AdminPreset(key)),),
        )
        lines = view.listed((_line(view, one) for one in found.changes), "\n\n") or view.html("presets_admin.unchanged")
        first = _initial_line(view, initial) if initial else Html()
        head = view.html("presets_admin.history", key=key, count=found.total)
        await self.show(turn, message(head, performance, lines, first, keyboard=keyboard))

    @callback(AskRestorePreset, admin="owner")
    async def ask_restore_preset(self, turn: Turn, data: AskRestorePreset) -> None:
        view = view_of(self.services, turn)
        former = await self.services.subscribers.presets.at(data.preset_key, data.revision)
        followers = self.services.subscribers.roster.count_followers(data.preset_key)
        text = view.html(
            "presets_admin.sure", key=data.preset_key, followers=followers, rules=view.rules_short(former.rules)
        )
        yes, back = RestorePreset(data.preset_key, data.revision), ShowPresetHistory(data.preset_key, 0)
        asked = await asked_twice(self.services, turn, text, yes_key="button.preset_restore_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(RestorePreset, admin="owner", acts="restore preset", confirmed=True)
    async def restore_preset(self, turn: Turn, data: RestorePreset) -> str:
        subscribers = self.services.subscribers
        await subscribers.presets.restore_revision(data.preset_key, data.revision, turn.user_id)
        followers = await subscribers.loading.follow_preset(data.preset_key)
        await self.show_preset_history(turn, ShowPresetHistory(data.preset_key, 0))
        return view_of(self.services, turn).plain("value.preset_restored", followers=followers)


def _line(view: View, one: PresetChange) -> Html:
    told = {"revision": one.revision, "at": f"{one.changed_at:%d %b %Y, %H:%M}", "admin_id": one.changed_by}
    if one.preset is None:
        return view.html("presets_admin.removed", **told)
    rules = view.rules_short(one.preset.rules)
    return view.html("presets_admin.line", **told, name=view.preset_name(one.preset), rules=rules)


def _initial_line(view: View, preset: Preset) -> Html:
    name, rules = view.preset_name(preset), view.rules_short(preset.rules)
    return view.html("presets_admin.initial", revision=INITIAL, name=name, rules=rules)
