"""The words of a report. A rate stands with its interval and beside the base rate, a mean beside the median."""

from __future__ import annotations

from collections.abc import Sequence

from domain.reports.figures import (
    BestFigures,
    ChannelFigures,
    Figures,
    PersonFigures,
    PresetFigures,
    ReportedCall,
    Standing,
    Window,
)
from domain.tracking.records import MIN_TOKENS, Record
from services.reports.showing import Reader, duration, percent
from texts.markup import Html, join


def report_text(reader: Reader, figures: Figures, window: Window, *, results: bool = False) -> Html:
    """`results`: of presets, how they did and not what they found."""
    match figures:
        case PersonFigures():
            key, blocks = "report.about.mine", _person(reader, figures)
        case BestFigures():
            key, blocks = "report.about.best", _best(reader, figures)
        case ChannelFigures():
            key, blocks = "report.about.channels", _channels(reader, figures)
        case PresetFigures():
            key = "report.preset_results" if results else "report.about.presets"
            blocks = _presets(reader, figures, results=results)
    return join("\n\n", (reader.html(key, window=reader.window(window)), *(block for block in blocks if block)))


def nothing_text(reader: Reader, what: str, window: Window) -> Html:
    return reader.html(f"report.none.{what}", days=reader.days(window), least=MIN_TOKENS)


def _person(reader: Reader, figures: PersonFigures) -> list[Html]:
    kept = figures.record
    return [join("\n", _record(reader, kept)), _calls(reader, figures.best)]


def _record(reader: Reader, kept: Record) -> list[Html]:
    lines = [reader.html("report.counts", tokens=f"{kept.tokens:,}", calls=f"{kept.calls:,}", open=f"{kept.open:,}")]
    if kept.wins is None:
        return [*lines, reader.html("report.too_few", least=MIN_TOKENS)]
    base = reader.plain("chart.unknown") if kept.base_percent is None else percent(kept.base_percent)
    low, high = percent(kept.wins.low_percent), percent(kept.wins.high_percent)
    lines.append(reader.html("report.wins", percent=percent(kept.wins.percent), low=low, high=high, base=base))
    lines.append(
        reader.html(
            "report.multiples",
            median=reader.multiple(kept.median_multiple),
            mean=reader.multiple(kept.average_multiple),
        )
    )
    if kept.median_reachable_multiple is None or kept.median_reachable_peak is None:
        lines.append(reader.html("report.reachable_unknown"))
    else:
        median = reader.multiple(kept.median_reachable_multiple)
        peak = reader.multiple(kept.median_reachable_peak)
        lines.append(reader.html("report.reachable", median=median, peak=peak, count=f"{kept.reachable_n:,}"))
    if kept.died and kept.died.hits:
        lines.append(reader.html("report.died", percent=percent(kept.died.percent)))
    return lines


def _best(reader: Reader, figures: BestFigures) -> list[Html]:
    base = figures.base
    count = f"{base.n:,}" if base else "0"
    return [_calls(reader, figures.calls), reader.html("report.base", base=reader.base(base), count=count)]


def _calls(reader: Reader, calls: Sequence[ReportedCall]) -> Html:
    lines = [
        reader.html(
            "report.call" if duration(call.after_s) else "report.call_at_once",
            place=place,
            name=call.name,
            multiple=reader.call_multiple(call),
            after=duration(call.after_s),
            channel=call.channel,
        )
        for place, call in enumerate(calls, 1)
    ]
    if any(call.is_least for call in calls):
        lines.append(reader.html("report.at_least"))
    return join("\n", lines)


def _channels(reader: Reader, figures: ChannelFigures) -> list[Html]:
    lines = [
        reader.html(
            "report.channel",
            place=place,
            name=one.name,
            tokens=f"{one.tokens:,}",
            percent=percent(one.wins.percent),
            low=percent(one.wins.low_percent),
            high=percent(one.wins.high_percent),
            median=reader.multiple(one.median_multiple),
        )
        for place, one in enumerate(figures.standings, 1)
        if one.wins
    ]
    count = f"{figures.base.n:,}" if figures.base else "0"
    return [
        join("\n", lines),
        reader.html("report.channels_order", count=f"{figures.of:,}", least=MIN_TOKENS),
        reader.html("report.base", base=reader.base(figures.base), count=count),
    ]


def _presets(reader: Reader, figures: PresetFigures, *, results: bool) -> list[Html]:
    lines = [(_result if results else _found)(reader, one) for one in figures.standings]
    count = f"{figures.base.n:,}" if figures.base else "0"
    blocks = [join("\n", lines), reader.html("report.presets_of")]
    if results:
        blocks.append(reader.html("report.base", base=reader.base(figures.base), count=count))
    return blocks


def _found(reader: Reader, one: Standing) -> Html:
    name = reader.preset(one.name)
    if one.best is None:
        return reader.html("report.preset_nothing", name=name)
    multiple = reader.call_multiple(one.best)
    return reader.html(
        "report.preset_found", name=name, tokens=f"{one.tokens:,}", multiple=multiple, best=one.best.name
    )


def _result(reader: Reader, one: Standing) -> Html:
    name, tokens = reader.preset(one.name), f"{one.tokens:,}"
    if one.wins is None:
        return reader.html("report.preset_few", name=name, tokens=tokens)
    return reader.html(
        "report.preset_result",
        name=name,
        tokens=tokens,
        percent=percent(one.wins.percent),
        low=percent(one.wins.low_percent),
        high=percent(one.wins.high_percent),
        median=reader.multiple(one.median_multiple),
        mean=reader.multiple(one.average_multiple),
    )
