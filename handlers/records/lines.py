"""A record in words. Below `MIN_TOKENS` there are counts alone; a rate never stands without its interval."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Literal

from domain.delivery.quiet import zone_of
from domain.filters.numbers import show_short
from domain.subscribers.zones import show_zone
from domain.tracking.outcome import HORIZONS_S
from domain.tracking.records import MIN_TOKENS, WINDOWS, Record, Records, Window
from handlers.conversation.menus import View
from texts.markup import Html, join

About = Literal["set", "preset", "channel"]
_ABOUT: Final[dict[About, str]] = {
    "set": "value.about.set",
    "preset": "value.about.preset",
    "channel": "value.about.channel",
}
_FILLED: Final = 0.95
"""Share of a window from which on it counts as full."""


def record_lines(view: View, record: Record) -> Html:
    """All that is known, one figure or two a line."""
    return join("\n", (line for line in _lines(view, record) if line))


def record_at_a_glance(
    view: View, records: Records | None, about: About, window: Window = "30d", zone: str = "UTC"
) -> Html:
    """A line or two for a page that is about something else; nothing where nothing is known.

    Records are computed in rounds, so it says as of when.
    """
    record = records.by_window.get(window) if records else None
    if records is None or record is None or not record.tokens:
        return Html()
    shown = {
        "about": view.plain(_ABOUT[about]),
        "window": _since(view, record, records.as_of, window, zone),
        "at": as_of(records.as_of, zone),
        "tokens": f"{record.tokens:,}",
    }
    if record.wins is None:
        return view.html("records.glance_few", **shown)
    return view.html("records.glance", **shown, rate=rate(view, record))


def _since(view: View, record: Record, counted_at: datetime, window: Window, zone: str) -> str:
    """Name the window where the record fills it, else since when there is anything."""
    length, oldest = WINDOWS[window], record.oldest_at
    if oldest is None or (length is not None and counted_at.timestamp() - oldest >= _FILLED * length.total_seconds()):
        return view.plain(f"value.window.{window}")
    return view.plain("value.since", at=_moment(datetime.fromtimestamp(oldest, UTC), zone))


def as_of(at: datetime, zone: str) -> str:
    """When something was counted, by somebody's clock: to the second, for what was told since is not in it."""
    return f"{_moment(at, zone)}:{at:%S} ({show_zone(zone)})"


def _moment(at: datetime, zone: str) -> str:
    return f"{at.astimezone(zone_of(zone)):%d %b %Y, %H:%M}"


def rate(view: View, record: Record) -> Html:
    """The win rate with its interval and the base rate."""
    if record.wins is None:
        return view.html("records.few", tokens=record.tokens, least=MIN_TOKENS)
    shown = {
        "percent": _percent(record.wins.percent),
        "low": f"{record.wins.low_percent:.0f}",
        "high": _percent(record.wins.high_percent),
    }
    if record.base_percent is None:
        return view.html("records.rate_alone", **shown)
    return view.html("records.rate", **shown, base=_percent(record.base_percent))


def multiple(value: float | None) -> str:
    return show_short(value, "multiple")


def _lines(view: View, record: Record) -> Iterator[Html]:
    if not record.tokens:
        yield view.html("records.none")
        return
    yield view.html("records.counts", tokens=record.tokens, calls=record.calls, open=record.open)
    if record.wins is None:
        yield view.html("records.few", tokens=record.tokens, least=MIN_TOKENS)
        return
    yield rate(view, record)
    yield view.html(
        "records.peaks",
        median=multiple(record.median_multiple),
        average=multiple(record.average_multiple),
        best=multiple(record.best_multiple),
        worst=multiple(record.worst_multiple),
    )
    if record.median_reachable_multiple is not None and record.median_reachable_peak is not None:
        reachable, peak = multiple(record.median_reachable_multiple), multiple(record.median_reachable_peak)
        yield view.html("records.reachable", median=reachable, peak=peak, tokens=record.reachable_n)
    if record.died is not None:
        after_s = record.median_peak_after_s or 0.0
        after = show_short(after_s, "duration") if after_s >= 1 else view.plain("value.at_once")
        yield view.html("records.died", percent=_percent(record.died.percent), after=after)
    held = [
        view.html(
            "records.held_one", after=show_short(s, "duration"), median=multiple(record.returns[s].median_multiple)
        )
        for s in HORIZONS_S
        if s in record.returns
    ]
    if held:
        yield view.html("records.held", returns=join(" · ", held))
    if record.at_least:
        yield view.html("records.at_least", count=record.at_least)


def _percent(value: float) -> str:
    return f"{value:.0f}%"
