"""Channels that are read, as admins see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, get_args

from msgspec import Struct

from domain.channels.names import channel_link
from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.posts.reasons import NEAR_MISSES
from domain.tracking.records import Records
from handlers.admin.running.buttons import ShowAdminChannel, ShowAdminChannels
from handlers.admin.running.rates import how_often
from handlers.admin.running.reading_buttons import (
    AcceptSuggestion,
    AskAddChannel,
    AskRemoveReading,
    FindRead,
    PauseReading,
    RefuseSuggestion,
    ResumeReading,
    ShowRead,
    ShowReading,
    ShowSuggester,
)
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.conversation.pages import Page
from handlers.records.lines import record_at_a_glance
from services.channels.group import ChannelServices
from services.channels.listed import COUNTED, Posted, ReasonCount
from services.channels.rows import ReadChannel, State
from services.running.channels import tag_of
from texts.markup import Html, join

Which = Literal["read", "paused", "suggested", "gone"]
WHICH: Final[tuple[Which, ...]] = get_args(Which)
OF: Final[dict[Which, frozenset[State]]] = {
    "read": frozenset({"read"}),
    "paused": frozenset({"paused"}),
    "suggested": frozenset({"suggested"}),
    "gone": frozenset({"removed", "refused"}),
}
FOUND: Final = 10
REASONS_SHOWN: Final = 6
_OFTEN: Final = ("reading.often", "reading.often_since")
_SIGNS: Final = {"call": "✓", "update": "↺", "none": "·"}


class Looked(Struct, frozen=True, kw_only=True):
    """What is shown of a channel beside its row."""

    posted: Posted | None
    records: Records | None
    interval_s: float | None
    """Between two looks at it, where this process reads it."""


def which_of(one: ReadChannel) -> Which:
    """Say in which list a channel stands."""
    return next(which for which, states in OF.items() if one.state in states)


def ordered(channels: Sequence[ReadChannel], which: Which) -> list[ReadChannel]:
    """Those of one list: what cannot be read first; suggestions as they came."""
    found = [one for one in channels if one.state in OF[which]]
    if which == "suggested":
        return sorted(found, key=lambda one: (one.added_at, one.channel))
    return sorted(found, key=lambda one: (one.problem is None, one.channel))


def page_of(
    view: View, which: Which, channels: Sequence[ReadChannel], page: Page, looked: Mapping[str, Looked], now: datetime
) -> tuple[Html, Html]:
    """Return the title of a list and one page of it."""
    count = sum(one.state in OF[which] for one in channels)
    lines = (_line(view, one, looked[one.channel], now) for one in page.of(ordered(channels, which)))
    text = view.listed(lines, "\n\n") or view.html(f"reading.none.{which}")
    return view.html(f"reading.title.{which}", count=f"{count:,}"), text


def turning(view: View, which: Which, channels: Sequence[ReadChannel], page: Page, *, changes: bool) -> Keyboard:
    opened = in_rows(_opening(view, page.of(ordered(channels, which))), 2)
    count = sum(one.state == "suggested" for one in channels)
    others = (view.button(f"button.reading.{one}", ShowReading(one, 0), count=count) for one in WHICH if one != which)
    add = (view.button("button.channel_add", AskAddChannel()),) if changes else ()
    find = (view.button("button.channel_find", FindRead()),) if page.last else ()
    callers = view.button("button.callers", ShowAdminChannels("latest", 0))
    return (*opened, *page.turning(view, lambda to: ShowReading(which, to)), tuple(others), (*add, *find, callers))


def found(view: View, channels: Sequence[ReadChannel], typed: str) -> Keyboard:
    """Return buttons of the channels in whose name or title the words stand, whatever their state."""
    words = typed.strip().lower().removeprefix("https://").removeprefix("t.me/")
    fitting = [one for one in channels if words and (words in one.channel or words in (one.title or "").lower())]
    return in_rows(_opening(view, fitting[:FOUND]), 2)


def _opening(view: View, channels: Sequence[ReadChannel]) -> Iterator[Button]:
    for one in channels:
        yield view.button("button.channel_open", ShowRead(one.channel), title=one.title or one.channel)


def blocked_line(view: View, services: ChannelServices) -> Html:
    known = services.blocked()
    return Html() if known is None else view.html("reading.blocked", since=_at(known.since), problem=known.reason)


def card(
    view: View, one: ReadChannel, looked: Looked, reasons: Sequence[ReasonCount], silent: str | None, now: datetime
) -> tuple[Html, ...]:
    """Return the paragraphs of one channel."""
    state = view.html(f"reading.state.{one.state}", since=_at(one.added_at))
    silence = view.html("reading.is_silent", reason=view.label("post_reason", silent)) if silent else Html()
    return (
        join("\n", (named(view, one), join(" · ", (state, *_by(view, one))))),
        join("\n", _facts(view, one, looked, now)),
        silence,
        _reasons(view, reasons),
        record_at_a_glance(view, looked.records, "channel"),
    )


def acting(view: View, one: ReadChannel, back: ShowReading, *, changes: bool, has_called: bool) -> Keyboard:
    """Return the buttons under the page of one channel."""
    rows: list[tuple[Button, ...]] = []
    if changes:
        rows.append(tuple(_changing(view, one)))
    if one.state == "suggested" and one.added_by is not None:
        rows.append((view.button("button.suggestion_who", ShowSuggester(one.added_by, one.channel)),))
    if has_called:
        rows.append((view.button("button.callers_one", ShowAdminChannel(tag_of(one.channel))),))
    opened = Button(text=view.plain("button.channel_look"), url=channel_link(one.channel))
    return (*rows, (opened, view.button("button.back", back)))


def nothing_is_read(view: View) -> Message:
    back = (view.button("button.callers", ShowAdminChannels("latest", 0)),)
    return message(view.html("reading.nothing_is_read"), keyboard=(back,))


def _changing(view: View, one: ReadChannel) -> Iterator[Button]:
    match one.state:
        case "read":
            yield view.button("button.reading_pause", PauseReading(one.channel))
            yield view.button("button.reading_remove", AskRemoveReading(one.channel))
        case "paused":
            yield view.button("button.reading_resume", ResumeReading(one.channel))
            yield view.button("button.reading_remove", AskRemoveReading(one.channel))
        case "suggested":
            yield view.button("button.suggestion_accept", AcceptSuggestion(one.channel))
            yield view.button("button.suggestion_refuse", RefuseSuggestion(one.channel))
        case "removed" | "refused":
            yield view.button("button.reading_resume", ResumeReading(one.channel))


def _line(view: View, one: ReadChannel, looked: Looked, now: datetime) -> Html:
    facts = join("\n", (line for line in _facts(view, one, looked, now) if line))
    shown = join("\n", (part for part in (facts, record_at_a_glance(view, looked.records, "channel")) if part))
    return view.html("reading.line", name=named(view, one), facts=shown)


def _facts(view: View, one: ReadChannel, looked: Looked, now: datetime) -> Iterator[Html]:
    if one.problem is not None:
        problem = view.label("reading.problem", one.problem)
        yield view.html("reading.problem", problem=problem, **{"for": ago(one.problem_since, now)})
    if one.problem is not None and one.moved_to is not None:
        yield view.html("reading.moved_to", channel=one.moved_to)
    if one.gap_at is not None and now - one.gap_at < COUNTED:
        yield view.html("reading.gap", ago=ago(one.gap_at, now))
    if one.state == "suggested":
        yield view.html("reading.suggested_ago", ago=ago(one.added_at, now), user_id=one.added_by or 0)
        return
    last = view.html("reading.last_post", ago=ago(one.last_post_at, now))
    posted = looked.posted
    parts = [view.html("reading.no_post") if one.last_post_at is None else last]
    if posted is not None and (posted.posts or posted.calls):
        counts = {"calls": posted.calls, "posts": posted.posts}
        parts.append(how_often(view, _OFTEN, posted.since, now, **counts))
    yield join(" · ", parts)
    if one.state == "read" and one.read_to is None and one.problem is None:
        yield view.html("reading.no_look")
    elif one.state == "read" and looked.interval_s is not None and one.problem is None:
        yield view.html("reading.every", seconds=show_short(max(1, round(looked.interval_s)), "duration"))


def _by(view: View, one: ReadChannel) -> Iterator[Html]:
    if one.state == "suggested":
        return
    if one.added_by is None:
        yield view.html("reading.by_settings")
    else:
        yield view.html("reading.by_admin", admin_id=one.added_by)


def _reasons(view: View, reasons: Sequence[ReasonCount]) -> Html:
    if not reasons:
        return view.html("reading.no_reasons", days=COUNTED.days)
    lines = [
        view.html(
            "reading.reason",
            sign="⚠" if one.verdict == "none" and one.reason in NEAR_MISSES else _SIGNS.get(one.verdict, "·"),
            count=f"{one.posts:,}",
            reason=view.label("post_reason", one.reason),
        )
        for one in reasons[:REASONS_SHOWN]
    ]
    if more := reasons[REASONS_SHOWN:]:
        posts = sum(one.posts for one in more)
        lines.append(view.html("reading.more_reasons", count=len(more), posts=f"{posts:,}"))
    return join("\n", (view.html("reading.reasons", days=COUNTED.days), *lines))


def named(view: View, one: ReadChannel) -> Html:
    if one.title is None:
        return view.html("reading.name_alone", channel=one.channel)
    return view.html("reading.name", title=one.title, channel=one.channel)


def _at(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M}"


def ago(at: datetime | None, now: datetime) -> str:
    return "–" if at is None else show_short(max(0.0, (now - at).total_seconds()), "duration")
