"""The first words, and whether a person can be written to at all."""

from __future__ import annotations

from handlers import callbacks, menus
from handlers.base import BotBase, Turn
from handlers.menus import MAIN_SET, view_of
from handlers.routing import command, membership


class StartMixin(BotBase):
    @command("start", help="help.start")
    async def start(self, turn: Turn) -> None:
        opened = await self.services.users.open(
            user_id=turn.user_id, chat_id=turn.chat_id, name=turn.name, language=turn.language
        )
        view = view_of(self.services, turn)
        if not opened.created:
            state = menus.state(view, opened.subscriber, self.services.clock())
            settings = view.button("button.settings", callbacks.ShowSettings(MAIN_SET))
            welcome = view.html("start.back", name=turn.name, state=state)
            await self.reply(turn, menus.message(welcome, keyboard=((settings,),)))
            return
        presets = self.services.presets.all()
        welcome = view.html(
            "start.new",
            name=turn.name,
            days=self.services.subscriptions.status(opened.subscriber).days_left,
            presets=menus.preset_lines(view, presets),
        )
        own = view.button("button.own_filter", callbacks.ShowSettings(MAIN_SET))
        keyboard = (*menus.preset_keyboard(view, presets), (own,))
        await self.reply(turn, menus.message(welcome, keyboard=keyboard))

    @membership
    async def membership_changed(self, turn: Turn, reachable: bool) -> None:  # noqa: FBT001 - a route's argument
        await self.services.users.set_unreachable(turn.user_id, unreachable=not reachable)
