"""`/pause`, for good or for a while, and `/resume`."""

from __future__ import annotations

from domain.delivery import changes
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import command
from handlers.delivery.standing import subscriber_state
from texts.markup import join


class PausingMixin(BotBase):
    @command("pause", help="help.pause", takes=True)
    async def pause(self, turn: Turn) -> None:
        subscribers, view = self.services.subscribers.subscribers, view_of(self.services, turn)
        _, _, how_long = turn.text.partition(" ")
        if not how_long.strip():
            await subscribers.pause(turn.user_id)
            await self.reply(turn, message(view.html("pause.done")))
            return
        change = changes.snoozed_for(how_long, self.services.conversation.clock())
        subscriber = await subscribers.change_preferences(turn.user_id, change)
        await self.reply(turn, message(await subscriber_state(self.services, view, subscriber)))

    @command("resume", help="help.resume")
    async def resume(self, turn: Turn) -> None:
        """End a pause and a snooze; what else holds alerts back is said."""
        subscriber = await self.services.subscribers.subscribers.resume(turn.user_id)
        view = view_of(self.services, turn)
        state = await subscriber_state(self.services, view, subscriber)
        is_on = state == view.html("state.receiving")
        await self.reply(turn, message(state if is_on else join("\n", (view.html("resume.done"), state))))
