"""Which multiples of a call somebody is told as a reply to its alert."""

from __future__ import annotations

from domain.delivery import changes
from domain.subscribers.subscriber import Preferences
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import view_of
from handlers.conversation.routing import callback
from handlers.delivery import menus
from handlers.delivery.buttons import SetMilestone, SetMilestones, ShowMilestones


class MilestonesMixin(BotBase):
    @callback(ShowMilestones, goes_on=True)
    async def show_milestones(self, turn: Turn, _data: ShowMilestones) -> None:
        await self._show_milestones(
            turn, (await self.services.subscribers.subscribers.require(turn.user_id)).preferences
        )

    @callback(SetMilestone)
    async def set_milestone(self, turn: Turn, data: SetMilestone) -> None:
        await self._change_milestones(turn, changes.milestone(data.rung, told=data.told))

    @callback(SetMilestones)
    async def set_milestones(self, turn: Turn, data: SetMilestones) -> None:
        await self._change_milestones(turn, changes.milestones(told=data.told))

    async def _change_milestones(self, turn: Turn, change: changes.Change) -> None:
        subscribers = self.services.subscribers.subscribers
        await self._show_milestones(turn, (await subscribers.change_preferences(turn.user_id, change)).preferences)

    async def _show_milestones(self, turn: Turn, preferences: Preferences) -> None:
        await self.show(turn, menus.milestones_menu(view_of(self.services, turn), preferences))
