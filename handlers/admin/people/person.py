"""What admins do about one person: ban, note, write."""

from __future__ import annotations

from html import escape
from typing import Final

from domain.delivery.messages import Message
from domain.subscribers.subscriber import Subscriber
from handlers.admin.people.buttons import (
    AskBan,
    AskNote,
    AskWrite,
    Ban,
    ShowUser,
    Unban,
    WriteTo,
)
from handlers.admin.people.cards import to_card, user_card
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, text_input
from runtime.errors import DeliveryError, MessageRefusedError, RecipientGoneError, UserFacingError
from services.administration.people import MAX_NOTE_UTF16, PeopleService
from texts.markup import Html, utf16_length

NOTE: Final = "user_note"
WRITE: Final = "user_write"
"""Kinds of questions; the payload is the packed data of the button that asked."""
MAX_WRITTEN: Final = 2_000


class AdminPersonMixin(BotBase):
    @callback(AskBan, admin="support")
    async def ask_ban(self, turn: Turn, data: AskBan) -> None:
        who = await self.services.of(PeopleService).require_bannable(data.user_id)
        text = view_of(self.services, turn).html("person.ask_ban", name=who.name, user_id=who.user_id)
        yes, back = Ban(data.user_id), ShowUser(data.user_id)
        await self.show(
            turn, await asked_twice(self.services, turn, text, yes_key="button.ban_yes", yes=yes, back=back)
        )

    @callback(Ban, admin="support", acts="ban", confirmed=True)
    async def ban(self, turn: Turn, data: Ban) -> str:
        is_new = await self.services.of(PeopleService).ban(data.user_id, turn.user_id)
        await self.show(turn, await user_card(self.services, turn, data.user_id))
        return view_of(self.services, turn).plain("value.banned" if is_new else "value.banned_before")

    @callback(Unban, admin="support", acts="unban")
    async def unban(self, turn: Turn, data: Unban) -> str:
        was_banned = await self.services.of(PeopleService).unban(data.user_id, turn.user_id)
        await self.show(turn, await user_card(self.services, turn, data.user_id))
        return view_of(self.services, turn).plain("value.unbanned" if was_banned else "value.not_banned")

    @callback(AskNote, admin="support")
    async def ask_note(self, turn: Turn, data: AskNote) -> None:
        await self._ask_about(turn, NOTE, data, "person.ask_note", MAX_NOTE_UTF16)

    @text_input(NOTE, admin="support", acts="note")
    async def typed_note(self, turn: Turn, payload: str) -> None:
        user_id = AskNote.unpack(payload).user_id
        await self.services.of(PeopleService).note(user_id, turn.user_id, turn.text)
        await self.services.conversation.inputs.cancel(turn.user_id)
        note = view_of(self.services, turn).html("person.noted")
        await self.reply(turn, await user_card(self.services, turn, user_id, note))

    @callback(AskWrite, admin="support")
    async def ask_write(self, turn: Turn, data: AskWrite) -> None:
        _require_writable(await self.services.of(PeopleService).require(data.user_id))
        await self._ask_about(turn, WRITE, data, "person.ask_write", MAX_WRITTEN)

    @text_input(WRITE, admin="support")
    async def typed_to_person(self, turn: Turn, payload: str) -> None:
        """Show it as they will read it, and ask."""
        data, view = AskWrite.unpack(payload), view_of(self.services, turn)
        who = await self.services.of(PeopleService).require(data.user_id)
        if utf16_length(turn.text) > MAX_WRITTEN:
            await self.ask_again(turn, UserFacingError("person.too_long", limit=MAX_WRITTEN))
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        text = view.html("person.preview", name=who.name, user_id=who.user_id, text=_as_typed(turn.text))
        yes, back = WriteTo(who.user_id), ShowUser(who.user_id)
        asked = await asked_twice(
            self.services, turn, text, yes_key="button.write_yes", yes=yes, back=back, typed=turn.text
        )
        await self.reply(turn, asked)

    @callback(WriteTo, admin="support", acts="write to person", confirmed=True)
    async def write_to_person(self, turn: Turn, data: WriteTo) -> str:
        who = await self.services.of(PeopleService).require(data.user_id)
        _require_writable(who)
        own = View(texts=self.services.conversation.texts, language=who.language)
        said = Message(html=str(own.html("person.from_team", text=_as_typed(turn.text))))
        try:
            await self.services.conversation.telegram.send(who.chat_id, said)
        except (RecipientGoneError, MessageRefusedError) as error:
            raise UserFacingError("person.gone") from error
        except DeliveryError as error:
            raise UserFacingError("person.maybe_written") from error
        await self.show(turn, await user_card(self.services, turn, who.user_id))
        return view_of(self.services, turn).plain("value.written")

    async def _ask_about(self, turn: Turn, kind: str, data: AskNote | AskWrite, key: str, limit: int) -> None:
        view, who = view_of(self.services, turn), await self.services.of(PeopleService).require(data.user_id)
        await self.services.conversation.inputs.expect(turn.user_id, kind, data.pack())
        text = view.html(key, name=who.name, limit=limit)
        await self.show(turn, message(text, keyboard=(to_card(view, who.user_id),)))


def _require_writable(who: Subscriber) -> None:
    if who.banned_at:
        raise UserFacingError("person.cannot_write")


def _as_typed(text: str) -> Html:
    """Let an admin's words be as they are, with the links and commands in them."""
    return Html(escape(text, quote=False))
