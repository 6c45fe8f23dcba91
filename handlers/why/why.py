"""Why a call came, and why another did not; and what was made of a channel's post."""

from __future__ import annotations

from msgspec.structs import replace

from domain.buttons.cards import ShowWhy
from domain.calls.addresses import find_addresses, is_address
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.channels.names import is_post_link, is_private_post_link, names_private_post, post_named
from domain.posts.pasted import ticker_in
from domain.reading.typed import clip
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, recognised
from handlers.why import cards as why_cards
from handlers.why.buttons import ShowNearMisses, WhyToken
from handlers.why.misses import near_misses_card, which_token
from handlers.why.posts import answer_post
from runtime.errors import UserFacingError
from services.channels.group import ChannelServices
from services.watches.watches import WatchesService


class WhyMixin(BotBase):
    """Near misses, and the explanation of any token or post of the last 14 days."""

    @command("why", help="help.why", takes=True, goes_on=True)
    async def why(self, turn: Turn) -> None:
        _, _, asked = turn.text.partition(" ")
        if post := post_named(asked):
            await answer_post(self, turn, *post)
            return
        if names_private_post(asked) and not find_addresses(asked):
            await self.private_post_linked(turn, asked)
            return
        if asked.strip():
            await self._explain(turn, asked)
            return
        misses = await self.services.why.explanations.near_misses(turn.user_id)
        await self.reply(turn, near_misses_card(view_of(self.services, turn), misses, 0))

    @callback(ShowNearMisses, goes_on=True, aside=True)
    async def show_near_misses(self, turn: Turn, data: ShowNearMisses) -> None:
        misses = await self.services.why.explanations.near_misses(turn.user_id)
        await self.show(turn, near_misses_card(view_of(self.services, turn), misses, data.page))

    @callback(ShowWhy, goes_on=True, aside=True)
    async def show_why(self, turn: Turn, data: ShowWhy) -> str | None:
        """Answer the alert whose button this is with a new message, which quotes it."""
        view = view_of(self.services, turn)
        found = await self.services.why.explanations.why_call(turn.user_id, data.address, data.tag)
        if found is None:
            return view.plain("toast.why_gone", days=ACCEPTED_FOR.days)
        card = why_cards.explanation_card(view, found, self.services.conversation.clock())
        await self.reply(turn, replace(card, reply_to=turn.menu_id))
        return None

    @recognised(is_post_link, needs=ChannelServices)
    async def post_linked(self, turn: Turn, link: str) -> None:
        if post := post_named(link):
            await answer_post(self, turn, *post)

    @recognised(is_private_post_link, needs=ChannelServices)
    async def private_post_linked(self, turn: Turn, _link: str) -> None:
        await self.services.subscribers.subscribers.require(turn.user_id)
        await self.reply(turn, message(view_of(self.services, turn).html("post.private")))

    @callback(WhyToken, goes_on=True)
    async def why_token(self, turn: Turn, data: WhyToken) -> None:
        if not is_address(data.address):
            raise UserFacingError("callback.stale")
        await self._explain(turn, data.address)

    async def _explain_ticker(self, turn: Turn, ticker: str) -> bool:
        """Explain the token that is called so, or ask which of several; `False`: none is known."""
        watches, view = self.services.find(WatchesService), view_of(self.services, turn)
        found = await watches.find(turn.user_id, ticker) if watches else []
        if len(found) == 1:
            await self._explain(turn, found[0].address)
        elif found:
            await self.reply(turn, which_token(view, clip(ticker), found, self.services.conversation.clock()))
        return bool(found)

    async def _explain(self, turn: Turn, asked: str) -> None:
        view = view_of(self.services, turn)
        addresses = find_addresses(asked)
        # A link may hold the address of a pool: then another address beside it is the token.
        for address in addresses:
            found = await self.services.why.explanations.why_token(turn.user_id, address)
            if found:
                await self.reply(turn, why_cards.explanation_card(view, found, self.services.conversation.clock()))
                return
        await self.services.subscribers.subscribers.require(turn.user_id)
        if addresses:
            await self.reply(turn, message(view.html("why.no_calls", address=addresses[0], days=ACCEPTED_FOR.days)))
            return
        ticker = ticker_in(asked)
        if await self._explain_ticker(turn, ticker or asked.strip()):
            return
        if ticker:
            unknown = view.html("why.no_ticker", ticker=clip(ticker), days=ACCEPTED_FOR.days)
        else:
            unknown = view.html("why.no_address", typed=clip(asked.strip()))
        await self.reply(turn, message(unknown))
