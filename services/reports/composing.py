"""The kind of message `report`: what it says was computed when it was due, so it waits for nothing but a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.delivery.quiet import zone_of
from domain.reports.figures import Figures, Window
from domain.subscribers.subscriber import ReportName, Subscriber
from managers.telegram.rate_limiter import Lane
from services.cards.names import Names
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.sending import fits_caption
from services.delivery.turns import QueuedMessage
from services.reports.buttons import picture_buttons, settings_button
from services.reports.drawing import Drawing
from services.reports.showing import Reader
from services.reports.wording import report_text
from texts.markup import Html, join

REPORT: Final = "report"
FRESH_FOR: Final = timedelta(hours=12)
LATE_AFTER: Final = timedelta(minutes=15)
SHARED: Final[dict[ReportName, str]] = {
    "best": "best",
    "channels": "channels",
    "presets": "presets",
    "preset_results": "presets",
}
"""By report: what its picture shows."""


class ReportNotice(Struct, frozen=True, kw_only=True):
    report: ReportName
    due_at: datetime
    figures: Figures
    window: Window


class ReportComposer(Composer):
    def __init__(self, names: Names, drawing: Drawing) -> None:
        self._names = names
        self._drawing = drawing

    def row(self) -> Kind:
        rules = Rules(fresh_for=FRESH_FOR, when_stale="drop")
        return Kind(name=REPORT, lane=Lane.REPORT, rules=rules, composer=self, payload=ReportNotice)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        """Have the picture that goes with it, where it has one."""
        notice = waiting.payload_as(ReportNotice)
        what = SHARED.get(notice.report)
        if what is None or waiting.media is not None or waiting.unknown:
            return
        light = subscriber.preferences.light_pictures
        reader = self._reader(subscriber)
        waiting.media = await self._drawing.shared(reader, notice.figures, notice.window, what, light=light)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        waiting = together[0]
        notice, reader = waiting.payload_as(ReportNotice), self._reader(subscriber)
        text = report_text(reader, notice.figures, notice.window, results=notice.report == "preset_results")
        remarks: list[Html] = []
        if waiting.entry.outgoing.decided_at - notice.due_at > LATE_AFTER:
            remarks.append(reader.html("report.late", due=reader.moment(notice.due_at)))
        if waiting.may_repeat:
            remarks.append(reader.html("report.repeated"))
        message = Message(html=str(join("\n\n", (text, *remarks))), silent="report" in subscriber.preferences.silent)
        media = None if waiting.unknown or not fits_caption(message) else waiting.media
        what = SHARED.get(notice.report, "mine")
        rows = picture_buttons(reader, notice.figures, notice.window, what, has_picture=media is not None)
        return Composed(replace(message, keyboard=(*rows, settings_button(reader))), (waiting,), media)

    def _reader(self, subscriber: Subscriber) -> Reader:
        zone = zone_of(subscriber.preferences.time_zone)
        return Reader(names=self._names, language=subscriber.language, zone=zone)
