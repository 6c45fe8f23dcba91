"""Calls of the day that a single rule kept away, and tokens of one ticker. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from domain.buttons.cards import ShowWhy
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.delivery.messages import Message
from domain.filters.numbers import show_short
from domain.filters.registry import FIELDS
from domain.subscribers.zones import show_zone
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.conversation.pages import Page
from handlers.why.buttons import ShowNearMisses, WhyToken
from handlers.why.cards import needed, seen_beside, token_name
from handlers.why.moments import shown_clock
from services.watches.watches import Found
from services.why.answers import NearMiss, NearMisses
from services.why.explanations import MAX_NEAR_MISSES
from texts.markup import Html, join

MISSES_PER_PAGE: Final = 8
_FIELDS: Final = {field.key: field for field in FIELDS}


def near_misses_card(view: View, misses: NearMisses, asked: int) -> Message:
    """List one page of near misses, each with a button that explains it."""
    page = Page.at(asked, total=len(misses.found), per_page=MISSES_PER_PAGE)
    zone = show_zone(misses.time_zone)
    first, shown = page.start, page.of(misses.found)
    if misses.since is None:
        return message(view.html("why.no_filter_on", zone=zone), view.html("why.any_call", days=ACCEPTED_FOR.days))
    since = shown_clock(misses.since, misses.time_zone)
    if not shown:
        return message(
            view.html("why.no_misses", count=misses.calls_checked, zone=zone, since=since),
            view.html("why.any_call", days=ACCEPTED_FOR.days),
        )
    lines = [_miss(view, place, miss, misses.time_zone) for place, miss in enumerate(shown, start=first + 1)]
    # The search ends with the newest hundred: then that is no count.
    is_cut = not misses.complete and len(misses.found) >= MAX_NEAR_MISSES
    count, checked = len(misses.found), misses.calls_checked
    counts = (
        view.html("why.misses_newest", count=count, checked=checked, zone=zone)
        if is_cut
        else view.html("why.misses", count=count, checked=checked, zone=zone, since=since)
    )
    return message(
        counts,
        join("\n", lines),
        Html() if misses.complete else view.html("why.misses_cut"),
        keyboard=(*_miss_buttons(view, shown, first), *page.turning(view, ShowNearMisses)),
    )


def which_token(view: View, ticker: str, found: Sequence[Found], now: datetime) -> Message:
    """Ask which of several tokens of one ticker is meant."""
    rows = in_rows(
        (
            view.button(
                "button.why_token",
                WhyToken(one.address),
                name=one.name or one.symbol or view.plain("value.unnamed_token"),
                address=f"{one.address[:4]}…{one.address[-4:]}",
                ago=show_short(max(0, round((now - one.called_at).total_seconds())), "duration"),
            )
            for one in newest_first(found)
        ),
        1,
    )
    return message(view.html("why.which_token", ticker=ticker), keyboard=rows)


def newest_first(found: Sequence[Found]) -> list[Found]:
    """As the ages on their buttons say it."""
    return sorted(found, key=lambda one: one.called_at, reverse=True)


def _miss(view: View, place: int, miss: NearMiss, zone: str) -> Html:
    label = view.label("filter", miss.rule.key)
    field = _FIELDS.get(miss.rule.key)
    return view.html(
        "why.miss",
        place=place,
        name=token_name(view, miss.decided.call.token),
        at=shown_clock(miss.decided.decided_at, zone),
        label=label,
        value="?" if field is None else seen_beside(miss.rule, field),
        rule="" if field is None else needed(view, miss.rule.rule, field),
        set_name=view.set_name(miss.filter_set),
    )


def _miss_buttons(view: View, shown: Sequence[NearMiss], first: int) -> Keyboard:
    buttons = [
        view.button(
            "button.why_miss",
            ShowWhy.of(miss.decided.call.token.address, miss.decided.call.id),
            place=place,
            name=token_name(view, miss.decided.call.token),
        )
        for place, miss in enumerate(shown, start=first + 1)
    ]
    return in_rows(buttons, 2)
