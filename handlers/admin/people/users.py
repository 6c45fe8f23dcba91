"""Who uses the bot, for its admins: all of them in pages, and whoever is looked for."""

from __future__ import annotations

from typing import Final

from handlers.admin.people.buttons import AskUser, ShowUser, ShowUsers
from handlers.admin.people.cards import USERS_PER_PAGE, user_card
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import in_rows, message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.administration.people import PeopleService, Person
from services.subscribers.roster import state_of

FIND: Final = "user_find"
"""Kind of question."""


class AdminUsersMixin(BotBase):
    @command("users", help="help.users", admin="read_only", topic="people")
    async def users(self, turn: Turn) -> None:
        await self._show_users(turn, 0)

    @callback(ShowUsers, admin="read_only")
    async def show_users(self, turn: Turn, data: ShowUsers) -> None:
        await self._show_users(turn, data.page)

    @command("user", help="help.user", takes=True, admin="read_only", topic="people")
    async def user(self, turn: Turn) -> None:
        """Show whom the command names, or whose message it answers; alone, ask."""
        typed = turn.text.split(maxsplit=1)[1:]
        if typed or turn.points_at is not None:
            await self._show_found_users(turn, "".join(typed))
            return
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, FIND, "")
        back = view.button("button.back", ShowUsers(0))
        await self.show(turn, message(view.html("people.ask"), keyboard=((back,),)))

    @callback(AskUser, admin="read_only")
    async def ask_user(self, turn: Turn, _data: AskUser) -> None:
        await self.user(turn)

    @text_input(FIND, admin="read_only", forwards=True)
    async def typed_user(self, turn: Turn, _payload: str) -> None:
        """Show who was found; the question stays open, so that the next one can be looked for."""
        try:
            await self._show_found_users(turn, turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)

    @callback(ShowUser, admin="read_only")
    async def show_user(self, turn: Turn, data: ShowUser) -> None:
        await self.show(turn, await user_card(self.services, turn, data.user_id))

    async def _show_found_users(self, turn: Turn, typed: str) -> None:
        found = await self.services.of(PeopleService).meant(typed, turn.points_at)
        if len(found) == 1:
            await self.show(turn, await user_card(self.services, turn, found[0].user_id))
            return
        view = view_of(self.services, turn)
        text = view.html(
            "people.found", typed=typed, people=view.listed(view.html("people.line", **_told(one)) for one in found)
        )
        buttons = (view.button("button.person", ShowUser(one.user_id), **_told(one)) for one in found)
        await self.show(turn, message(text, keyboard=in_rows(buttons, 2)))

    async def _show_users(self, turn: Turn, asked: int) -> None:
        view = view_of(self.services, turn)
        counts = self.services.subscribers.roster.counts()
        page = Page.at(asked, total=counts.total, per_page=USERS_PER_PAGE)
        now = self.services.conversation.clock()
        shown = await self.services.subscribers.subscribers.page(page.start, USERS_PER_PAGE)
        lines = [
            view.html(
                "users.line",
                state=view.plain(f"user_state.{state_of(subscriber, now)}"),
                name=subscriber.name,
                user_id=subscriber.user_id,
                plan=view.label("plan", subscriber.plan),
            )
            for subscriber in shown
        ] or [view.html("users.nobody")]
        text = view.html(
            "users.main",
            total=counts.total,
            receiving=counts.receiving,
            paused=counts.paused,
            unreachable=counts.unreachable,
            expired=counts.expired,
            banned=counts.banned,
            users=view.listed(lines),
        )
        people = [Person(user_id=one.user_id, name=one.name) for one in shown]
        opening = (view.button("button.person", ShowUser(one.user_id), **_told(one)) for one in people)
        find = view.button("button.find_person", AskUser())
        await self.show(turn, message(text, keyboard=(*in_rows(opening, 2), *page.turning(view, ShowUsers), (find,))))


def _told(one: Person) -> dict[str, object]:
    return {"name": one.name or "?", "user_id": one.user_id, "username": f" @{one.username}" if one.username else ""}
