"""`/top` and `/performance`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.tracking.records import MIN_TOKENS, WINDOWS, Rate, Window
from handlers.conversation.menus import View, message
from handlers.conversation.pages import Page
from handlers.records.buttons import ShowPerformance, ShowTop
from handlers.records.lines import as_of, multiple, rate, record_lines
from runtime.errors import UserFacingError
from services.tracking.records.records import BestCall, ChannelsPage, ChannelStanding, Performance
from texts.markup import Html

PER_PAGE: Final = 10
CALLS_PER_PAGE: Final = 5
"""Each takes four lines on a phone."""
_PERSONAL: Final[tuple[Window, ...]] = ("24h", "7d", "30d")
_ALL: Final[tuple[Window, ...]] = ("24h", "7d", "30d", "life")


def window_of(typed: str) -> Window:
    """Read what a button says; `UserFacingError` where it is none of ours."""
    if typed not in WINDOWS:
        raise UserFacingError("callback.stale")
    return typed


def channels_menu(view: View, found: ChannelsPage, page: Page, window: Window, base: Rate | None, zone: str) -> Message:
    standings = (_standing(view, page.start + place, one) for place, one in enumerate(found.standings, 1))
    lines = view.listed(standings, "\n\n") or view.html("top.no_channels")
    return message(
        view.html("top.channels", window=view.plain(f"value.window.{window}"), lines=lines),
        _base(view, base),
        view.html("top.channels_hint", least=MIN_TOKENS, at=as_of(found.as_of, zone)) if found.as_of else Html(),
        keyboard=(
            *page.turning(view, lambda number: ShowTop("channels", window, number)),
            _windows(view, window, _ALL, lambda one: ShowTop("channels", one, 0)),
            (view.button("button.top_calls", ShowTop("calls", "7d" if window == "life" else window, 0)),),
        ),
    )


def calls_menu(view: View, calls: Sequence[BestCall], page: Page, window: Window, now: datetime) -> Message:
    shown = page.of(calls)
    lines = view.listed(_call_lines(view, shown, page.start, now), "\n\n") or view.html("top.no_calls")
    return message(
        view.html("top.calls", window=view.plain(f"value.window.{window}"), lines=lines),
        view.html("top.calls_hint") if shown else Html(),
        keyboard=(
            *page.turning(view, lambda number: ShowTop("calls", window, number)),
            _windows(view, window, _PERSONAL, lambda one: ShowTop("calls", one, 0)),
            (view.button("button.top_channels", ShowTop("channels", window, 0)),),
        ),
    )


def performance_menu(view: View, found: Performance, window: Window, now: datetime) -> Message:
    record = found.record
    best = view.listed(_call_lines(view, found.best, 0, now), "\n\n")
    return message(
        view.html("performance.main", window=view.plain(f"value.window.{window}"), record=record_lines(view, record)),
        view.html("performance.best", lines=best) if found.best else Html(),
        view.html("performance.hint") if record.tokens else view.html("performance.none"),
        keyboard=(_windows(view, window, _PERSONAL, ShowPerformance),),
    )


def _standing(view: View, place: int, one: ChannelStanding) -> Html:
    record = one.record
    title = one.title or one.channel_id
    if record.wins is None:
        return view.html("top.channel_few", place=place, title=title, tokens=record.tokens, least=MIN_TOKENS)
    return view.html(
        "top.channel",
        place=place,
        title=title,
        tokens=record.tokens,
        open=record.open,
        rate=rate(view, replace(record, base_percent=None)),  # which stands below for all of them
        median=multiple(record.median_multiple),
    )


def _call_lines(view: View, calls: Sequence[BestCall], start: int, now: datetime) -> list[Html]:
    return [
        view.html(
            "top.call",
            place=start + place,
            multiple=view.plain("value.at_least" if one.at_least else "value.exactly", value=multiple(one.multiple)),
            name=one.symbol or view.plain("value.unnamed_token"),
            address=one.token_address,
            channel=one.channel,
            ago=show_short(max(0.0, (now - one.called_at).total_seconds()), "duration"),
            state=view.plain("value.still_open" if one.open else "value.ended"),
        )
        for place, one in enumerate(calls, 1)
    ]


def _base(view: View, base: Rate | None) -> Html:
    if base is None or base.n < MIN_TOKENS:
        return Html()
    return view.html("top.base", percent=f"{base.percent:.0f}%", tokens=f"{base.n:,}")


def _windows(
    view: View, chosen: Window, windows: Sequence[Window], to: Callable[[Window], CallbackData]
) -> tuple[Button, ...]:
    return tuple(
        view.button(
            "button.chosen" if window == chosen else "button.choice",
            to(window),
            name=view.plain(f"value.window.{window}"),
        )
        for window in windows
    )
