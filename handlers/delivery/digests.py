"""Digests that tell of more calls than one message holds."""

from __future__ import annotations

from domain.buttons.cards import ShowDigest
from domain.delivery.messages import Message
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import lines, message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command
from handlers.delivery.standing import what_is_held
from services.delivery.digest_lines import CALLS_SHOWN
from services.delivery.digest_pages import DigestPages, DigestPlace


class DigestsMixin(BotBase):
    @command("digest", help="help.digest", goes_on=True)
    async def digest(self, turn: Turn) -> None:
        """The last one, which may stand in a group."""
        view = view_of(self.services, turn)
        last = await self.services.of(DigestPages).last(turn.user_id)
        page = None if last is None else await self._digest_page(turn, last, ShowDigest(0, last.message_id))
        if page is None:
            subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
            waits = await what_is_held(self.services, view, subscriber)
            page = message(lines(view.html("digest.none"), waits))
        await self.reply(turn, page)

    @callback(ShowDigest, goes_on=True, aside=True)
    async def show_digest(self, turn: Turn, data: ShowDigest) -> str | None:
        page = None
        if data.message_id:
            last = await self.services.of(DigestPages).last(turn.user_id, data.message_id)
            page = None if last is None else await self._digest_page(turn, last, data)
        elif turn.menu_id is not None:
            page = await self._digest_page(turn, DigestPlace(turn.chat_id, turn.menu_id), data)
        if page is None:
            return view_of(self.services, turn).plain("digest.not_yet")
        await self.show(turn, page)
        return None

    async def _digest_page(self, turn: Turn, place: DigestPlace, asked: ShowDigest) -> Message | None:
        pages, view = self.services.of(DigestPages), view_of(self.services, turn)
        calls, in_order = await pages.calls(turn.user_id, place)
        if not calls:
            return None
        page = Page.at(asked.page, total=len(calls), per_page=CALLS_SHOWN)
        shown, first = page.of(calls), page.start + 1
        return message(
            view.html(
                "digest.page" if in_order else "digest.page_anew",
                first=first,
                last=page.start + len(shown),
                count=len(calls),
            ),
            await pages.lines(shown, turn.language, first),
            keyboard=page.turning(view, lambda number: ShowDigest(number, asked.message_id)),
        )
