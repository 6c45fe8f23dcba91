"""Prices that come by themselves: the feed's ticks, and what a feed counts in."""

from __future__ import annotations

from typing import Final

import structlog

from domain.calls.events import PriceTick
from managers.feed.websocket import WebSocketManager
from managers.providers.jupiter import SolPrice
from runtime.errors import TransientError
from runtime.supervision import Progress
from runtime.waiting import elapse, pause
from services.calls.tokens import TokensService

log = structlog.get_logger(__name__)

SOL_PRICE_EVERY_S: Final = 30.0
TICKS_EVERY_S: Final = 1.0


class FeedTicks:
    def __init__(self, feed: WebSocketManager, tokens: TokensService) -> None:
        self._feed = feed
        self._tokens = tokens

    def take(self) -> dict[str, PriceTick]:
        """Take in what came since the last time, and return it, by the token's address."""
        ticks = self._feed.take_ticks()
        self._tokens.take_in(ticks)
        return ticks

    async def run(self, progress: Progress) -> None:
        """Take them in for ever."""
        while True:
            progress()
            self.take()
            await elapse(TICKS_EVERY_S, progress)


async def follow_sol(price: SolPrice, progress: Progress) -> None:
    """Ask for the price of SOL for ever; the last one known counts."""
    while True:
        progress()
        try:
            await price.refresh()
        except TransientError as error:
            log.warning("sol_price_unavailable", reason=str(error))
        await pause(SOL_PRICE_EVERY_S, progress)
