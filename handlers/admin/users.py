"""Who uses the bot, for its admins."""

from __future__ import annotations

from handlers.admin.buttons import ShowUsers
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command
from services.subscribers.roster import state_of

USERS_PER_PAGE = 10


class AdminUsersMixin(BotBase):
    @command("users", help="help.users", admin=True)
    async def users(self, turn: Turn) -> None:
        await self._show_users(turn, page=0)

    @callback(ShowUsers, admin=True)
    async def show_users(self, turn: Turn, data: ShowUsers) -> None:
        await self._show_users(turn, data.page)

    async def _show_users(self, turn: Turn, page: int) -> None:
        """Show one page; a page beyond the end is the last one."""
        view = view_of(self.services, turn)
        counts = self.services.subscribers.roster.counts()
        last = max(0, (counts.total - 1) // USERS_PER_PAGE)
        page = min(max(page, 0), last)
        now = self.services.conversation.clock()
        lines = [
            view.html(
                "users.line",
                state=view.plain(f"user_state.{state_of(subscriber, now)}"),
                name=subscriber.name,
                user_id=subscriber.user_id,
                plan=view.label("plan", subscriber.plan),
            )
            for subscriber in await self.services.subscribers.subscribers.page(page * USERS_PER_PAGE, USERS_PER_PAGE)
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
        turning = tuple(
            view.button(key, ShowUsers(target))
            for key, target in (("button.previous", page - 1), ("button.next", page + 1))
            if 0 <= target <= last
        )
        await self.show(turn, message(text, keyboard=(turning,) if turning else ()))
