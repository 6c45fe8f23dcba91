"""A channel that somebody pastes, by link or name: whether it is read, its record, and what can be done with it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from domain.calls.events import Channel, ChannelRecord
from domain.channels.names import is_channel_link
from domain.filters.numbers import show_short
from domain.subscribers.subscriber import Preferences
from domain.tracking.records import MIN_TOKENS, Record
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import recognised
from handlers.delivery.buttons import ShowMuted
from handlers.filters.buttons import ShowSettings
from handlers.records.lines import rate
from services.channels.group import ChannelServices
from services.channels.rows import ReadChannel
from services.tracking.records.group import RecordServices
from texts.markup import Html, join

_REACHES: Final = frozenset({"read", "calls"})
"""States in which its calls are held against filters."""


class LinkedChannelMixin(BotBase):
    @recognised(is_channel_link, needs=ChannelServices)
    async def channel_linked(self, turn: Turn, name: str) -> None:
        preferences = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        view, channels = view_of(self.services, turn), self.services.of(ChannelServices)
        known = next((one for one in self.services.calls.channels.known() if _is_named(one, name)), None)
        listed = await channels.listed.find(name)
        is_read = listed is not None and listed.state == "read"
        title = (known and known.title) or (listed and listed.title)
        state = _state(listed, known, reads=channels.reads())
        if state in _REACHES:
            blocked = self.services.conversation.standing.of("blocked")
            state = _kept_away(known or Channel(id=name), preferences, blocked) or state
        lines = [
            view.html("channel.title", title=title, channel=name) if title else _alone(view, name),
            view.html(f"channel_is.{state}", name=name.removeprefix("@")),
            _record(view, known, await self._own_record(known, name)) if known or is_read else Html(),
        ]
        if known is None and not is_read:
            await self.reply(turn, message(join("\n", filter(None, lines))))
            return
        if state in _REACHES:
            lines.append(view.html("channel.how_to_filter"))
        settings, muted = view.button("button.settings", ShowSettings()), view.button("button.muted_list", ShowMuted(0))
        button = muted if state == "muted" else settings
        await self.reply(turn, message(join("\n", lines), keyboard=((button,),)))

    async def _own_record(self, known: Channel | None, name: str) -> Record | None:
        """Return what `/top` shows of it, since its first call."""
        kept = self.services.find(RecordServices)
        records = await kept.records.find("channel", known.id if known else name) if kept else None
        return records.by_window.get("life") if records else None


def _alone(view: View, name: str) -> Html:
    return view.html("channel.title_alone", channel=name)


def _is_named(channel: Channel, name: str) -> bool:
    return any(one.lower() == name for one in channel.ids)


def _state(listed: ReadChannel | None, known: Channel | None, *, reads: bool) -> str:
    if listed is not None and listed.state != "removed":
        return listed.state
    if known is not None:
        return "calls"
    return "unread" if reads else "none_read"


def _kept_away(channel: Channel, preferences: Preferences, blocked: AbstractSet[str]) -> str | None:
    """Why its calls reach no filter of theirs."""
    if any(one in blocked for one in channel.ids):
        return "blocked"
    return "muted" if preferences.has_muted(channel) else None


def _record(view: View, channel: Channel | None, own: Record | None) -> Html:
    """Tell of the record that rules look at: the feed's own where it has one, else ours."""
    seen = channel.record if channel else None
    if seen is not None and seen.calls and seen.own_tokens is None:
        return _of_feed(view, seen)
    if own is None or not own.tokens:
        return view.html("channel.no_record", least=MIN_TOKENS)
    if own.wins is None:
        return view.html("channel.few", tokens=own.tokens, open=own.open, least=MIN_TOKENS)
    line = view.html("channel.own_record", tokens=own.tokens, open=own.open, rate=rate(view, own))
    is_seen = seen is not None and seen.win_rate_percent is not None
    return line if is_seen else join("\n", (line, view.html("channel.unseen_record")))


def _of_feed(view: View, record: ChannelRecord) -> Html:
    if record.win_rate_percent is None or record.average_multiple is None:
        return view.html("channel.few_of_feed", calls=record.calls)
    return view.html(
        "channel.record",
        calls=record.calls,
        win_rate=show_short(record.win_rate_percent, "percent"),
        average=show_short(record.average_multiple, "multiple"),
    )
