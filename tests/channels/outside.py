"""What a listener reads: the pages of a market's channels, and those who tell figures of its tokens.

A token's figures stay what they were when they were asked for first: who asks later is told the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from domain.calls.events import Token
from sandbox.channels.playing import PlayedChannels
from sandbox.channels.server import ChannelsSandbox
from sandbox.market.market import Market
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.goplus import GoPlusSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.pools import Pools
from sandbox.providers.rugcheck import RugCheckSandbox
from sandbox.providers.stand_in import StandIn

LISTEN_TOKEN: Final = "what readers have to show"
LOOK_S: Final = 0.05
PLENTY: Final = 100_000
"""Requests a minute of stand-ins whose limits a test is not about."""


class Outside:
    def __init__(self, seed: int, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.pools = Pools()
        self.market = Market(seed=seed)
        self.pages = ChannelsSandbox(clock=clock)
        self.played = PlayedChannels(self.market, self.pages, calls_per_s=0, pools=self.pools, clock=clock)
        self._figures: dict[str, Token] = {}
        told, plenty = self.figures, PLENTY
        self.dexscreener = DexScreenerSandbox(pools=self.pools, figures=told, requests_per_minute=plenty)
        self.gecko = GeckoTerminalSandbox(pools=self.pools, figures=told, requests_per_minute=plenty)
        self.prices = PriceSandbox(figures=told, requests_per_minute=plenty)
        self.rugcheck = RugCheckSandbox(figures=told, requests_per_minute=plenty)
        self.goplus = GoPlusSandbox(figures=told, requests_per_minute=plenty)
        self._stack = AsyncExitStack()

    @property
    def providers(self) -> tuple[StandIn, ...]:
        return (self.dexscreener, self.gecko, self.prices, self.rugcheck, self.goplus)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for part in (self.pages, *self.providers):
                await stack.enter_async_context(part)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def figures(self, address: str) -> Token | None:
        found = self._figures.get(address) or self.market.token(address, self.clock())
        if found is not None:
            self._figures[address] = found
        return found

    def post(self, times: int = 1) -> None:
        """Let channels post so much, calls and everything else."""
        for _ in range(times):
            self.played.post_next(self.clock())

    async def looked_at(self, times: int) -> None:
        """Wait until every channel's page was asked for so many times more."""
        names = [name.lower() for name in self.played.names]
        due = {name: self.pages.requests[name] + times for name in names}
        while any(self.pages.requests[name] < count for name, count in due.items()):  # noqa: ASYNC110 - a counter
            await asyncio.sleep(LOOK_S)

    @property
    def reading(self) -> dict[str, str]:
        """The settings of who reads these channels."""
        return {
            "CHANNELS": ",".join(self.played.names),
            "PREVIEW_URL": self.pages.url,
            "CHANNEL_REQUESTS_PER_MINUTE": "1800",
            "CHANNEL_PAUSE_S": "0.5",
            "DEXSCREENER_URL": self.dexscreener.url,
            "GECKOTERMINAL_URL": self.gecko.url,
            "PRICE_API_URL": self.prices.url,
            "RUGCHECK_URL": self.rugcheck.url,
            "GOPLUS_URL": self.goplus.url,
        }
