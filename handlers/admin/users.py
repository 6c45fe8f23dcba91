"""Who uses the bot, for its admins."""

from __future__ import annotations

from handlers.admin.buttons import ShowUsers
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command
from services.subscribers.roster import state_of

USERS_PER_PAGE = 10


class AdminUsersMixin(BotBase):
    @command("users", help="help.users", admin=True)
    async def users(self, turn: Turn) -> None:
        await self._show_users(turn, 0)

    @callback(ShowUsers, admin=True)
    async def show_users(self, turn: Turn, data: ShowUsers) -> None:
        await self._show_users(turn, data.page)

    async def _show_users(self, turn: Turn, asked: int) -> None:
        view = view_of(self.services, turn)
        counts = self.services.subscribers.roster.counts()
        page = Page.at(asked, total=counts.total, per_page=USERS_PER_PAGE)
        now = self.services.conversation.clock()
        lines = [
            view.html(
                "users.line",
                state=view.plain(f"user_state.{state_of(subscriber, now)}"),
                name=subscriber.name,
                user_id=subscriber.user_id,
                plan=view.label("plan", subscriber.plan),
            )
            for subscriber in await self.services.subscribers.subscribers.page(page.start, USERS_PER_PAGE)
        ] or [view.html("users.nobody")]
        text = view.html(
            "users.main",
            total=counts.total,
            receiving=counts.receiving,
            paused=counts.paused,
            unreachable=counts.unreachable,
            expired=counts.expired,
            users=view.listed(lines),
        )
        await self.show(turn, message(text, keyboard=page.turning(view, ShowUsers)))
