"""Reports that somebody asks for, their pictures, and which ones come by themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from domain.buttons.reports import (
    SetLight,
    SetReport,
    ShareCall,
    ShowCallChart,
    ShowReport,
    ShowReportPicture,
    ShowReports,
    ShowSharedPicture,
)
from domain.delivery import changes
from domain.delivery.messages import Message
from domain.reading.typed import clip
from domain.reports.figures import Figures, PersonFigures, TrackedCall, Window, reported
from domain.reports.pictures import Picture
from domain.reports.times import WINDOWS
from domain.subscribers.subscriber import Preferences, ReportName
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import require_on, view_of
from handlers.conversation.routing import callback, command
from handlers.reports import menus
from managers.pictures.maker import PictureError
from runtime.errors import UserFacingError
from services.reports.group import ReportServices
from services.reports.showing import Reader

_DAYS: Final = re.compile(r"(\d{1,3}) ?(h|d|hours?|days?)?", re.IGNORECASE)
_OF: Final[dict[str, ReportName]] = {"mine": "daily", "best": "best", "channels": "channels", "presets": "presets"}


class ReportsMixin(BotBase):
    """`/report` of a window, `/recap` of the week."""

    @command("report", help="help.report", takes=True, goes_on=True)
    async def report(self, turn: Turn) -> None:
        await self._show_report(turn, menus.MINE, _asked_days(turn.text))

    @command("recap", help="help.recap", goes_on=True)
    async def recap(self, turn: Turn) -> None:
        await self._show_report(turn, menus.MINE, WINDOWS[1])

    @callback(ShowReport, goes_on=True, aside=True)
    async def show_report(self, turn: Turn, data: ShowReport) -> None:
        await self._show_report(turn, _subject(data.what), _days(data.days))

    async def _show_report(self, turn: Turn, what: str, days: int) -> None:
        require_on(self.services, "reports")
        preferences = await self._reading(turn)
        window = self.services.of(ReportServices).figures.window(days, shared=what != menus.MINE)
        figures = await self._figures(turn, what, window)
        view = view_of(self.services, turn)
        reader = menus.reader_of(view, preferences)
        await self.show(turn, menus.report_card(view, reader, what, window, figures))

    @callback(ShowReportPicture, goes_on=True, aside=True)
    async def show_report_picture(self, turn: Turn, data: ShowReportPicture) -> str | None:
        """Answer with a new message: the report stays."""
        preferences, window = await self._reading(turn), self._window(data.days, data.end)
        reports = self.services.of(ReportServices)
        calls = await reports.figures.calls_of(turn.user_id, window)
        reader, words = self._reader(turn, preferences), reports.drawing.words
        picture: Picture | None = None
        if data.what == "equity" and calls:
            picture = words.equity(reader, calls, window)
        elif data.what == "spread" and calls:
            figures = await reports.figures.person(turn.user_id, window)
            picture = words.spread(reader, calls, figures, window) if isinstance(figures, PersonFigures) else None
        caption = menus.picture_caption(reader, menus.MINE, window, self.services.conversation.clock())
        return await self._send_picture(turn, caption, picture, preferences)

    @callback(ShowSharedPicture, goes_on=True, aside=True)
    async def show_shared_picture(self, turn: Turn, data: ShowSharedPicture) -> str | None:
        preferences, window = await self._reading(turn), self._window(data.days, data.end)
        figures = await self._figures(turn, _subject(data.what), window)
        words, reader = self.services.of(ReportServices).drawing.words, self._reader(turn, preferences)
        picture = words.shared(reader, figures, window) if figures else None
        return await self._send_picture(turn, menus.picture_caption(reader, data.what, window), picture, preferences)

    @callback(ShareCall, goes_on=True, aside=True)
    async def share_call(self, turn: Turn, data: ShareCall) -> str | None:
        preferences, call = await self._reading(turn), await self._call(data.number)
        view, reader = view_of(self.services, turn), self._reader(turn, preferences)
        png = await self._drawn(self.services.of(ReportServices).drawing.words.card(reader, call), preferences)
        if png is None:
            return view.plain("report.no_picture")
        await self.reply(turn, menus.card_text(view, reader, call, reported(call), png))
        return None

    @callback(ShowCallChart, goes_on=True, aside=True)
    async def show_call_chart(self, turn: Turn, data: ShowCallChart) -> str | None:
        preferences, call = await self._reading(turn), await self._call(data.number)
        view, reports = view_of(self.services, turn), self.services.of(ReportServices)
        points = await reports.figures.points(call)
        png = await self._drawn(reports.drawing.words.price(self._reader(turn, preferences), call, points), preferences)
        if png is None:
            return view.plain("report.no_picture")
        await self.reply(turn, menus.chart_text(view, call, png))
        return None

    @callback(ShowReports, goes_on=True)
    async def show_reports(self, turn: Turn, _data: ShowReports) -> None:
        """A report that came by itself stays where it is."""
        await self.reply(turn, menus.reports_menu(view_of(self.services, turn), await self._reading(turn)))

    @callback(SetReport)
    async def set_report(self, turn: Turn, data: SetReport) -> None:
        await self._change(turn, changes.report(data.report, sent=data.sent))

    @callback(SetLight)
    async def set_light(self, turn: Turn, data: SetLight) -> None:
        await self._change(turn, changes.light_pictures(light=data.light))

    async def _change(self, turn: Turn, change: changes.Change) -> None:
        saved = await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        await self.show(turn, menus.reports_menu(view_of(self.services, turn), saved.preferences))

    async def _reading(self, turn: Turn) -> Preferences:
        return (await self.services.subscribers.subscribers.require(turn.user_id)).preferences

    async def _figures(self, turn: Turn, what: str, window: Window) -> Figures | None:
        return await self.services.of(ReportServices).figures.of(_OF[what], turn.user_id, window)

    async def _call(self, number: int) -> TrackedCall:
        call = await self.services.of(ReportServices).figures.call(number)
        if call is None:
            raise UserFacingError("report.call_gone")
        return call

    def _window(self, days: int, end: int) -> Window:
        now = self.services.conversation.clock()
        if not 0 <= end <= now.timestamp():
            raise UserFacingError("callback.stale")
        return self.services.of(ReportServices).figures.window(_days(days), datetime.fromtimestamp(end, UTC))

    def _reader(self, turn: Turn, preferences: Preferences) -> Reader:
        return menus.reader_of(view_of(self.services, turn), preferences)

    async def _drawn(self, picture: Picture, preferences: Preferences) -> bytes | None:
        try:
            return await self.services.of(ReportServices).drawing.draw(picture, light=preferences.light_pictures)
        except PictureError:
            return None

    async def _send_picture(
        self, turn: Turn, caption: Message, picture: Picture | None, preferences: Preferences
    ) -> str | None:
        png = None if picture is None else await self._drawn(picture, preferences)
        if png is None:
            return view_of(self.services, turn).plain("report.no_picture" if picture else "report.nothing_known")
        await self.reply(turn, replace(caption, picture=png))
        return None


def _asked_days(text: str) -> int:
    """Read `/report 7d`, `/report 24h` or `/report 30`: one of the windows that there are reports of."""
    typed = text.split(maxsplit=1)[1:]
    if not typed:
        return WINDOWS[0]
    if found := _DAYS.fullmatch(typed[0].strip()):
        asked = int(found[1]) / 24 if (found[2] or "d").lower().startswith("h") else int(found[1])
        for days in WINDOWS:
            if days == asked:
                return days
    windows = ", ".join(f"{days}d" for days in WINDOWS)
    raise UserFacingError("report.unreadable", typed=clip(typed[0]), windows=windows)


def _subject(what: str) -> str:
    if what not in _OF:
        raise UserFacingError("callback.stale")
    return what


def _days(days: int) -> int:
    if days not in WINDOWS:
        raise UserFacingError("callback.stale")
    return days
