"""What admins look at of one person: notes, what they did, and what they see themselves."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from handlers.admin.people.buttons import ShowActivity, ShowNotes, ShowTheirs
from handlers.admin.people.cards import activity_line, note_line, to_card
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback
from handlers.delivery.standing import subscriber_state
from handlers.filters.list_menus import settings_menu
from handlers.payments.account import status_message
from runtime.errors import UserFacingError
from services.administration.people import PeopleService

PER_PAGE: Final = 10


class AdminSeeingMixin(BotBase):
    @callback(ShowNotes, admin="read_only")
    async def show_notes(self, turn: Turn, data: ShowNotes) -> None:
        people, view = self.services.of(PeopleService), view_of(self.services, turn)
        who = await people.require(data.user_id)
        card = await people.card(who.user_id, 0)
        page = Page.at(data.page, total=card.notes_count, per_page=PER_PAGE)
        notes = await people.notes(who.user_id, page.start, PER_PAGE)
        lines = view.listed(note_line(view, one) for one in notes) or view.html("person.no_notes")
        text = view.html("person.all_notes", name=who.name, count=card.notes_count, notes=lines)
        turning = page.turning(view, lambda number: ShowNotes(who.user_id, number))
        await self.show(turn, message(text, keyboard=(*turning, to_card(view, who.user_id))))

    @callback(ShowActivity, admin="read_only")
    async def show_activity(self, turn: Turn, data: ShowActivity) -> None:
        people, view = self.services.of(PeopleService), view_of(self.services, turn)
        who = await people.require(data.user_id)
        total = await people.count_activity(who.user_id)
        page = Page.at(data.page, total=total, per_page=PER_PAGE)
        found = await people.activity(who.user_id, page.start, PER_PAGE)
        lines = view.listed(activity_line(view, one) for one in found) or view.html("person.no_activity")
        text = view.html("person.all_activity", name=who.name, count=f"{total:,}", activity=lines)
        turning = page.turning(view, lambda number: ShowActivity(who.user_id, number))
        await self.show(turn, message(text, keyboard=(*turning, to_card(view, who.user_id))))

    @callback(ShowTheirs, admin="read_only")
    async def show_theirs(self, turn: Turn, data: ShowTheirs) -> None:
        """Show what they would read, in their language, without the buttons that would be theirs."""
        who = await self.services.of(PeopleService).require(data.user_id)
        own = replace(view_of(self.services, turn), language=who.language)
        match data.what:
            case "status":
                seen = await status_message(self.services, own, who)
            case "settings":
                state = await subscriber_state(self.services, own, who)
                seen = settings_menu(own, who, state, now=self.services.conversation.clock())
            case _:
                raise UserFacingError("callback.stale")
        await self.show(turn, replace(seen, keyboard=(to_card(view_of(self.services, turn), who.user_id),)))
