"""What `/report` and the choice of reports look like."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.buttons.reports import SetLight, SetReport, ShowCallChart, ShowReport
from domain.delivery.messages import Message
from domain.delivery.quiet import zone_of
from domain.reports.figures import Figures, ReportedCall, TrackedCall, Window
from domain.reports.times import WINDOWS
from domain.subscribers.subscriber import REPORTS, Preferences
from domain.subscribers.zones import show_zone
from handlers.conversation.menus import Keyboard, View, message
from services.cards.names import Names
from services.reports.buttons import picture_buttons, settings_button
from services.reports.showing import Reader
from services.reports.wording import nothing_text, report_text
from texts.markup import Html

MINE: Final = "mine"
SUBJECTS: Final = (MINE, "best", "channels", "presets")
"""What somebody may ask about."""


def reader_of(view: View, preferences: Preferences) -> Reader:
    return Reader(names=Names(view.texts, view.preset), language=view.language, zone=zone_of(preferences.time_zone))


def report_card(view: View, reader: Reader, what: str, window: Window, figures: Figures | None) -> Message:
    """A report, or that there is nothing to tell; below it the other ones."""
    if figures is None:
        return message(nothing_text(reader, what, window), keyboard=_choices(view, what, window))
    text = report_text(reader, figures, window, results=True)
    keyboard = (*picture_buttons(reader, figures, window, what), *_choices(view, what, window), settings_button(reader))
    return message(text, keyboard=keyboard)


def picture_caption(reader: Reader, what: str, window: Window, now: datetime | None = None) -> Message:
    """`now`: when its figures were read, where the report that it belongs to was read before."""
    as_of = reader.html("report.as_of", at=reader.moment(now)) if now else Html()
    return message(reader.html(f"report.about.{what}", window=reader.window(window)), as_of)


def reports_menu(view: View, preferences: Preferences) -> Message:
    rows: Keyboard = tuple(
        (
            view.button(
                "button.report_on" if preferences.wants_report(report) else "button.report_off",
                SetReport(report, not preferences.wants_report(report)),
                name=view.label("report_name", report),
            ),
        )
        for report in REPORTS
    )
    light = preferences.light_pictures
    style = view.button("button.pictures_dark" if light else "button.pictures_light", SetLight(not light))
    back = view.button("button.back", ShowReport(MINE, WINDOWS[0]))
    return message(
        view.html("reports.menu", zone=show_zone(preferences.time_zone)), keyboard=(*rows, (style,), (back,))
    )


def card_text(view: View, reader: Reader, call: TrackedCall, shown: ReportedCall, picture: bytes) -> Message:
    text = view.html("chart.card_line", name=call.name, multiple=reader.call_multiple(shown), channel=call.channel)
    keyboard = ((view.button("button.call_chart", ShowCallChart(call.number)),),)
    return Message(html=str(text), keyboard=keyboard, picture=picture)


def chart_text(view: View, call: TrackedCall, picture: bytes) -> Message:
    return Message(html=str(view.html("chart.chart_line", name=call.name, channel=call.channel)), picture=picture)


def _choices(view: View, what: str, window: Window) -> Keyboard:
    spans = tuple(
        view.button(
            "button.report_chosen" if days == window.days else "button.report_plain",
            ShowReport(what, days),
            name=view.plain("button.report_day" if days == 1 else "button.report_days", days=days),
        )
        for days in WINDOWS
    )
    subjects = tuple(
        view.button(
            "button.report_chosen" if subject == what else "button.report_plain",
            ShowReport(subject, window.days),
            name=view.label("report_about", subject),
        )
        for subject in SUBJECTS
    )
    return (spans, subjects[:2], subjects[2:])
