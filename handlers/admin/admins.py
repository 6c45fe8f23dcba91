"""Who administers the bot: added, given another role, and removed in the chat, by owners."""

from __future__ import annotations

from typing import Final

import structlog

from domain.admins.roles import ROLES, Admin, AdminRole, role_named
from domain.subscribers.subscriber import Subscriber
from handlers.admin.admin_buttons import AskAdmin, AskRole, RemoveAdmin, SetRole, ShowAdmin, ShowAdmins
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import DeliveryError, UserFacingError
from services.administration.admins import AdminsService
from services.administration.people import PeopleService
from texts.markup import Html

log = structlog.get_logger(__name__)

ADD: Final = "admin_add"
"""Kind of question."""


class AdminAdminsMixin(BotBase):
    @command("admins", help="help.admins", admin="read_only", topic="people")
    async def admins(self, turn: Turn) -> None:
        view, subscribers = view_of(self.services, turn), self.services.subscribers.subscribers
        named = [(one, await subscribers.named(one.user_id)) for one in self.services.of(AdminsService).all()]
        lines = (_line(view, one, name) for one, name in named)
        added = ((one.user_id, name) for one, name in named if not one.is_fixed)
        buttons = (view.button("button.person", ShowAdmin(user_id), name=name) for user_id, name in added)
        add = (view.button("button.add_admin", AskAdmin()),)
        text = view.html("admins.main", admins=view.listed(lines))
        await self.show(turn, message(text, keyboard=(*in_rows(buttons, 2), add)))

    @callback(ShowAdmins, admin="read_only")
    async def show_admins(self, turn: Turn, _data: ShowAdmins) -> None:
        await self.admins(turn)

    @callback(AskAdmin, admin="owner")
    async def ask_admin(self, turn: Turn, _data: AskAdmin) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, ADD, "")
        back = (view.button("button.back", ShowAdmins()),)
        await self.show(turn, message(view.html("admins.ask"), keyboard=(back,)))

    @text_input(ADD, admin="owner", forwards=True)
    async def typed_admin(self, turn: Turn, _payload: str) -> None:
        try:
            who = await self.services.of(PeopleService).one_meant(turn.text, turn.points_at)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_admin(turn, who.user_id)

    @callback(ShowAdmin, admin="read_only")
    async def show_admin(self, turn: Turn, data: ShowAdmin) -> None:
        await self._show_admin(turn, data.user_id)

    async def _show_admin(self, turn: Turn, user_id: int) -> None:
        view, who = view_of(self.services, turn), await self.services.of(PeopleService).require(user_id)
        role = self.services.of(AdminsService).role_of(user_id)
        shown = view.label("role", role) if role else view.plain("value.no_role")
        text = view.html("admins.one", name=who.name, user_id=user_id, role=shown)
        roles = (view.button(f"button.role.{one}", AskRole(user_id, one)) for one in ROLES if one != role)
        remove = (view.button("button.remove_admin", AskRole(user_id, "")),) if role else ()
        back = (view.button("button.back", ShowAdmins()),)
        keyboard = (*in_rows((*roles, *remove), 2), back)
        await self.show(turn, message(text, view.html("admins.roles"), keyboard=keyboard))

    @callback(AskRole, admin="owner")
    async def ask_role(self, turn: Turn, data: AskRole) -> None:
        view, who = view_of(self.services, turn), await self.services.of(PeopleService).require(data.user_id)
        role, back = role_named(data.role), ShowAdmin(data.user_id)
        if role is None and data.role:
            raise UserFacingError("callback.stale")
        self.services.of(AdminsService).require_other(who.user_id, turn.user_id)
        told = {"name": who.name, "user_id": who.user_id}
        if role is None:
            text, yes = view.html("admins.sure_remove", **told), RemoveAdmin(who.user_id)
        else:
            text, yes = view.html("admins.sure", **told, role=view.label("role", role)), SetRole(who.user_id, role)
        await self.show(
            turn, await asked_twice(self.services, turn, text, yes_key="button.role_yes", yes=yes, back=back)
        )

    @callback(SetRole, admin="owner", acts="set role", confirmed=True)
    async def set_role(self, turn: Turn, data: SetRole) -> str:
        role = role_named(data.role)
        if role is None:
            raise UserFacingError("callback.stale")
        who = await self.services.of(PeopleService).require(data.user_id)
        await self.services.of(AdminsService).put(who.user_id, role, turn.user_id)
        await self.admins(turn)
        await self._welcome(who, role)
        return view_of(self.services, turn).plain("value.role_set")

    @callback(RemoveAdmin, admin="owner", acts="remove admin", confirmed=True)
    async def remove_admin(self, turn: Turn, data: RemoveAdmin) -> str:
        was_one = await self.services.of(AdminsService).remove(data.user_id, turn.user_id)
        await self.admins(turn)
        return view_of(self.services, turn).plain("value.role_gone" if was_one else "value.role_none")

    async def _welcome(self, who: Subscriber, role: AdminRole) -> None:
        view = View(texts=self.services.conversation.texts, language=who.language)
        welcome = message(view.html("admins.welcome", role=view.label("role", role)))
        try:
            await self.services.conversation.telegram.send(who.chat_id, welcome)
        except DeliveryError as error:
            log.warning("admin_not_welcomed", user_id=who.user_id, reason=str(error))


def _line(view: View, one: Admin, name: str) -> Html:
    key = "admins.fixed_line" if one.is_fixed else "admins.line"
    return view.html(key, name=name, user_id=one.user_id, role=view.label("role", one.role))
