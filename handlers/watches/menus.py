"""What `/watch` and `/watching` look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.filters.shown import show_price, shown_figure
from domain.watches.conditions import READY, Condition, Figures, Side, Subject
from handlers.conversation.menus import Keyboard, View, in_rows, lines, message
from handlers.conversation.pages import Page
from handlers.watches.buttons import (
    AskCondition,
    AskEndAll,
    BeginWatch,
    EndWatch,
    PickToken,
    ShowReady,
    ShowWatching,
)
from services.cards.pieces import readable
from services.watches.composing import condition_text
from services.watches.watches import FRESH_FOR, Begun, Found, Watch
from texts.markup import Html

PER_PAGE: Final = 6
EXAMPLE: Final = "So11111111111111111111111111111111111111112"
_READY_PER_ROW: Final = 2
_NOW_S: Final = 60
"""A price older than that says how old it is."""
_STEPS: Final[dict[Subject, float]] = {"price": 0.001, "market_cap": 1e6}
"""What examples show where nobody knows what the token costs."""


def short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def shown_name(name: str | None, address: str) -> str:
    return readable(name) or short(address)


def how(view: View) -> Message:
    return message(view.html("watch.how", address=EXAMPLE), keyboard=((_watching(view),),))


def ready_menu(view: View, address: str, name: str | None, now: Figures, *, each_time: bool) -> Message:
    """The ready conditions, and what is typed."""
    ready = [Condition(subject="multiple", side=side, value=value, each_time=each_time) for value, side in READY]
    buttons = [
        view.button(
            "button.watch_ready",
            BeginWatch(address, one.code),
            condition=condition_text(view.texts, view.language, one),
        )
        for one in ready
    ]
    keyboard = (
        *in_rows(buttons, _READY_PER_ROW),
        (
            view.button("button.watch_price", AskCondition(address, "price")),
            view.button("button.watch_market_cap", AskCondition(address, "market_cap")),
        ),
        (
            view.button(
                "button.watch_each_time" if each_time else "button.watch_once", ShowReady(address, not each_time)
            ),
        ),
    )
    return message(view.html("watch.choose", name=shown_name(name, address), now=_now(view, now)), keyboard=keyboard)


def question(view: View, address: str, name: str | None, what: Subject, now: Figures) -> Message:
    """Ask for a price or a market cap, with examples near to what the token costs."""
    level = now.of(what) or _STEPS[what]
    above, below = (f"{sign} {_round(level * factor)}" for sign, factor in ((">", 2.0), ("<", 0.5)))
    text = view.html(f"watch.ask.{what}", name=shown_name(name, address), above=above, below=below)
    return message(text, keyboard=((view.button("button.back", ShowReady(address, each_time=False)),),))


def which_token(view: View, ticker: str, found: Sequence[Found], tag: str, now: datetime) -> Message:
    rows = tuple(
        (
            view.button(
                "button.watch_token",
                PickToken(one.address, tag),
                name=shown_name(one.symbol or one.name, one.address),
                address=short(one.address),
                ago=show_short(max(0, round((now - one.called_at).total_seconds())), "duration"),
            ),
        )
        for one in found
    )
    return message(view.html("watch.which_token", ticker=ticker), keyboard=rows)


def which_condition(view: View, address: str, typed: str, meant: Sequence[Condition]) -> Message:
    return message(view.html("watch.which", typed=typed), keyboard=_each_condition(view, address, meant))


def offer_watch(view: View, address: str, name: str | None, typed: str, meant: Sequence[Condition]) -> Message:
    """Offer what stood beside a token that somebody pasted."""
    text = view.html("watch.offer", name=shown_name(name, address), typed=typed)
    return message(text, keyboard=_each_condition(view, address, meant))


def _each_condition(view: View, address: str, meant: Sequence[Condition]) -> Keyboard:
    return tuple(
        (
            view.button(
                "button.watch_condition",
                BeginWatch(address, one.code),
                condition=condition_text(view.texts, view.language, one),
                times=times_text(view, one),
            ),
        )
        for one in meant
    )


def waits(view: View, why: Html, untold: int = 0) -> Html:
    """Say that personal alerts are held, and how many were met; `why`: what holds them, empty where nothing does."""
    if not why:
        return Html()
    return lines(why, view.html("watching.held"), view.html("watching.untold", count=untold) if untold else Html())


def begun(
    view: View, address: str, name: str | None, condition: Condition, result: Begun, now: Figures, held: Html
) -> Message:
    """Say what is watched now, or why it is not. `held`: why nothing would be told now, as `waits` says it."""
    if result.outcome == "full":
        return message(view.html("watch.full", limit=result.limit), keyboard=((_watching(view),),))
    text = view.html(
        f"watch.{result.outcome}",
        name=shown_name(name, address),
        condition=condition_text(view.texts, view.language, condition),
        times=times_text(view, condition),
    )
    more = view.button("button.watch_more", ShowReady(address, condition.each_time))
    return message(text, _now(view, now), held, keyboard=((more, _watching(view)),))


def watching_menu(
    view: View,
    watches: Sequence[Watch],
    asked: int,
    *,
    limit: int,
    now: datetime,
    held: Html,
    note: Html | None = None,
) -> Message:
    """List what is watched. `held`: that nothing is told now, as `waits` says it."""
    if not watches:
        return message(note or Html(), held, view.html("watching.none"))
    page = Page.at(asked, total=len(watches), per_page=PER_PAGE)
    shown = [*enumerate(page.of(watches), start=page.start + 1)]
    rows: Keyboard = tuple((_end(view, place, one, page.number),) for place, one in shown)
    rows += page.turning(view, ShowWatching)
    if len(watches) > 1:
        rows += ((view.button("button.watch_end_all", AskEndAll()),),)
    listed = view.listed((_line(view, place, one, now) for place, one in shown), "\n\n")
    title = view.html("watching.title", count=len(watches), limit=limit)
    return message(note or Html(), held, title, listed, keyboard=rows)


def times_text(view: View, condition: Condition) -> str:
    return view.plain("value.each_time" if condition.each_time else "value.once")


def _line(view: View, place: int, one: Watch, now: datetime) -> Html:
    return view.html(
        "watching.line",
        place=place,
        name=shown_name(one.name, one.token_address),
        condition=condition_text(view.texts, view.language, one.condition),
        times=times_text(view, one.condition),
        distance=_distance(view, one, now),
        age=show_short(max(0, round((now - one.created_at).total_seconds())), "duration"),
    )


def _distance(view: View, one: Watch, now: datetime) -> str:
    """How far the price has to go."""
    target, price = one.target_usd, one.price_usd
    if price is None or target is None or one.seen_at is None:
        return view.plain("watching.no_price")
    seen_ago_s = round((now - one.seen_at).total_seconds())
    ago = show_short(max(0, seen_ago_s), "duration")
    if now - one.seen_at > FRESH_FOR:
        return view.plain("watching.old_price", ago=ago)
    at = view.plain("watching.at_now") if seen_ago_s < _NOW_S else view.plain("watching.at_ago", ago=ago)
    market_cap = one.supply and one.condition.subject == "market_cap" and price * one.supply
    shown = shown_figure(market_cap, "usd") if market_cap else show_price(price)
    if not one.armed:
        return view.plain("watching.met" if one.untold else "watching.back", at=at, now=shown)
    percent = (target / price - 1) * 100
    side: Side = one.condition.side
    if percent <= 0 if side == "above" else percent >= 0:
        return view.plain("watching.there", at=at, now=shown)
    percent_shown = f"{percent:+,.0f}%" if abs(percent) >= 1 else f"{percent:+.1f}%"
    return view.plain("watching.distance", at=at, now=shown, percent=percent_shown)


def _now(view: View, now: Figures) -> Html:
    price, market_cap = show_price(now.price_usd), shown_figure(now.market_cap_usd, "usd")
    if price is None and market_cap is None:
        return view.html("watch.now_unknown")
    return view.html("watch.now", price=price or "?", market_cap=market_cap or "?")


def _end(view: View, place: int, one: Watch, page: int) -> Button:
    return view.button(
        "button.watch_end",
        EndWatch(one.id, page),
        place=place,
        name=shown_name(one.name, one.token_address),
        condition=condition_text(view.texts, view.language, one.condition),
    )


def _watching(view: View) -> Button:
    return view.button("button.watching", ShowWatching(0))


def _round(value: float) -> str:
    return show_short(float(f"{value:.2g}"), "usd").removeprefix("$")
