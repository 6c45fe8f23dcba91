"""Channels, as admins read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from domain.admins.controls import ControlName
from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.tracking.records import Records
from handlers.admin.corrections import ShowChannelCall
from handlers.admin.running.buttons import (
    AskBlock,
    AskMerge,
    ChooseMain,
    FeatureChannel,
    SeparateChannel,
    ShowAdminChannel,
    ShowAdminChannels,
    UnblockChannel,
)
from handlers.admin.running.rates import how_often
from handlers.admin.running.reading_buttons import ShowRead
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.records.lines import record_at_a_glance
from services.running.channels import ChannelCall, ChannelRow, ChannelRows
from services.running.controls import Controls
from services.running.merging import MergeFigures
from texts.markup import Html

OTHERS_SHOWN: Final = 10
_OFTEN: Final = ("channels_admin.often", "channels_admin.often_since")


def lines(view: View, found: ChannelRows, controls: Controls, now: datetime) -> Html:
    return view.listed(
        (view.html("channels_admin.line", **_told(view, one, controls, now)) for one in found.rows), "\n\n"
    ) or view.html("channels_admin.nobody")


def opening(view: View, found: ChannelRows) -> Keyboard:
    buttons = (
        view.button("button.channel_open", ShowAdminChannel(one.tag), title=one.title or one.channel_id)
        for one in found.rows
    )
    return in_rows(buttons, 2)


def card(
    view: View,
    one: ChannelRow,
    calls: list[ChannelCall],
    records: Records | None,
    controls: Controls,
    now: datetime,
    back: ShowAdminChannels,
    *,
    is_read: bool = False,
    main_title: str | None = None,
) -> Message:
    """`is_read`: it is in the list of channels that are read, or were.

    `main_title`: of the channel that it is merged into.
    """
    tag = one.tag
    blocked, featured = (controls.find(name, one.channel_id) for name in ("blocked", "featured"))
    merged = controls.find("merged", one.channel_id)
    blocking = "channels_admin.rests_blocked" if merged else "channels_admin.is_blocked"
    block = ("button.unblock", UnblockChannel(tag)) if blocked else ("button.block", AskBlock(tag))
    feature = view.button("button.unfeature" if featured else "button.feature", FeatureChannel(tag, not featured))
    return message(
        view.html("channels_admin.card", **_told(view, one, controls, now)),
        view.html(blocking, since=f"{blocked.since:%d %b %Y, %H:%M}") if blocked else Html(),
        _merged(view, one.channel_id, controls, main_title),
        record_at_a_glance(view, records, "channel"),
        view.html("channels_admin.calls" if calls else "channels_admin.no_calls"),
        keyboard=(
            *in_rows((_call(view, call, tag, now) for call in calls), 1),
            (view.button(*block), feature),
            (
                view.button("button.separate", SeparateChannel(tag))
                if merged
                else view.button("button.merge", AskMerge(tag)),
            ),
            *(((view.button("button.reading_how", ShowRead(one.channel_id)),),) if is_read else ()),
            (view.button("button.back", back),),
        ),
    )


def _merged(view: View, channel_id: str, controls: Controls, main_title: str | None) -> Html:
    """Say of which channel it is, or which others are this one."""
    if found := controls.find("merged", channel_id):
        title = main_title or view.plain("value.unnamed_channel")
        since = f"{found.since:%d %b %Y, %H:%M}"
        return view.html("channels_admin.is_merged", title=title, main=found.main, since=since)
    others = controls.merges.others.get(channel_id, ())
    if not others:
        return Html()
    named = [view.html("channels_admin.other", channel=other) for other in others[:OTHERS_SHOWN]]
    return view.html("channels_admin.has_others", others=view.listed(named, ", "))


def choosing_main(view: View, one: ChannelRow, found: ChannelRows) -> Keyboard:
    buttons = (
        view.button("button.channel_open", ChooseMain(one.tag, main.tag), title=main.title or main.channel_id)
        for main in found.rows
        if main.channel_id != one.channel_id
    )
    return in_rows(buttons, 2)


def sure_merge(
    view: View, other: ChannelRow, main: ChannelRow, figures: MergeFigures, records: Mapping[str, Records]
) -> Html:
    def record(one: ChannelRow) -> Html:
        return record_at_a_glance(view, records.get(one.channel_id), "channel", "life") or view.html(
            "channels_admin.no_record"
        )

    return view.html(
        "channels_admin.sure_merge",
        other=other.title or view.plain("value.unnamed_channel"),
        other_id=other.channel_id,
        other_calls=f"{figures.other_calls:,}",
        other_record=record(other),
        main=main.title or view.plain("value.unnamed_channel"),
        main_id=main.channel_id,
        main_calls=f"{figures.main_calls:,}",
        main_record=record(main),
        sets=f"{figures.sets:,}",
        muted_by=f"{figures.muted_by:,}",
    )


def _call(view: View, call: ChannelCall, tag: str, now: datetime) -> Button:
    return view.button(
        "button.correct_call",
        ShowChannelCall(call.number, tag),
        sign="✗" if call.excluded else "✓",
        channel=call.symbol or view.plain("value.unnamed_token"),
        multiple=show_short(call.multiple, "multiple"),
        ago=_ago(call.called_at, now),
    )


def _told(view: View, one: ChannelRow, controls: Controls, now: datetime) -> dict[str, object]:
    signs: dict[ControlName, str] = {"blocked": "⛔", "featured": "⭐", "merged": "🔗"}
    shown = "".join(sign for name, sign in signs.items() if one.channel_id in controls.of(name))
    return {
        "signs": f"{shown} " if shown else "",
        "title": one.title or view.plain("value.unnamed_channel"),
        "channel": one.channel_id,
        "last": "–" if one.last_at is None else _ago(one.last_at, now),
        "often": how_often(view, _OFTEN, one.since, now, calls=one.calls),
    }


def _ago(at: datetime, now: datetime) -> str:
    return show_short(max(0.0, (now - at).total_seconds()), "duration")
