"""The charts: what calls became, what they would have made, what a price did, and who is best."""

# Matplotlib does not say what its keyword arguments are.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from domain.reports.pictures import (
    MAX_BARS,
    MAX_POINTS,
    MAX_SERIES,
    AlertsByDay,
    Bar,
    Distribution,
    Equity,
    Heading,
    PriceSince,
    Ranking,
    SeriesByDay,
)
from managers.pictures.canvas import AXIS_SIZE, HEIGHT, MARGIN, WIDTH, Canvas

_BUCKETS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, math.inf)
_WIN: Final = 2.0
_LEFT: Final = 150
_FOOT: Final = HEIGHT - 190
"""Where charts end."""
_STEPS_S: Final = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 2 * 86_400, 7 * 86_400)
_DAYS_NAMED: Final = 5
_NAMES: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def distribution(chart: Distribution, canvas: Canvas) -> None:
    values = _finite(chart.multiples)
    top = _head(chart.heading, canvas)
    axes = canvas.axes(left=_LEFT, top=top + 70, right=WIDTH - MARGIN, bottom=_FOOT - 92)
    counts = [sum(low <= value < high for value in values) for low, high in pairwise(_BUCKETS)]
    colours = [canvas.colours.up if low >= _WIN else canvas.colours.muted for low in _BUCKETS[:-1]]
    axes.bar(range(len(counts)), counts, color=colours, width=0.82)
    for place, count in enumerate(counts):
        if count:
            axes.annotate(
                f"{count:,}",
                (place, count),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                color=canvas.colours.text,
                fontsize=AXIS_SIZE,
            )
    axes.set_xticks([place - 0.5 for place in range(len(counts))], [f"{low:g}" for low in _BUCKETS[:-1]])
    axes.set_xlim(-0.6, len(counts) - 0.4)
    axes.set_ylim(0, max(counts, default=0) * 1.45 or 1)  # room for the legend
    _whole_numbers(axes, max(counts, default=0))
    _axis_names(canvas, top, chart.y_label, chart.x_label)
    for value, label, dash in ((median(values), chart.median_label, "-"), (fmean(values), chart.mean_label, ":")):
        axes.axvline(_place(value), color=canvas.colours.line, linewidth=3, linestyle=dash, label=label)
    canvas.legend(axes, "upper right")


def equity(chart: Equity, canvas: Canvas) -> None:
    top = _head(chart.heading, canvas)
    axes = canvas.axes(left=_LEFT, top=top + 70, right=WIDTH - MARGIN, bottom=_FOOT - 50)
    _check(len(chart.at), *(len(line.values) for line in chart.lines))
    for line, colour in zip(chart.lines, (canvas.colours.line, canvas.colours.second), strict=False):
        axes.step(chart.at, line.values, where="post", color=colour, linewidth=4, label=line.label)
        axes.plot(chart.at[-1:], line.values[-1:], "o", color=colour, markersize=12)
    axes.axhline(0, color=canvas.colours.muted, linewidth=2)
    axes.margins(x=0.03, y=0.12)
    axes.yaxis.set_major_formatter(FuncFormatter(_signed))
    span = chart.at[-1] - chart.at[0]
    clock = timedelta(seconds=chart.offset_s)
    shown = "%H:%M" if span < 2 * 86_400 else "%d %b"

    def moment(at: float, _place: object) -> str:
        return f"{datetime.fromtimestamp(at, UTC) + clock:{shown}}"

    _times(axes, chart.at[0], chart.at[-1], moment)
    _axis_names(canvas, top, chart.y_label)
    canvas.legend(axes, "best")


def price(chart: PriceSince, canvas: Canvas) -> None:
    top = _head(chart.heading, canvas)
    axes = canvas.axes(left=_LEFT, top=top + 70, right=WIDTH - MARGIN, bottom=_FOOT - 92)
    _check(len(chart.after_s), len(chart.multiples))
    up = chart.multiples[-1] >= 1
    colour = canvas.colours.up if up else canvas.colours.down
    axes.plot(
        chart.after_s,
        chart.multiples,
        linestyle="-" if chart.is_series else ":",
        marker=None if chart.is_series else "o",
        markersize=13,
        color=colour,
        linewidth=4,
    )
    axes.axhline(1, color=canvas.colours.muted, linewidth=2)
    axes.axvline(0, color=canvas.colours.line, linewidth=3, linestyle="--", label=chart.call_label)
    axes.plot([0], [1], "o", color=canvas.colours.line, markersize=18)
    least, most = min(*chart.multiples, 1.0), max(*chart.multiples, 1.0)
    if least > 0 and most / least > 5:  # noqa: PLR2004 - from here on the start would lie flat on the ground
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(FixedLocator(_log_ticks(least, most)))
    axes.margins(x=0.05, y=0.12)
    axes.yaxis.set_major_formatter(FuncFormatter(_times_as_much))
    _times(axes, chart.after_s[0], chart.after_s[-1], _shown_span)
    _axis_names(canvas, top, chart.y_label, chart.x_label)
    canvas.legend(axes, "best")


def alerts_by_day(chart: AlertsByDay, canvas: Canvas) -> None:
    top = _head(chart.heading, canvas)
    axes = canvas.axes(left=_LEFT, top=top + 70, right=WIDTH - MARGIN, bottom=_FOOT - 50)
    colours = canvas.colours
    parts = (chart.won, colours.up), (chart.lost, colours.down), (chart.unknown, colours.muted)
    _check(len(chart.days), *(len(part.counts) for part, _ in parts))
    at = [(day - chart.days[0]).days for day in chart.days]
    stand = [0] * len(at)
    for part, colour in parts:
        axes.bar(at, part.counts, bottom=stand, color=colour, width=0.8, label=part.label)
        stand = [low + count for low, count in zip(stand, part.counts, strict=True)]
    axes.set_ylim(0, max(stand) * 1.65 or 1)  # room for the legend
    _days(axes, chart.days[0], at[-1])
    _whole_numbers(axes, max(stand))
    _axis_names(canvas, top, chart.y_label)
    canvas.legend(axes, "upper right")


def series_by_day(chart: SeriesByDay, canvas: Canvas) -> None:
    top = _head(chart.heading, canvas)
    axes = canvas.axes(left=_LEFT, top=top + 70, right=WIDTH - MARGIN, bottom=_FOOT - 50)
    colours = canvas.colours
    _check(len(chart.days), *(len(part.values) for part in chart.parts))
    if not 0 < len(chart.parts) <= MAX_SERIES:
        raise ValueError(f"{len(chart.parts)} series")
    at, stand = list(range(len(chart.days))), [0.0] * len(chart.days)
    for part, colour in zip(chart.parts, (colours.line, colours.second, colours.up, colours.down, colours.muted)):  # noqa: B905 - fewer parts than colours
        if not all(value is None or (math.isfinite(value) and value >= 0) for value in part.values):
            raise ValueError("a value is not finite")
        if chart.stacked:
            values = [value or 0.0 for value in part.values]
            axes.bar(at, values, bottom=stand, color=colour, width=0.8, label=part.label)
            stand = [low + value for low, value in zip(stand, values, strict=True)]
        else:
            lines = [math.nan if value is None else value for value in part.values]
            axes.plot(at, lines, "o-", color=colour, linewidth=4, markersize=9, label=part.label)
            stand = [max(low, value or 0.0) for low, value in zip(stand, part.values, strict=True)]
    axes.set_ylim(0, max(stand) * (1.15 + 0.19 * len(chart.parts)) or 1)  # room for the legend
    _days(axes, chart.days[0], at[-1])
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    _axis_names(canvas, top, chart.y_label)
    canvas.legend(axes, "upper right")


def ranking(chart: Ranking, canvas: Canvas) -> None:
    top = _head(chart.heading, canvas) + 20
    bars = chart.bars[:MAX_BARS]
    most = max((max(bar.value, bar.high or 0.0) for bar in bars), default=1.0) or 1.0
    room = min(170.0, (_FOOT + 20 - top) / max(len(bars), 1))
    for place, bar in enumerate(bars):
        _bar(bar, canvas, top + place * room, room, most)


def _bar(bar: Bar, canvas: Canvas, top: float, room: float, most: float) -> None:
    size = 23.0 if room > 110 else 19.0  # noqa: PLR2004 - below it the lines would touch
    shown_px = canvas.width_of(bar.shown, size, "bold") + 30
    right = WIDTH - MARGIN
    canvas.text(bar.label, x=MARGIN, y=top, size=size, width=right - MARGIN - shown_px)
    canvas.text(bar.shown, x=right, y=top, size=size, weight="bold", align="right", width=600)
    axes = canvas.axes(left=MARGIN, top=top + room * 0.46, right=right, bottom=top + room * 0.46 + room * 0.26)
    axes.set_axis_off()
    axes.set_xlim(0, most)
    axes.set_ylim(-0.5, 0.5)
    axes.barh([0], [most], height=1, color=canvas.colours.panel)
    axes.barh([0], [bar.value], height=1, color=canvas.colours.up)
    if bar.low is not None and bar.high is not None:
        axes.plot([bar.low, bar.high], [0, 0], color=canvas.colours.text, linewidth=4, solid_capstyle="butt")
        axes.plot([bar.low, bar.high], [0, 0], "|", color=canvas.colours.text, markersize=20, markeredgewidth=4)


def _head(heading: Heading, canvas: Canvas) -> float:
    """Write what stands above and below a chart, whose sign no note runs into; returns where the chart may begin."""
    size = canvas.largest(heading.title, sizes=(36, 31, 27), weight="bold", width=WIDTH - 2 * MARGIN, lines=2)
    y = canvas.text(heading.title, x=MARGIN, y=50, size=size, weight="bold", lines=2)
    if heading.subtitle:
        y = canvas.text(heading.subtitle, x=MARGIN, y=y + 8, size=23, colour=canvas.colours.muted, lines=2)
    canvas.text(
        heading.note,
        x=MARGIN,
        y=_FOOT + 30,
        size=24,
        colour=canvas.colours.muted,
        lines=3,
    )
    canvas.text(
        heading.sign,
        x=WIDTH - MARGIN,
        y=16,
        size=20,
        colour=canvas.colours.line,
        weight="bold",
        align="right",
        width=WIDTH / 2,
    )
    return y + 10


def _axis_names(canvas: Canvas, top: float, y_label: str, x_label: str = "") -> None:
    canvas.text(y_label, x=MARGIN, y=top + 8, size=AXIS_SIZE, colour=canvas.colours.muted)
    if x_label:
        canvas.text(x_label, x=WIDTH - MARGIN, y=_FOOT - 30, size=AXIS_SIZE, colour=canvas.colours.muted, align="right")


def _place(value: float) -> float:
    """Where a multiple stands among the buckets, whose bars are equally wide."""
    index = next(place for place, high in enumerate(_BUCKETS[1:]) if value < high)
    low, high = _BUCKETS[index], _BUCKETS[index + 1]
    share = 0.5 if math.isinf(high) else (value - low) / (high - low)
    return index - 0.41 + 0.82 * share


def _days(axes: Axes, first: date, last: int) -> None:
    """Name some of the days on the axis; `last`: how many come after the first."""
    axes.set_xlim(-0.6, last + 0.6)
    shown = range(0, last + 1, math.ceil((last + 1) / _DAYS_NAMED))
    axes.set_xticks(list(shown), [f"{first + timedelta(days=day):%d %b}" for day in shown])


def _whole_numbers(axes: Axes, most: int) -> None:
    step = max(1, math.ceil(most / 5))
    axes.yaxis.set_major_locator(FixedLocator(list(range(0, most + step, step))))
    axes.yaxis.set_major_formatter(FuncFormatter(_whole))


def _times(axes: Axes, first: float, last: float, shown: Callable[[float, object], str]) -> None:
    step = next((step for step in _STEPS_S if (last - first) / step <= 5), _STEPS_S[-1])  # noqa: PLR2004 - labels
    while (last - first) / step > 5:  # noqa: PLR2004 - so many labels have room
        step *= 2
    start = math.ceil(first / step) * step
    ticks = [start + step * place for place in range(int((last - start) / step) + 1)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(shown))


def _signed(value: float, _place: object) -> str:
    return f"{value:+,.4g}" if value else "0"


def _times_as_much(value: float, _place: object) -> str:
    return f"{value:,.4g}x"


def _whole(value: float, _place: object) -> str:
    return f"{value:,.0f}"


def _short(value: float, _place: object) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.3g}"  # noqa: PLR2004 - below it parts of one matter


def _shown_span(at: float, _place: object) -> str:
    for unit, name in _NAMES:
        if abs(at) >= unit:
            return f"{at / unit:g} {name}"
    return "0"


def _log_ticks(least: float, most: float) -> list[float]:
    tens = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)
    ticks = [step * 10.0**ten for ten in tens for step in (1, 2, 5)]
    fitting = [tick for tick in ticks if least * 0.8 <= tick <= most * 1.3]
    return fitting[:: max(1, len(fitting) // 7)]


def _finite(values: Sequence[float]) -> list[float]:
    """Multiples as they may be drawn. `ValueError` of none, or of too many."""
    if not 0 < len(values) <= MAX_POINTS:
        raise ValueError(f"{len(values)} values")
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError("a multiple is not finite")
    return list(values)


def _check(points: int, *others: int) -> None:
    if not 0 < points <= MAX_POINTS or any(other != points for other in others):
        raise ValueError(f"{points} points, but {others}")
