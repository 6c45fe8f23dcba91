"""The menus of a backtest, and the card that says what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from domain.backtest.results import BacktestResult, Performance, ShownCall
from domain.delivery.messages import Message
from domain.delivery.quiet import zone_of
from domain.filters.numbers import show_short
from domain.filters.presets import Preset
from domain.filters.registry import FilterSet
from domain.subscribers.zones import show_zone
from domain.tracking.records import MIN_TOKENS, Rate
from handlers.backtest.buttons import CancelBacktest, ShowBacktests, StartBacktest, SwitchOn
from handlers.conversation.menus import View, in_rows, message
from handlers.filters.buttons import ShowSet, TryFilter
from services.backtest.backtests import Asked
from texts.markup import Html, join

CHOICES: Final = (1, 7, 30)
"""Days."""
BAR: Final = 20
_WHOLE_DAY: Final = 1.0
_HOURS: Final = 24


def choices_menu(view: View, sets: Sequence[FilterSet], presets: Sequence[Preset]) -> Message:
    own = (
        view.button(
            "button.set_on" if one.enabled else "button.set_off",
            TryFilter("set", str(one.number)),
            name=view.set_name(one),
        )
        for one in sets
    )
    ready = (
        view.button("button.backtest_preset", TryFilter("preset", one.key), name=view.preset_name(one))
        for one in presets
    )
    return message(view.html("backtest.choose"), keyboard=(*in_rows(own, 1), *in_rows(ready, 2)))


def days_menu(view: View, tried: FilterSet, data: TryFilter) -> Message:
    choices = tuple(
        view.button("button.backtest_days", StartBacktest(data.source, data.key, days), days=_days(view, days))
        for days in CHOICES
    )
    back = ShowSet(tried.number) if data.source == "set" else ShowBacktests()
    return message(
        view.html("backtest.days", name=view.set_name(tried)),
        view.rules(tried.rules),
        keyboard=(choices, (view.button("button.back", back),)),
    )


def begun(view: View, tried: FilterSet, days: int) -> Message:
    return message(_title(view, tried, days), view.html("backtest.begun"))


def waiting(view: View, asked: Asked, run_id: str, ahead: int) -> Message:
    line = view.html("backtest.waiting", ahead=ahead) if ahead else view.html("backtest.begun")
    return _running(view, asked, run_id, line)


def computing(view: View, asked: Asked, run_id: str, share: float) -> Message:
    done = round(share * BAR)
    bar = "█" * done + "░" * (BAR - done)
    return _running(view, asked, run_id, view.html("backtest.computing", bar=bar, percent=f"{100 * share:.0f}"))


def over(view: View, asked: Asked, key: str) -> Message:
    """It ended without a result: `key` names the text that says why."""
    again = view.button("button.backtest_again", StartBacktest(asked.source, asked.key, asked.days))
    return message(_title(view, asked.tried, asked.days), view.html(key), keyboard=((again,),))


def _running(view: View, asked: Asked, run_id: str, line: Html) -> Message:
    cancel = view.button("button.cancel", CancelBacktest(run_id))
    return message(_title(view, asked.tried, asked.days), line, keyboard=((cancel,),))


def _title(view: View, tried: FilterSet, days: int) -> Html:
    return view.html("backtest.title", name=view.set_name(tried), days=_days(view, days))


def _days(view: View, days: int) -> str:
    return view.plain("value.backtest_day" if days == 1 else "value.backtest_days", days=days)


def result_card(view: View, asked: Asked, result: BacktestResult) -> Message:
    again = view.button("button.backtest_other", TryFilter(asked.source, asked.key))
    switch = view.button("button.backtest_on", SwitchOn(asked.source, asked.key))
    offers = asked.source == "preset" or not asked.tried.enabled
    keyboard = ((switch,), (again,)) if offers else ((again,),)
    if result.covered_from is None:
        return message(_title(view, asked.tried, asked.days), view.html("backtest.nothing"), keyboard=keyboard)
    return message(
        _title(view, asked.tried, asked.days),
        _covered(view, result, asked),
        join("\n", _figures(view, result.tried, result, asked.time_zone)),
        join("\n", _compared(view, result)),
        _list(view, "backtest.best", result.best, asked.time_zone),
        _list(view, "backtest.worst", result.worst, asked.time_zone),
        view.html("backtest.meaning", zone=show_zone(asked.time_zone)),
        keyboard=keyboard,
    )


def _covered(view: View, result: BacktestResult, asked: Asked) -> Html:
    """Say for how much of the time there is data, where it is not all of it."""
    lines = [view.html("backtest.calls", calls=f"{result.calls:,}", covered=_span(view, result.days))]
    if result.covered_from is not None and result.days < asked.days - _WHOLE_DAY / 2:
        since = f"{result.covered_from.astimezone(zone_of(asked.time_zone)):%d %b %Y %H:%M}"
        lines.append(view.html("backtest.less", since=since))
    if result.days_missing:
        lines.append(view.html("backtest.missing", days=result.days_missing))
    return join("\n", lines)


def _span(view: View, days: float) -> str:
    if days < _WHOLE_DAY:
        return view.plain("value.hours", hours=f"{days * _HOURS:.1f}")
    return view.plain("value.days", days=f"{days:.1f}")


def _figures(view: View, one: Performance, result: BacktestResult, zone: str) -> Iterator[Html]:
    yield view.html("backtest.alerts", alerts=f"{one.alerts:,}", rate=_per_day(view, one.alerts, result.days))
    if one.waited:
        yield view.html("backtest.waited", tokens=f"{one.waited:,}")
    if one.tokens > one.known:
        yield view.html("backtest.unknown", tokens=f"{one.tokens - one.known:,}")
    if one.wins is None or one.median_multiple is None:
        yield view.html("backtest.few", known=one.known, least=MIN_TOKENS)
        return
    yield view.html("backtest.wins", rate=_rate(view, one.wins), tokens=f"{one.known:,}")
    if result.base is not None:
        yield view.html("backtest.base", percent=_percent(result.base.percent), tokens=f"{result.base.n:,}")
    yield view.html("backtest.median", multiple=_multiple(one.median_multiple))
    if one.median_reachable is not None and one.median_reachable_peak is not None:
        multiple, peak = _multiple(one.median_reachable), _multiple(one.median_reachable_peak)
        yield view.html("backtest.reachable", multiple=multiple, peak=peak, tokens=f"{one.reachable_known:,}")
    if one.worst_run_from is not None:
        yield view.html(
            "backtest.run", alerts=one.worst_run, day=f"{one.worst_run_from.astimezone(zone_of(zone)):%d %b %Y}"
        )
    if one.open:
        yield view.html("backtest.open", tokens=f"{one.open:,}")


def _compared(view: View, result: BacktestResult) -> Iterator[Html]:
    active = result.active
    if active is None:
        return
    yield view.html("backtest.active", alerts=f"{active.alerts:,}", rate=_per_day(view, active.alerts, result.days))
    if active.wins is not None and active.median_multiple is not None:
        multiple = _multiple(active.median_multiple)
        yield view.html("backtest.active_wins", rate=_rate(view, active.wins), multiple=multiple)
    yield view.html(
        "backtest.differs",
        both=f"{result.both:,}",
        only_tried=f"{result.only_tried:,}",
        only_active=f"{result.only_active:,}",
    )


def _per_day(view: View, alerts: int, days: float) -> str:
    """Alerts a day; of less than a day nobody knows."""
    return view.plain("value.per_day", count=f"{alerts / days:,.1f}") if days >= _WHOLE_DAY else _span(view, days)


def _rate(view: View, rate: Rate) -> str:
    return view.plain(
        "value.rate", percent=_percent(rate.percent), low=_percent(rate.low_percent), high=_percent(rate.high_percent)
    )


def _list(view: View, key: str, calls: Sequence[ShownCall], zone: str) -> Html:
    if not calls:
        return Html()
    return view.html(key, count=len(calls), lines=join("\n", (_line(view, call, zone) for call in calls)))


def _line(view: View, call: ShownCall, zone: str) -> Html:
    return view.html(
        "backtest.open_line" if call.is_open else "backtest.line",
        multiple=_multiple(call.multiple),
        name=call.name or view.plain("value.unnamed_token"),
        channel=call.channel,
        at=f"{call.at.astimezone(zone_of(zone)):%d %b %H:%M}",
        market_cap="?" if call.market_cap_usd is None else show_short(call.market_cap_usd, "usd"),
    )


def _multiple(multiple: float) -> str:
    return show_short(multiple, "multiple")


def _percent(percent: float) -> str:
    return f"{percent:.0f}"
