"""The menus of one filter set: its rules, a group of fields, one field."""

from __future__ import annotations

from typing import Final, get_args

from domain.delivery.messages import Button, Message
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Group, Missing, Range, Rule, Words
from domain.filters.values import offered
from domain.tracking.records import Records
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.filters.buttons import (
    ClearField,
    CopySet,
    DeleteSet,
    RenameSet,
    SetEnabled,
    SetFlag,
    SetMissing,
    SetValue,
    ShareSet,
    ShowChannels,
    ShowField,
    ShowGroup,
    ShowPresets,
    ShowSet,
    ShowSettings,
    ShowVersions,
    TryFilter,
)
from handlers.records.lines import record_at_a_glance
from services.subscribers.set_changes import CHANNEL, NEXT, standing_of
from texts.markup import Html

GROUPS: Final[tuple[Group, ...]] = get_args(Group)
POLICIES: Final[tuple[tuple[Missing, int], ...]] = (
    ("fail", 0),
    ("pass", 0),
    ("wait", 5),
    ("wait", 10),
    ("wait", 15),
    ("wait", 60),
)
"""What a rule may do about a call without a value, and for how many minutes it waits."""
RULES_TO_TAP: Final = 8
"""Rules that can be opened from the set itself; all of them are in their groups."""
_RULES_PER_ROW: Final = 2
_GROUPS_PER_ROW: Final = 2
VALUES_PER_ROW: Final = 3


def set_menu(
    view: View, filter_set: FilterSet, note: Html | None = None, records: Records | None = None, zone: str = "UTC"
) -> Message:
    """One set: its rules in words, each with a button that only names it.

    `records`: what became of the calls that it let through; `zone`: in which times are shown.
    """
    number = filter_set.number
    fields = [field for field in FIELDS if field.key in filter_set.rules][:RULES_TO_TAP]
    rules = (
        view.button("button.set_rule", ShowField(number, field.key), label=view.label("filter", field.key))
        for field in fields
    )
    groups = (
        view.button(
            "button.group",
            ShowGroup(number, group),
            label=view.label("group", group),
            count=sum(field.group == group and field.key in filter_set.rules for field in FIELDS),
        )
        for group in GROUPS
    )
    return message(
        note or Html(),
        _title(view, filter_set),
        _rules(view, filter_set),
        _following(view, filter_set),
        record_at_a_glance(view, records, "set", zone=zone),
        view.html("set.hint"),
        keyboard=(
            *in_rows(rules, _RULES_PER_ROW),
            *in_rows(groups, _GROUPS_PER_ROW),
            *_tools(view, filter_set),
        ),
    )


def _rules(view: View, filter_set: FilterSet) -> Html:
    if filter_set.rules or filter_set.enabled:
        return view.rules(filter_set.rules)
    return view.html("set.empty")


def _title(view: View, filter_set: FilterSet) -> Html:
    key = "set.on" if filter_set.enabled else "set.paused" if filter_set.paused_by_plan else "set.off"
    return view.html(key, name=view.set_name(filter_set))


def _following(view: View, filter_set: FilterSet) -> Html:
    if filter_set.follows is None:
        return Html()
    return view.html("set.follows", preset=view.name(filter_set.follows))


def _tools(view: View, filter_set: FilterSet) -> Keyboard:
    number, enabled = filter_set.number, filter_set.enabled
    return (
        (
            view.button("button.filter_off" if enabled else "button.filter_on", SetEnabled(number, not enabled)),
            view.button("button.rename", RenameSet(number)),
        ),
        (
            view.button("button.presets", ShowPresets(number)),
            view.button("button.share", ShareSet(number)),
        ),
        (
            view.button("button.duplicate", CopySet(number)),
            view.button("button.delete", DeleteSet(number)),
        ),
        (
            view.button("button.versions", ShowVersions(number, 0)),
            view.button("button.backtest", TryFilter("set", str(number))),
        ),
        (view.button("button.back", ShowSettings()),),
    )


def field_button(view: View, filter_set: FilterSet, field: FilterField) -> Button:
    return view.button(
        "button.rule",
        ShowField(filter_set.number, field.key),
        label=view.label("filter", field.key),
        value=view.rule(filter_set.rules.get(field.key), field),
    )


def group_menu(view: View, filter_set: FilterSet, group: Group, note: Html | None = None) -> Message:
    fields = (field_button(view, filter_set, field) for field in FIELDS if field.group == group)
    title = view.html(
        "group.menu", group=view.label("group", group), name=view.set_name(filter_set), about=view.html(ABOUT[group])
    )
    back = view.button("button.back", ShowSet(filter_set.number))
    return message(note or Html(), title, keyboard=(*in_rows(fields, 1), (back,)))


ABOUT: Final[dict[Group, str]] = {
    "size": "group.size.about",
    "trading": "group.trading.about",
    "safety": "group.safety.about",
    "origin": "group.origin.about",
    "call": "group.call.about",
    "channel": "group.channel.about",
}


def field_menu(view: View, filter_set: FilterSet, field: FilterField, note: Html | None = None) -> Message:
    """The prompt of a field: what it is, what stands there, how to change it, what a missing value means."""
    rule = filter_set.rules.get(field.key)
    about_key = f"filter.{field.key}.about"
    return message(
        note or Html(),
        view.html(
            "field.menu",
            label=view.label("filter", field.key),
            about=view.html(about_key) if about_key in view.texts else Html(),
            value=view.rule(rule, field),
        ),
        prompt(view, field),
        if_missing(view, rule, field),
        keyboard=field_keyboard(view, filter_set, field),
    )


def if_missing(view: View, rule: Rule | None, field: FilterField) -> Html:
    """Say what the last buttons of the keyboard are about; a rule has them once it is there."""
    if rule is None:
        return Html()
    return view.html("field.missing" if is_figure(field) else "field.unknown", missing=view.missing(rule))


def unknown_too(view: View, rule: Rule | None, field: FilterField) -> Html:
    """Say of a rule that only excludes that it also keeps back what does not say the value: nobody expects that."""
    excludes = isinstance(rule, Choice | Words) and not rule.included and rule.missing == "fail"
    return view.html("rule.unknown_too", label=view.label("filter", field.key)) if excludes else Html()


def is_figure(field: FilterField) -> bool:
    return field.unit not in {"choice", "text", "flag"}


def prompt(view: View, field: FilterField) -> Html:
    """How to answer, with a worked example."""
    unit = view.html(f"unit.{field.unit}")
    match field.unit:
        case "flag":
            return unit
        case "choice":
            key = "field.known" if field.known else "field.choice"
            return view.html(key, example=field.example, unit=unit)
        case "text":
            return view.html("field.words", example=field.example, unit=unit)
        case _:
            return view.html("field.range", example=field.example, unit=unit)


def field_keyboard(view: View, filter_set: FilterSet, field: FilterField) -> Keyboard:
    number, rule = filter_set.number, filter_set.rules.get(field.key)
    choosing: list[Button] = []
    if field.unit == "flag":
        choosing = [_flag(view, number, field, rule, value=value) for value in (True, False)]
    elif field.key == CHANNEL:
        choosing = [view.button("button.channel_list", ShowChannels(number, 0))]
    clearing = view.button("button.any", ClearField(number, field.key))
    policies = tuple(_policy(view, number, field, rule, policy) for policy in POLICIES) if rule else ()
    values = in_rows((_value(view, number, field, rule, value) for value in offered(field.known)), VALUES_PER_ROW)
    rows = (
        *values,
        tuple([*choosing, clearing] if rule or field.unit == "flag" else choosing),
        *in_rows(policies, 2),
        (view.button("button.back", ShowGroup(number, field.group)),),
    )
    return tuple(row for row in rows if row)


def _flag(view: View, number: int, field: FilterField, rule: Rule | None, *, value: bool) -> Button:
    """`yes` or `no`, marked where that is the rule."""
    chosen = isinstance(rule, Range) and (rule.minimum is not None) == value
    name = view.plain("value.yes" if value else "value.no")
    return view.button("button.chosen" if chosen else "button.choice", SetFlag(number, field.key, value), name=name)


def _value(view: View, number: int, field: FilterField, rule: Rule | None, value: str) -> Button:
    """A value that is known, marked where the rule wants or excludes it."""
    now = standing_of(rule, value)
    key = {"off": "button.choice", "in": "button.chosen", "out": "button.excluded"}[now]
    return view.button(key, SetValue(number, field.key, value, NEXT[now]), name=value)


def _policy(view: View, number: int, field: FilterField, rule: Rule, policy: tuple[Missing, int]) -> Button:
    missing, minutes = policy
    chosen = (rule.missing, rule.wait_minutes) == policy
    name = {
        "fail": view.plain("value.missing_fail"),
        "pass": view.plain("value.missing_pass"),
        "wait": view.plain("value.missing_wait", minutes=minutes),
    }[missing]
    data = SetMissing(number, field.key, missing, minutes)
    return view.button("button.chosen" if chosen else "button.choice", data, name=name)
