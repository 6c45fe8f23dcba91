"""One menu of all that an admin may do, made from the routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, get_args

from domain.admins.roles import allows
from domain.buttons.data import CallbackData
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import CommandRoute, Topic, callback, collect, command
from runtime.errors import UserFacingError
from texts.markup import Html, join


class OpenAdmin(CallbackData, frozen=True, array_like=True):
    """A command of the menu; empty: the menu itself."""

    prefix: ClassVar[str] = "admin"
    name: str


class AdminMenuMixin(BotBase):
    @command("admin", help="help.admin", admin="read_only", topic="bot")
    async def admin(self, turn: Turn) -> None:
        view, routes = view_of(self.services, turn), collect(type(self)).where(self.services.find)
        mine = [one for one in routes.commands_for(turn.role) if one.topic is not None and one.name != "admin"]
        text = view.html(
            "admin.menu",
            role=view.label("role", turn.role or ""),
            may=view.html(f"admin.may.{turn.role}"),
            topics=join("\n\n", _topics(view, mine)),
        )
        buttons = (view.button("button.open_admin", OpenAdmin(one.name), name=one.name) for one in mine)
        await self.show(turn, message(text, keyboard=in_rows(buttons, 3)))

    @callback(OpenAdmin, admin="read_only")
    async def open_admin(self, turn: Turn, data: OpenAdmin) -> None:
        """Do as if the command had been typed, alone."""
        route = collect(type(self)).where(self.services.find).commands.get(data.name or "admin")
        if route is None or route.admin is None or not allows(turn.role, route.admin):
            raise UserFacingError("callback.stale")
        await getattr(self, route.method)(turn)


def _topics(view: View, routes: list[CommandRoute]) -> Iterator[Html]:
    for topic in get_args(Topic):
        lines = [
            view.html("help.line", command=one.name, about=view.plain(one.help)) for one in routes if one.topic == topic
        ]
        if lines:
            yield view.html("admin.topic", topic=view.label("topic", topic), lines=join("\n", lines))
