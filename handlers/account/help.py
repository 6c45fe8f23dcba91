"""What there is to say, what was asked, and an answer to everything else."""

from __future__ import annotations

from domain.delivery.messages import Message
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message
from handlers.conversation.routing import collect, command, otherwise
from texts.markup import join


class HelpMixin(BotBase):
    @command("help", help="help.help", goes_on=True)
    async def help(self, turn: Turn) -> None:
        texts, language = self.services.conversation.texts, turn.language
        role = self.services.conversation.admins.role_of(turn.user_id)
        routes = collect(type(self)).where(self.services.find)
        lines = [
            texts.render("help.line", language, command=name, about=about)
            for name, about in routes.menu(texts, role, language).items()
        ]
        begin, title = texts.render("help_begin.how", language), texts.render("help.title", language)
        await self.reply(turn, message(begin, title, join("\n", lines)))

    @command("cancel", help="help.cancel", goes_on=True)
    async def cancel(self, turn: Turn) -> None:
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._say(turn, "cancel.done")

    @otherwise
    async def answer_anything(self, turn: Turn) -> None:
        await self._say(turn, "unknown.command" if turn.text.startswith("/") else "unknown.text")

    async def _say(self, turn: Turn, key: str) -> None:
        await self.reply(turn, Message(html=str(self.services.conversation.texts.render(key, turn.language))))
