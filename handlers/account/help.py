"""What there is to say, what was asked, and an answer to everything else."""

from __future__ import annotations

from domain.delivery.messages import Message
from domain.reading.nearest import one_slip_from
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
        if not turn.text.startswith("/"):
            await self._say(turn, "unknown.text")
            return
        typed = turn.text[1:].split(maxsplit=1)
        near = self._nearest(typed[0].partition("@")[0].lower()) if typed else None
        if near:
            await self._say(turn, "unknown.command_near", typed=typed[0], command=near)
        else:
            await self._say(turn, "unknown.command")

    def _nearest(self, typed: str) -> str | None:
        """Return the command that was probably meant. None of an admin is named: this is what an outsider gets."""
        routes = collect(type(self)).where(self.services.find)
        return one_slip_from(typed, (route.name for route in routes.commands_for(None)))

    async def _say(self, turn: Turn, key: str, **arguments: object) -> None:
        texts = self.services.conversation.texts
        await self.reply(turn, Message(html=str(texts.render(key, turn.language, **arguments))))
