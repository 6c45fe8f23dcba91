"""What is asked back about a rule that was typed: how it was meant, and whether what is not known is to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from domain.calls.events import Call, Channel, Token
from domain.delivery.messages import Button, Message
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Rule
from domain.filters.rules import parse_rule
from domain.filters.values import Known, offered, unknown
from domain.reading.typed import Unsure
from domain.tracking.records import MIN_TOKENS
from handlers.conversation.menus import View, in_rows, message
from handlers.filters.buttons import KeepTyped, ShowChannels, ShowGroup, TakeReading, TakeValue
from handlers.filters.set_menus import VALUES_PER_ROW
from services.subscribers.set_changes import CHANNEL
from texts.markup import Html, join

_NAMED_UP_TO: Final = 12
_ENOUGH: Final = 3
_ENOUGH_OF_ALL: Final = 0.1
"""Of the channels that call: fewer with a record let hardly a call through."""


def known_values(field: FilterField, channels: Sequence[Channel]) -> tuple[Known, ...]:
    """What calls are known to say about a field of choices; of channels also their titles and links."""
    if field.key != CHANNEL:
        return field.known
    return tuple(Known(channel.id, tuple(_also(channel))) for channel in channels)


def _also(channel: Channel) -> list[str]:
    name = channel.id.removeprefix("@")
    links = [f"{start}t.me/{name}" for start in ("", "https://", "http://")] if name != channel.id else []
    return [*links, channel.title] if channel.title else links


def strange_values(
    rule: Rule | None, before: Rule | None, known: Sequence[Known], field: FilterField
) -> tuple[str, ...]:
    """Values that nothing is known of and that did not stand in the rule before."""
    if not isinstance(rule, Choice) or not (known or field.key == CHANNEL):
        return ()
    kept = before.included | before.excluded if isinstance(before, Choice) else frozenset[str]()
    return unknown((rule.included | rule.excluded) - kept, known)


def without_records(view: View, rules: Mapping[str, Rule], channels: Sequence[Channel]) -> Html:
    """Warn where a rule asks for the record of channels, and hardly a channel has one yet."""
    asking = [
        field
        for field in FIELDS
        if field.group == "channel" and field.key in rules and rules[field.key].missing != "pass"
    ]
    if not asking:
        return Html()
    known = min(sum(field.value(_call_of(channel)) is not None for channel in channels) for field in asking)
    if known >= max(_ENOUGH, len(channels) * _ENOUGH_OF_ALL):
        return Html()
    named = join(", ", (view.html("records.rule", label=view.label("filter", field.key)) for field in asking))
    key = "records.some_only" if known else "records.nobody_yet"
    followed = (one.own_tokens or 0 for channel in channels for one in (channel.record, channel.record_30d) if one)
    return view.html(
        key, rules=named, known=known, channels=len(channels), least=MIN_TOKENS, most=max(followed, default=0)
    )


def _call_of(channel: Channel) -> Call:
    at = datetime.fromtimestamp(0, UTC)
    return Call(id="", token=Token(address=""), channel=channel, called_at=at, received_at=at)


def which_menu(view: View, filter_set: FilterSet, field: FilterField, doubt: Unsure, tag: str) -> Message:
    """Ask how a number, or words, were meant."""
    number = filter_set.number
    meant = (
        view.button("button.meant", TakeReading(number, field.key, tag, place), name=_shown(view, reading, field))
        for place, reading in enumerate(doubt.readings)
    )
    asked = view.html(
        "settings.which",
        question=view.html(doubt.key, **doubt.arguments),
        label=view.label("filter", field.key),
        value=view.rule(filter_set.rules.get(field.key), field),
    )
    return message(asked, keyboard=(*in_rows(meant, 1), (_back(view, filter_set, field),)))


def _shown(view: View, reading: str, field: FilterField) -> str:
    return view.full_rule(parse_rule(reading, field), field) if field.unit == "text" else reading


def keep_menu(
    view: View, filter_set: FilterSet, field: FilterField, strange: Sequence[str], known: Sequence[Known], tag: str
) -> Message:
    """Ask whether what is not known is meant."""
    named = offered(known)[:_NAMED_UP_TO]
    asked = view.html(
        "values.strange",
        label=view.label("filter", field.key),
        strange="”, “".join(strange),
        known=", ".join(named) or view.plain("value.nothing_yet"),
        value=view.rule(filter_set.rules.get(field.key), field),
    )
    keep = view.button("button.keep_anyway", KeepTyped(filter_set.number, field.key, tag))
    instead = (
        view.button("button.choice", TakeValue(filter_set.number, field.key, tag, value), name=value)
        for value in offered(field.known)
    )
    listed = (view.button("button.channel_list", ShowChannels(filter_set.number, 0)),) if field.key == CHANNEL else ()
    rows = ((keep,), *in_rows(instead, VALUES_PER_ROW), listed, (_back(view, filter_set, field),))
    return message(asked, keyboard=tuple(row for row in rows if row))


def _back(view: View, filter_set: FilterSet, field: FilterField) -> Button:
    return view.button("button.back", ShowGroup(filter_set.number, field.group))
