"""The list of a subscriber's filter sets."""

from __future__ import annotations

from datetime import datetime

from domain.delivery.messages import Button, Message
from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.menus import RULES_AT_A_GLANCE, View, in_rows, message
from handlers.delivery.buttons import SetPaused, ShowDelivery
from handlers.delivery.standing import is_paused
from handlers.filters.buttons import NewSet, ShowSet
from texts.markup import Html, join


def settings_menu(
    view: View, subscriber: Subscriber, state: Html, note: Html | None = None, *, now: datetime
) -> Message:
    """All filter sets of a subscriber. `state`: whether alerts come."""
    sets = subscriber.filter_sets
    opening = (
        view.button(
            "button.set_on" if filter_set.enabled else "button.set_off",
            ShowSet(filter_set.number),
            name=view.set_name(filter_set),
        )
        for filter_set in sets
    )
    return message(
        note or Html(),
        view.html("settings.menu", state=state),
        view.listed((_set_line(view, filter_set) for filter_set in sets), "\n\n"),
        view.html("settings.any_filter") if len(sets) > 1 else Html(),
        keyboard=(
            *in_rows(opening, 1),
            (view.button("button.new_set", NewSet()),),
            (_pausing(view, subscriber, now), view.button("button.delivery_settings", ShowDelivery())),
        ),
    )


def _set_line(view: View, filter_set: FilterSet) -> Html:
    off = "settings.set_paused" if filter_set.paused_by_plan else "settings.set_off"
    key = "settings.set_on" if filter_set.enabled else off
    line = view.html(key, name=view.set_name(filter_set), count=len(filter_set.rules))
    if not filter_set.rules:
        return join("\n", (line, view.html("rule.none"))) if filter_set.enabled else line
    return join(
        "\n", (line, view.html("settings.set_rules", rules=view.rules_short(filter_set.rules, RULES_AT_A_GLANCE)))
    )


def _pausing(view: View, subscriber: Subscriber, now: datetime) -> Button:
    """Resuming ends a snooze as well."""
    stopped = is_paused(subscriber, now)
    return view.button("button.resume" if stopped else "button.pause", SetPaused(not stopped))
