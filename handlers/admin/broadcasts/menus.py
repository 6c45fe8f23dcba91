"""What broadcasts look like to admins: the list, one of them with what may be done to it, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from domain.broadcasts.segments import SEGMENTS, Audience
from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from handlers.admin.broadcasts.buttons import (
    AskBegin,
    AskBroadcast,
    AskCancel,
    AskMoment,
    AskRewrite,
    ChooseAudience,
    DiscardBroadcast,
    PauseBroadcast,
    ReadBroadcast,
    ResumeBroadcast,
    SetAudience,
    ShowBroadcast,
    ShowBroadcasts,
    TestBroadcast,
    UnscheduleBroadcast,
)
from handlers.conversation.menus import Keyboard, View, in_rows, message
from services.broadcasts.broadcasts import Standing
from services.broadcasts.rows import Broadcast, Counts
from texts.markup import Html, cut, to_plain

_BAR: Final = 20
_SAID: Final = 60


def list_menu(view: View, found: Sequence[Broadcast]) -> Message:
    lines = view.listed(_line(view, one) for one in found) or view.html("broadcasts.none")
    buttons = (view.button("button.open_broadcast", ShowBroadcast(one.id), said=_said(one)) for one in found)
    new = (view.button("button.new_broadcast", AskBroadcast()),)
    return message(view.html("broadcasts.main", broadcasts=lines), keyboard=(*in_rows(buttons, 1), new))


def broadcast_card(view: View, standing: Standing) -> Message:
    """One broadcast, with what may be done to it as it stands."""
    one = standing.broadcast
    texts = (_facts(view, standing), _progress(view, standing)) if one.started_at else (_facts(view, standing),)
    return message(*texts, keyboard=(*_doing(view, one), _reading(view, one), back(view)))


def audiences_menu(view: View, one: Broadcast, counts: Sequence[tuple[Audience, int]]) -> Message:
    buttons = (
        view.button(
            "button.audience_chosen" if audience == one.audience else "button.audience",
            SetAudience(one.id, audience.segment, audience.language),
            name=audience_name(view, audience),
            count=f"{count:,}",
        )
        for audience, count in counts
    )
    return message(view.html("broadcast.audiences"), keyboard=(*in_rows(buttons, 2), (to_card(view, one.id),)))


def audiences(languages: Sequence[str]) -> list[Audience]:
    """All that may be chosen."""
    return [
        *(Audience(one) for one in SEGMENTS if one != "language"),
        *(Audience("language", one) for one in languages),
    ]


def audience_name(view: View, audience: Audience) -> str:
    if audience.segment == "language":
        return view.plain("segment.language", name=audience.language)
    return view.label("segment", audience.segment)


def to_card(view: View, broadcast_id: str) -> Button:
    return view.button("button.back", ShowBroadcast(broadcast_id))


def back(view: View) -> tuple[Button, ...]:
    return (view.button("button.back", ShowBroadcasts()),)


def shown(at: datetime | None) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC" if at else "–"


def result(view: View, standing: Standing) -> Message:
    """What came of it, as news of its own."""
    one, counts = standing.broadcast, standing.counts
    key = "broadcast.over_cancelled" if one.state == "cancelled" else "broadcast.over_done"
    text = view.html(key, said=_said(one), sent=f"{counts.sent:,}", total=f"{counts.total:,}")
    return message(text, _outcomes(view, counts), keyboard=((to_card(view, one.id),),))


def _facts(view: View, standing: Standing) -> Html:
    one = standing.broadcast
    people = standing.counts.total if standing.people is None else standing.people
    return view.html(
        "broadcast.card",
        state=view.label("broadcast_state", one.state),
        said=_said(one),
        audience=audience_name(view, one.audience),
        people=f"{people:,}",
        by=one.created_by,
        due=shown(one.due_at),
        began=shown(one.started_at),
        ended=shown(one.ended_at),
    )


def _progress(view: View, standing: Standing) -> Html:
    counts = standing.counts
    done, total = counts.done, max(counts.total, 1)
    filled = _BAR * done // total
    bar = view.html("broadcast.bar", bar="█" * filled + "░" * (_BAR - filled), percent=100 * done // total)
    return Html("\n".join((bar, _outcomes(view, counts))))


def _outcomes(view: View, counts: Counts) -> Html:
    told = {name: f"{getattr(counts, name):,}" for name in (*counts.__struct_fields__, "gone")}
    return view.html("broadcast.outcomes", **told)


def _doing(view: View, one: Broadcast) -> Keyboard:
    def button(key: str, data: CallbackData) -> Button:
        return view.button(key, data)

    match one.state:
        case "draft":
            return (
                (button("button.broadcast_to", ChooseAudience(one.id)), button("button.rewrite", AskRewrite(one.id))),
                (button("button.begin", AskBegin(one.id)), button("button.at_a_time", AskMoment(one.id))),
                (button("button.discard", DiscardBroadcast(one.id)),),
            )
        case "scheduled":
            return (
                (button("button.begin", AskBegin(one.id)), button("button.unschedule", UnscheduleBroadcast(one.id))),
            )
        case "running":
            return ((button("button.hold", PauseBroadcast(one.id)), button("button.end", AskCancel(one.id))),)
        case "paused":
            return ((button("button.go_on", ResumeBroadcast(one.id)), button("button.end", AskCancel(one.id))),)
        case _:
            return ()


def _reading(view: View, one: Broadcast) -> tuple[Button, ...]:
    read = view.button("button.read_broadcast", ReadBroadcast(one.id))
    test = view.button("button.test_broadcast", TestBroadcast(one.id))
    refresh = view.button("button.refresh", ShowBroadcast(one.id))
    return (read, refresh) if one.started_at else (read, test)


def _line(view: View, one: Broadcast) -> Html:
    told = {
        "at": f"{one.started_at or one.due_at or one.created_at:%d %b, %H:%M}",
        "state": view.label("broadcast_state", one.state),
        "audience": audience_name(view, one.audience),
        "said": _said(one),
    }
    if one.counts is None:
        return view.html("broadcasts.line_before", **told)
    if one.is_open:
        counts = one.counts
        return view.html("broadcasts.line_open", **told, done=f"{counts.done:,}", total=f"{counts.total:,}")
    return view.html("broadcasts.line", **told, sent=f"{one.counts.sent:,}")


def _said(one: Broadcast) -> str:
    return cut(" ".join(to_plain(one.html).split()), _SAID)
