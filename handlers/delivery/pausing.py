"""`/pause`, for good or for a while, and `/resume`."""

from __future__ import annotations

from domain.delivery import changes
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import lines, message, view_of
from handlers.conversation.routing import command
from handlers.delivery.standing import is_paused, subscriber_state, what_comes, what_is_held, what_waits
from texts.markup import Html


class PausingMixin(BotBase):
    @command("pause", help="help.pause", takes=True)
    async def pause(self, turn: Turn) -> None:
        subscribers, view = self.services.subscribers.subscribers, view_of(self.services, turn)
        _, _, how_long = turn.text.partition(" ")
        if not how_long.strip():
            subscriber = await subscribers.pause(turn.user_id)
            waits = await what_is_held(self.services, view, subscriber)
            await self.reply(turn, message(lines(view.html("pause.done"), waits)))
            return
        change = changes.snoozed_for(how_long, self.services.conversation.clock())
        subscriber = await subscribers.pause_for(turn.user_id, change)
        state = await subscriber_state(self.services, view, subscriber)
        await self.reply(turn, message(lines(state, await what_is_held(self.services, view, subscriber))))

    @command("resume", help="help.resume")
    async def resume(self, turn: Turn) -> None:
        """End a pause and a snooze; what else holds alerts back is said."""
        subscribers, held = self.services.subscribers.subscribers, await what_waits(self.services, turn.user_id)
        was_paused = is_paused(await subscribers.require(turn.user_id), self.services.conversation.clock())
        subscriber = await subscribers.resume(turn.user_id)
        view = view_of(self.services, turn)
        state = await subscriber_state(self.services, view, subscriber)
        is_on = state == view.html("state.receiving")
        over = Html() if is_on else view.html("resume.done")
        done = over if was_paused else view.html("resume.nothing")
        await self.reply(turn, message(lines(done, state, what_comes(self.services, view, subscriber, held))))
