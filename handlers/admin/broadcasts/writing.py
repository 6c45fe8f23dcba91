"""What admins write to many: the text, for whom it is, and how it looks to them."""

from __future__ import annotations

from typing import Final

from domain.broadcasts.segments import audience_of
from handlers.admin.broadcasts.buttons import (
    AskBroadcast,
    AskRewrite,
    ChooseAudience,
    DiscardBroadcast,
    ReadBroadcast,
    SetAudience,
    ShowBroadcast,
    ShowBroadcasts,
    TestBroadcast,
)
from handlers.admin.broadcasts.menus import audiences, audiences_menu, back, broadcast_card, list_menu, to_card
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.broadcasts.broadcasts import BroadcastService
from services.broadcasts.composing import news_message
from services.broadcasts.markup import MAX_UTF16

WRITE: Final = "broadcast_new"
REWRITE: Final = "broadcast_text"
"""Kinds of questions; the payload of the second is the packed data of the button that asked."""
_LISTED: Final = 6


class AdminBroadcastsMixin(BotBase):
    @command("broadcast", help="help.broadcast", admin="read_only", topic="people")
    async def broadcast(self, turn: Turn) -> None:
        found = await self.services.of(BroadcastService).latest(_LISTED)
        await self.show(turn, list_menu(view_of(self.services, turn), found))

    @callback(ShowBroadcasts, admin="read_only")
    async def show_broadcasts(self, turn: Turn, _data: ShowBroadcasts) -> None:
        await self.broadcast(turn)

    @callback(ShowBroadcast, admin="read_only")
    async def show_broadcast(self, turn: Turn, data: ShowBroadcast) -> None:
        await self._show_broadcast(turn, data.broadcast_id)

    async def _show_broadcast(self, turn: Turn, broadcast_id: str) -> None:
        standing = await self.services.of(BroadcastService).standing(broadcast_id)
        await self.show(turn, broadcast_card(view_of(self.services, turn), standing))

    @callback(ReadBroadcast, admin="read_only")
    async def read_broadcast(self, turn: Turn, data: ReadBroadcast) -> None:
        """Show it in place of the menu, as people get it but for their button."""
        one = await self.services.of(BroadcastService).require(data.broadcast_id)
        view = view_of(self.services, turn)
        await self.show(turn, message(one.html, keyboard=((to_card(view, one.id),),)))

    @callback(AskBroadcast, admin="owner")
    async def ask_broadcast(self, turn: Turn, _data: AskBroadcast) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, WRITE, "")
        await self.show(turn, message(view.html("broadcast.ask", limit=f"{MAX_UTF16:,}"), keyboard=(back(view),)))

    @text_input(WRITE, admin="owner", acts="write broadcast")
    async def typed_broadcast(self, turn: Turn, _payload: str) -> None:
        try:
            broadcast_id = await self.services.of(BroadcastService).draft(turn.text, turn.user_id)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self._written(turn, broadcast_id)

    @callback(AskRewrite, admin="owner")
    async def ask_rewrite(self, turn: Turn, data: AskRewrite) -> None:
        one = await self.services.of(BroadcastService).require(data.broadcast_id)
        await self.services.conversation.inputs.expect(turn.user_id, REWRITE, data.pack())
        view = view_of(self.services, turn)
        ask = view.html("broadcast.ask", limit=f"{MAX_UTF16:,}")
        await self.show(turn, message(ask, keyboard=((to_card(view, one.id),),)))

    @text_input(REWRITE, admin="owner", acts="rewrite broadcast")
    async def typed_rewrite(self, turn: Turn, payload: str) -> None:
        data = AskRewrite.unpack(payload)
        try:
            await self.services.of(BroadcastService).rewrite(data.broadcast_id, turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self._written(turn, data.broadcast_id)

    async def _written(self, turn: Turn, broadcast_id: str) -> None:
        """Show it as people will get it, and below that what may be done with it."""
        await self.services.conversation.inputs.cancel(turn.user_id)
        one = await self.services.of(BroadcastService).require(broadcast_id)
        await self.reply(turn, message(one.html))
        await self._show_broadcast(turn, broadcast_id)

    @callback(TestBroadcast, admin="owner", acts="test broadcast")
    async def test_broadcast(self, turn: Turn, data: TestBroadcast) -> str:
        one = await self.services.of(BroadcastService).require(data.broadcast_id)
        await self.reply(turn, news_message(self.services.conversation.texts, one.html, turn.language))
        return view_of(self.services, turn).plain("value.tested")

    @callback(ChooseAudience, admin="owner")
    async def ask_audience(self, turn: Turn, data: ChooseAudience) -> None:
        broadcasts = self.services.of(BroadcastService)
        one = await broadcasts.require(data.broadcast_id)
        counts = [(each, await broadcasts.people(each)) for each in audiences(await broadcasts.languages())]
        await self.show(turn, audiences_menu(view_of(self.services, turn), one, counts))

    @callback(SetAudience, admin="owner", acts="aim broadcast")
    async def set_audience(self, turn: Turn, data: SetAudience) -> None:
        audience = audience_of(data.segment, data.language)
        if audience is None:
            raise UserFacingError("callback.stale")
        await self.services.of(BroadcastService).aim(data.broadcast_id, audience)
        await self._show_broadcast(turn, data.broadcast_id)

    @callback(DiscardBroadcast, admin="owner", acts="discard broadcast")
    async def discard_broadcast(self, turn: Turn, data: DiscardBroadcast) -> None:
        await self.services.of(BroadcastService).discard(data.broadcast_id)
        await self.broadcast(turn)
