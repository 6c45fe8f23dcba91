"""How the whole is doing: people, money, alerts and how fast they are; pictures for who wants to see the month."""

from __future__ import annotations

from typing import ClassVar, Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from handlers.admin.statistics.showing import picture_of, summary_text
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import in_rows, message, view_of
from handlers.conversation.routing import callback, command
from managers.pictures.maker import PictureError
from runtime.errors import UserFacingError
from services.reports.group import ReportServices
from services.statistics.statistics import WHATS, StatisticsService, What

_WHATS: Final[dict[str, What]] = {one: one for one in WHATS}


class ShowStatistics(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "stats"


class ShowStatisticsPicture(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "statspic"
    what: str
    """`services.statistics.statistics.What`."""


class AdminStatisticsMixin(BotBase):
    @command("stats", help="help.stats", admin="read_only", topic="bot")
    async def stats(self, turn: Turn) -> None:
        await self._show_statistics(turn, anew=False)

    async def _show_statistics(self, turn: Turn, *, anew: bool) -> None:
        view, summary = view_of(self.services, turn), await self.services.of(StatisticsService).summary(anew=anew)
        pictures = (view.button(f"button.stats.{one}", ShowStatisticsPicture(one)) for one in WHATS)
        refresh = (view.button("button.refresh", ShowStatistics()),)
        await self.show(turn, message(summary_text(view, summary), keyboard=(*in_rows(pictures, 2), refresh)))

    @callback(ShowStatistics, admin="read_only")
    async def show_statistics(self, turn: Turn, _data: ShowStatistics) -> None:
        await self._show_statistics(turn, anew=True)

    @callback(ShowStatisticsPicture, admin="read_only")
    async def show_statistics_picture(self, turn: Turn, data: ShowStatisticsPicture) -> str | None:
        """Send it as a message of its own; without one, say so."""
        what, view = _WHATS.get(data.what), view_of(self.services, turn)
        if what is None:
            raise UserFacingError("callback.stale")
        found = await self.services.of(StatisticsService).by_day(what)
        picture = picture_of(view, what, found)
        if picture is None:
            return view.plain("value.stats_nothing")
        who = await self.services.subscribers.subscribers.find(turn.user_id)
        light = who is not None and who.preferences.light_pictures
        try:
            png = await self.services.of(ReportServices).drawing.draw(picture, light=light)
        except PictureError as error:
            raise UserFacingError("report.no_picture") from error
        await self.reply(turn, Message(html=str(view.html(f"stats.title.{what}")), picture=png))
        return None
