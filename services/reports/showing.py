"""How figures of reports are written: multiples, shares, times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from domain.filters.shown import shown_figure
from domain.reports.figures import ReportedCall, Window
from domain.tracking.records import Rate
from services.cards.names import Names
from texts.markup import Html


class Reader(Struct, frozen=True, kw_only=True):
    """For whom it is written."""

    names: Names
    language: str
    zone: ZoneInfo

    def html(self, key: str, /, **arguments: object) -> Html:
        return self.names.texts.render(key, self.language, **arguments)

    def plain(self, key: str, /, **arguments: object) -> str:
        return self.names.texts.plain(key, self.language, **arguments)

    def preset(self, key: str) -> str:
        return self.names.of_preset(key, self.language)

    def moment(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%d %b, %H:%M}"

    def window(self, window: Window) -> str:
        key = "report.window_day" if window.days == 1 else "report.window_days"
        return self.plain(key, days=window.days, end=self.moment(window.end))

    def days(self, window: Window) -> str:
        return self.plain("report.of_day" if window.days == 1 else "report.of_days", days=window.days)

    def multiple(self, value: float | None, *, is_least: bool = False) -> str:
        shown = shown_figure(value, "multiple")
        if shown is None:
            return self.plain("chart.unknown")
        return self.plain("chart.least", multiple=shown) if is_least else shown

    def call_multiple(self, call: ReportedCall) -> str:
        return self.multiple(call.multiple, is_least=call.is_least)

    def base(self, base: Rate | None) -> str:
        return self.plain("chart.unknown") if base is None else percent(base.percent)


def percent(value: float) -> str:
    return f"{value:.0f}%"


def duration(seconds: float) -> str:
    """Empty below a second: it was so at once."""
    return (shown_figure(seconds, "duration") or "") if seconds >= 1 else ""
