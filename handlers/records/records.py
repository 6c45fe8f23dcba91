"""The best channels and calls, and what became of somebody's own alerts."""

from __future__ import annotations

from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command
from handlers.records import menus
from handlers.records.buttons import ShowPerformance, ShowTop
from services.tracking.records.group import RecordServices


class RecordsMixin(BotBase):
    @command("top", help="help.top", goes_on=True)
    async def top(self, turn: Turn) -> None:
        await self._show_top(turn, ShowTop("channels", "30d", 0))

    @callback(ShowTop, goes_on=True, aside=True)
    async def show_top(self, turn: Turn, data: ShowTop) -> None:
        await self._show_top(turn, data)

    async def _show_top(self, turn: Turn, asked: ShowTop) -> None:
        view, records = view_of(self.services, turn), self.services.of(RecordServices).records
        window = menus.window_of(asked.window)
        if asked.what == "calls":
            calls = await records.best(window)
            page = Page.at(asked.page, total=len(calls), per_page=menus.CALLS_PER_PAGE)
            now = self.services.conversation.clock()
            await self.show(turn, menus.calls_menu(view, calls, page, window, now))
            return
        found = await records.channels(window, max(0, asked.page) * menus.PER_PAGE, menus.PER_PAGE)
        page = Page.at(asked.page, total=found.total, per_page=menus.PER_PAGE)
        subscriber = await self.services.subscribers.subscribers.find(turn.user_id)
        zone = subscriber.preferences.time_zone if subscriber else "UTC"
        await self.show(turn, menus.channels_menu(view, found, page, window, await records.base(window), zone))

    @command("performance", help="help.performance", goes_on=True)
    async def performance(self, turn: Turn) -> None:
        await self._show_performance(turn, ShowPerformance("7d"))

    @callback(ShowPerformance, goes_on=True, aside=True)
    async def show_performance(self, turn: Turn, data: ShowPerformance) -> None:
        await self._show_performance(turn, data)

    async def _show_performance(self, turn: Turn, asked: ShowPerformance) -> None:
        await self.services.subscribers.subscribers.require(turn.user_id)
        window = menus.window_of(asked.window)
        found = await self.services.of(RecordServices).records.performance(turn.user_id, window)
        now = self.services.conversation.clock()
        await self.show(turn, menus.performance_menu(view_of(self.services, turn), found, window, now))
