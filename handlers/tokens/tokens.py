"""A pasted address, link or ticker: the token's figures, who called it here, and what became of that."""

from __future__ import annotations

from contextlib import suppress

from domain.calls.addresses import is_address
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.messages import Message
from domain.posts.pasted import asks_of_token, no_token_in, parted, ticker_named, tokens_in
from domain.reading.typed import clip
from domain.watches.reading import read_conditions
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, recognised
from handlers.tokens import menus
from handlers.tokens.buttons import ShowToken
from handlers.watches.menus import offer_watch
from runtime.errors import UserFacingError
from services.tokens.tokens import KnownToken, TokenKnowledge
from services.watches.watches import WatchesService


class TokensMixin(BotBase):
    @recognised(asks_of_token, needs=TokenKnowledge)
    async def token_pasted(self, turn: Turn, text: str) -> None:
        named = tokens_in(text)
        if not named:
            ticker, left_out = ticker_named(text), no_token_in(text)
            if ticker is None and left_out is not None:
                await self.reply(turn, message(menus.no_token(view_of(self.services, turn), left_out)))
            else:
                await self._by_ticker(turn, ticker or "")
            return
        known = await self.services.of(TokenKnowledge).find(turn.user_id, named)
        if known is None:
            unknown = view_of(self.services, turn).html("token.unknown", address=named[0].address)
            await self.reply(turn, message(unknown))
        else:
            await self.reply(turn, await self._card(turn, known))
            await self._offer_watch(turn, known, parted(text)[1])

    async def _offer_watch(self, turn: Turn, known: KnownToken, typed: str) -> None:
        """Whoever writes `ADDRESS 2x` wants to be told when it gets there; the card alone would not say how."""
        watches = self.services.find(WatchesService)
        if watches is None or not typed:
            return
        address = known.token.address
        with suppress(UserFacingError):  # it is something else, as in a post that was pasted whole
            meant = read_conditions(typed, await watches.figures(address))
            name = await watches.name(address)
            await self.reply(turn, offer_watch(view_of(self.services, turn), address, name, clip(typed), meant))

    async def _by_ticker(self, turn: Turn, ticker: str) -> None:
        """A ticker is anybody's: only tokens that were called here are meant."""
        await self.services.subscribers.subscribers.require(turn.user_id)
        view = view_of(self.services, turn)
        found = await self.services.of(WatchesService).find(turn.user_id, ticker)
        if len(found) == 1:
            known = await self.services.of(TokenKnowledge).of(turn.user_id, found[0].address)
            if known is not None:
                await self.reply(turn, await self._card(turn, known))
                return
        if found:
            await self.reply(turn, menus.which(view, clip(ticker), found, self.services.conversation.clock()))
        else:
            unknown = view.html("token.unknown_ticker", ticker=clip(ticker), days=ACCEPTED_FOR.days)
            await self.reply(turn, message(unknown))

    @callback(ShowToken, goes_on=True, aside=True)
    async def show_token(self, turn: Turn, data: ShowToken) -> str | None:
        """Show the token, or show it anew, in the place of the message that was tapped."""
        if not is_address(data.address):
            raise UserFacingError("callback.stale")
        known = await self.services.of(TokenKnowledge).of(turn.user_id, data.address)
        if known is None:
            return view_of(self.services, turn).plain("toast.token_unknown")
        await self.show(turn, await self._card(turn, known))
        return None

    async def _card(self, turn: Turn, known: KnownToken) -> Message:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        venues = self.services.find(Venues) or NO_VENUES
        return menus.token_card(view_of(self.services, turn), known, subscriber.preferences, venues)
