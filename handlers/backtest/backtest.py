"""`/backtest`: a filter set or a preset, held against the last 1 to 30 days."""

from __future__ import annotations

from typing import cast

from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber
from handlers.backtest import menus
from handlers.backtest.buttons import CancelBacktest, ShowBacktests, StartBacktest, SwitchOn
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import require_on, view_of
from handlers.conversation.routing import callback, command
from handlers.filters.buttons import TryFilter
from handlers.filters.showing import set_page
from runtime.errors import UserFacingError
from services.backtest.backtests import Asked, Backtests, Source
from services.subscribers.set_changes import set_of

ALL_DAYS = frozenset(range(1, 31))


class BacktestMixin(BotBase):
    @command("backtest", help="help.backtest", goes_on=True)
    async def backtest(self, turn: Turn) -> None:
        require_on(self.services, "backtest")
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        presets = self.services.subscribers.presets.all()
        await self.show(turn, menus.choices_menu(view_of(self.services, turn), subscriber.filter_sets, presets))

    @callback(ShowBacktests, goes_on=True)
    async def show_backtests(self, turn: Turn, _data: ShowBacktests) -> None:
        await self.backtest(turn)

    @callback(TryFilter, goes_on=True)
    async def choose_days(self, turn: Turn, data: TryFilter) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        tried = self._tried(subscriber, data.source, data.key)
        await self.show(turn, menus.days_menu(view_of(self.services, turn), tried, data))

    @callback(StartBacktest, goes_on=True)
    async def start_backtest(self, turn: Turn, data: StartBacktest) -> None:
        require_on(self.services, "backtest")
        backtests = self.services.of(Backtests)
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        tried = self._tried(subscriber, data.source, data.key)
        if data.days not in ALL_DAYS:
            raise UserFacingError("callback.stale")
        backtests.check(turn.user_id)
        message_id = await self.show(turn, menus.begun(view_of(self.services, turn), tried, data.days))
        active = tuple(one for one in subscriber.filter_sets if one.enabled)
        is_active = data.source == "set" and active == (tried,)
        asked = Asked(
            user_id=turn.user_id,
            chat_id=turn.chat_id,
            message_id=message_id,
            language=turn.language,
            source=cast("Source", data.source),
            key=data.key,
            tried=tried,
            active=() if is_active else active,
            days=data.days,
            light_pictures=subscriber.preferences.light_pictures,
            time_zone=subscriber.preferences.time_zone,
        )
        await backtests.ask(asked)

    @callback(CancelBacktest, goes_on=True)
    async def cancel_backtest(self, turn: Turn, data: CancelBacktest) -> str | None:
        if await self.services.of(Backtests).cancel(turn.user_id, data.run_id):
            return None
        return view_of(self.services, turn).plain("toast.backtest_over")

    @callback(SwitchOn)
    async def switch_on(self, turn: Turn, data: SwitchOn) -> str:
        """Answer with a new message: the result shall stay."""
        sets, view = self.services.subscribers.sets, view_of(self.services, turn)
        if data.source == "preset":
            placed = await sets.apply_preset(turn.user_id, data.key)
            subscriber, filter_set = placed.subscriber, placed.filter_set
        else:
            number = _number(data.key)
            subscriber = await sets.set_enabled(turn.user_id, number, enabled=True)
            filter_set = set_of(subscriber, number)
        await self.reply(turn, await set_page(self.services, turn, subscriber, filter_set))
        key = "settings.filter_on" if filter_set.enabled else "settings.filter_off"
        return view.plain(key, name=view.set_name(filter_set))

    def _tried(self, subscriber: Subscriber, source: str, key: str) -> FilterSet:
        if source == "preset":
            preset = self.services.subscribers.presets.find(key)
            name = preset.name or preset.key
            return FilterSet(user_id=subscriber.user_id, number=1, name=name, rules=dict(preset.rules))
        if source == "set":
            return set_of(subscriber, _number(key))
        raise UserFacingError("callback.stale")


def _number(key: str) -> int:
    if not key.isdecimal() or not key.isascii():
        raise UserFacingError("callback.stale")
    return int(key)
