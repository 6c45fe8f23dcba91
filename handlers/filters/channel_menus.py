"""Pages of channels to listen to or to mute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.calls.events import Channel
from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.filters.registry import Choice, FilterSet
from handlers.conversation.base import Services
from handlers.conversation.menus import View, message
from handlers.conversation.pages import Page
from handlers.filters.buttons import ClearChannels, SetChannel, ShowChannels, ShowField, channel_tag
from services.subscribers.set_changes import CHANNEL, NEXT, standing_of
from texts.markup import Html, join

CHANNELS_PER_PAGE: Final = 8
NAMED_UP_TO: Final = 25
"""Chosen channels that are named; there may be a hundred."""


def channel_rule(filter_set: FilterSet) -> Choice:
    """Return the rule over channels, or an empty one."""
    rule = filter_set.rules.get(CHANNEL)
    return rule if isinstance(rule, Choice) else Choice()


def choosable(services: Services, rule: Choice) -> list[Channel]:
    """Channels to choose from, featured ones first, then the most successful: those of the feed, and chosen ones.

    Blocked ones, and those that are another one, are offered to nobody. A choice moves nothing, so that the next tap
    hits what the reader saw.
    """
    blocked, merged, featured = (services.conversation.standing.of(name) for name in ("blocked", "merged", "featured"))
    hidden = blocked | merged
    seen = {channel.id: channel for channel in services.calls.channels.known() if channel.id not in hidden}
    silent = (Channel(id=channel_id) for channel_id in rule.included | rule.excluded if channel_id not in seen)
    return sorted((*seen.values(), *silent), key=lambda one: (one.id not in featured, *_by_success(one)))


def _by_success(channel: Channel) -> tuple[float, str, str]:
    win_rate = channel.record.win_rate_percent if channel.record else None
    return (1.0 if win_rate is None else -win_rate, channel.title or "", channel.id)


def channels_menu(view: View, filter_set: FilterSet, channels: Sequence[Channel], asked: int) -> Message:
    """One page of channels to turn."""
    number, rule = filter_set.number, channel_rule(filter_set)
    page = Page.at(asked, total=len(channels), per_page=CHANNELS_PER_PAGE)
    rows = [(_turn(view, number, rule, channel, page.number),) for channel in page.of(channels)]
    turning = page.turning(view, lambda to: ShowChannels(number, to))
    closing = [view.button("button.back", ShowField(number, CHANNEL))]
    if rule.included or rule.excluded:
        closing.insert(0, view.button("button.all_channels", ClearChannels(number)))
    return message(
        view.html("channels.menu", chosen=_chosen(view, rule, channels)),
        view.html("channels.hint" if channels else "channels.nobody"),
        keyboard=(*rows, *turning, tuple(closing)),
    )


def _chosen(view: View, rule: Choice, channels: Sequence[Channel]) -> Html:
    def names(chosen: frozenset[str]) -> Html:
        named = [view.html("channels.name", title=c.title or c.id) for c in channels if c.id in chosen]
        return view.listed(named[:NAMED_UP_TO], ", ")

    included, excluded = rule.included, rule.excluded
    lines = [
        view.html("channels.some", count=len(included), names=names(included))
        if included
        else view.html("channels.all"),
        view.html("channels.muted", count=len(excluded), names=names(excluded)) if excluded else Html(),
    ]
    return join("\n", (line for line in lines if line))


def _turn(view: View, number: int, rule: Choice, channel: Channel, page: int) -> Button:
    record = channel.record
    shown = record and view.plain(
        "button.channel_record",
        win_rate=show_short(record.win_rate_percent, "percent"),
        average=show_short(record.average_multiple, "multiple"),
    )
    now = standing_of(rule, channel.id)
    key = {"off": "button.channel", "in": "button.channel_chosen", "out": "button.channel_muted"}[now]
    return view.button(
        key,
        SetChannel(number, page, channel_tag(channel.id), NEXT[now]),
        title=channel.title or channel.id,
        record=shown or "",
    )
