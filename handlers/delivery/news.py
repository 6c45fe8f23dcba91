"""Whether somebody wants to hear what the operator says to many."""

from __future__ import annotations

from domain.buttons.broadcasts import NoNews
from domain.delivery import changes
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import view_of
from handlers.conversation.routing import callback
from handlers.delivery import menus
from handlers.delivery.buttons import SetNews
from handlers.delivery.standing import subscriber_state


class NewsMixin(BotBase):
    @callback(SetNews)
    async def set_news(self, turn: Turn, data: SetNews) -> None:
        change = changes.news(wanted=data.wanted)
        subscriber = await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        state = await subscriber_state(self.services, view, subscriber, in_delivery=True)
        included = self.services.plans.subscriptions.plans.of(subscriber.plan).alerts_per_hour
        note = view.html("delivery.news_on" if data.wanted else "delivery.news_off")
        await self.show(turn, menus.delivery_menu(view, subscriber, now, included=included, state=state, note=note))

    @callback(NoNews, aside=True)
    async def no_news(self, turn: Turn, _data: NoNews) -> str:
        """Leave what they read as it is."""
        await self.services.subscribers.subscribers.change_preferences(turn.user_id, changes.news(wanted=False))
        return view_of(self.services, turn).plain("value.no_news")
