"""The pictures of reports: what each shows, in words and numbers; drawn by `managers.pictures`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import fmean, median

from domain.filters.shown import shown_figure
from domain.reports.figures import (
    BestFigures,
    ChannelFigures,
    EquityCurve,
    Figures,
    PersonFigures,
    PresetFigures,
    Standing,
    TrackedCall,
    Window,
    held_for_a_day,
    multiples_of,
    sold_at_best,
)
from domain.reports.pictures import (
    Bar,
    Distribution,
    Equity,
    Fact,
    Heading,
    Line,
    Picture,
    PriceSince,
    Ranking,
    ShareCard,
)
from domain.tracking.records import Rate, Record
from services.reports.showing import Reader, duration, percent


class PictureWords:
    """Says what each picture shows. Pure, but for the bot's name."""

    def __init__(self, bot_username: Callable[[], str]) -> None:
        self._bot_username = bot_username

    def spread(self, reader: Reader, calls: Sequence[TrackedCall], figures: PersonFigures, window: Window) -> Picture:
        kept, multiples = figures.record, multiples_of(calls)
        return Distribution(
            heading=Heading(
                title=reader.plain("chart.spread"),
                subtitle=reader.plain("chart.spread_sub", window=reader.window(window), tokens=f"{kept.tokens:,}"),
                note=_spread_note(reader, kept),
                sign=self._sign(),
            ),
            multiples=multiples,
            x_label=reader.plain("chart.spread_x"),
            y_label=reader.plain("chart.spread_y"),
            median_label=reader.plain("chart.median", value=reader.multiple(kept.median_multiple or median(multiples))),
            mean_label=reader.plain("chart.mean", value=reader.multiple(kept.average_multiple or fmean(multiples))),
        )

    def equity(self, reader: Reader, calls: Sequence[TrackedCall], window: Window) -> Picture | None:
        """`None`: nothing is known of any of them."""
        best, held = sold_at_best(calls), held_for_a_day(calls)
        if not best.points and not held.points:
            return None
        named = ((reader.plain("chart.equity_best"), best), (reader.plain("chart.equity_held"), held))
        at = sorted({point.at for _, curve in named for point in curve.points})
        offset = window.end.astimezone(reader.zone).utcoffset()
        return Equity(
            heading=Heading(
                title=reader.plain("chart.equity"),
                subtitle=reader.plain(
                    "chart.equity_sub", window=reader.window(window), tokens=f"{len(multiples_of(calls)):,}"
                ),
                note=_equity_note(reader, best, held),
                sign=self._sign(),
            ),
            at=tuple(at),
            lines=tuple(Line(label=label, values=_stepped(curve, at)) for label, curve in named if curve.points),
            y_label=reader.plain("chart.equity_y"),
            offset_s=int(offset.total_seconds()) if offset else 0,
        )

    def card(self, reader: Reader, call: TrackedCall) -> Picture:
        outcome = call.outcome
        is_least = outcome.at_least or outcome.ended_at is None
        after = duration(outcome.peak_after_s) or reader.plain("chart.card_at_once")
        facts = [
            Fact(reader.plain("chart.card_after"), after),
            Fact(reader.plain("chart.card_channel"), call.channel),
            Fact(reader.plain("chart.card_at"), _moment(reader, call)),
        ]
        then = shown_figure(call.market_cap_usd, "usd")
        if call.market_cap_usd is not None and then:
            now = shown_figure(call.market_cap_usd * outcome.peak_multiple, "usd") or reader.plain("chart.unknown")
            caps = reader.plain("chart.card_caps", then=then, now=now)
            facts.insert(1, Fact(reader.plain("chart.card_cap"), caps))
        return ShareCard(
            name=call.name,
            multiple=reader.multiple(outcome.peak_multiple),
            is_gain=outcome.peak_multiple > 1,
            facts=tuple(facts),
            sign=self._sign(),
            caption=reader.plain("chart.card_least" if is_least else "chart.card_caption"),
        )

    def price(self, reader: Reader, call: TrackedCall, points: Sequence[tuple[float, float]]) -> Picture:
        at = _moment(reader, call)
        return PriceSince(
            heading=Heading(
                title=call.name,
                subtitle=reader.plain("chart.price_sub", channel=call.channel, at=at),
                note=reader.plain("chart.price_note"),
                sign=self._sign(),
            ),
            after_s=tuple(after for after, _ in points),
            multiples=tuple(multiple for _, multiple in points),
            call_label=reader.plain("chart.price_call"),
            x_label=reader.plain("chart.price_x"),
            y_label=reader.plain("chart.price_y"),
        )

    def shared(self, reader: Reader, figures: Figures, window: Window) -> Picture | None:
        """What is the same for everybody; `None` where there is nothing to rank."""
        match figures:
            case BestFigures():
                bars = tuple(
                    Bar(label=call.name, value=call.multiple, shown=reader.call_multiple(call))
                    for call in figures.calls
                )
                return self._ranking(reader, "best", window, bars, figures.base)
            case ChannelFigures():
                bars = _bars(reader, figures.standings)
                return self._ranking(reader, "channels", window, bars, figures.base)
            case PresetFigures():
                bars = _bars(reader, figures.standings, is_preset=True)
                return self._ranking(reader, "presets", window, bars, figures.base)
            case PersonFigures():
                return None

    def _ranking(
        self, reader: Reader, key: str, window: Window, bars: tuple[Bar, ...], base: Rate | None
    ) -> Picture | None:
        if not bars:
            return None
        heading = Heading(
            title=reader.plain(f"chart.title.{key}"),
            subtitle=reader.window(window),
            note=reader.plain(f"chart.note.{key}", base=reader.base(base)),
            sign=self._sign(),
        )
        return Ranking(heading=heading, bars=bars)

    def _sign(self) -> str:
        return f"@{name}" if (name := self._bot_username()) else ""


def _moment(reader: Reader, call: TrackedCall) -> str:
    return reader.moment(datetime.fromtimestamp(call.outcome.called_at, UTC))


def _equity_note(reader: Reader, best: EquityCurve, held: EquityCurve) -> str:
    """Say what is missing of the lines that are drawn."""
    shown = {"best": f"{best.missing:,}", "held": f"{held.missing:,}"}
    if not held.points:
        return reader.plain("chart.equity_note_best", best=shown["best"])
    if not best.points:
        return reader.plain("chart.equity_note_held", held=shown["held"])
    return reader.plain("chart.equity_note", **shown)


def _spread_note(reader: Reader, kept: Record) -> str:
    some = {"open": f"{kept.open:,}", "least": f"{kept.at_least:,}"}
    if kept.wins is None:
        return reader.plain("chart.spread_few", **some)
    base = reader.plain("chart.unknown") if kept.base_percent is None else percent(kept.base_percent)
    return reader.plain(
        "chart.spread_note",
        percent=percent(kept.wins.percent),
        low=percent(kept.wins.low_percent),
        high=percent(kept.wins.high_percent),
        base=base,
        **some,
    )


def _stepped(curve: EquityCurve, at: Sequence[float]) -> tuple[float, ...]:
    """What a curve stands at, at each of these times."""
    known = {point.at: point.won for point in curve.points}
    values: list[float] = []
    for moment in at:
        values.append(known.get(moment, values[-1] if values else 0.0))
    return tuple(values)


def _bars(reader: Reader, standings: Sequence[Standing], *, is_preset: bool = False) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            label=reader.preset(one.name) if is_preset else one.name,
            value=one.wins.percent,
            shown=reader.plain("chart.channel_value", percent=percent(one.wins.percent), tokens=f"{one.tokens:,}"),
            low=one.wins.low_percent,
            high=one.wins.high_percent,
        )
        for one in standings
        if one.wins
    )
