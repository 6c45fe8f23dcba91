"""Every role at once, each a process under a watchdog: one that does everything, and five that divide the work."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bot.roles import ROLES, Role
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, subscribe
from tests.e2e.notify_socket import NotifySocket


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """The servers of those who work together."""

    redis_url: str
    postgres_dsn: str
    feed: FeedSandbox
    telegram: TelegramSandbox


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    bot: BotProcess
    socket: NotifySocket
    data_dir: Path

    def complaints(self) -> list[str]:
        """Return what its log says about jobs that hang."""
        return [line for line in (self.data_dir / "logs" / "bot.log").read_text().splitlines() if "jobs_stuck" in line]


class FiveRoles:
    """Somebody has subscribed on each side, and wants every call."""

    def __init__(self, directory: Path, *, redis_urls: tuple[str, str], postgres_dsns: tuple[str, str]) -> None:
        """The first of the servers are for the one that does everything, the second for those that share."""
        self._directory = directory
        self._servers = tuple(zip(redis_urls, postgres_dsns, strict=True))
        self._sides: list[Side] = []
        self.watched: dict[Role, Watched] = {}

    async def start(self, stack: AsyncExitStack, **environment: str) -> None:
        """Start everything; `stack` ends it."""
        for redis_url, postgres_dsn in self._servers:
            market = Market(seed=len(self._sides))
            feed = await stack.enter_async_context(FeedSandbox(market, calls_per_s=0, ticks_per_s=0, heartbeat_s=1))
            telegram = await stack.enter_async_context(TelegramSandbox())
            self._sides.append(Side(redis_url=redis_url, postgres_dsn=postgres_dsn, feed=feed, telegram=telegram))
        for role in ROLES:
            self.watched[role] = await self._started(role, stack, environment)
        await asyncio.gather(*(watched.bot.says("Ready after") for watched in self.watched.values()))
        for side in self._sides:
            await subscribe(side.telegram.user("Ann"), "everything")

    def play(self, calls_per_s: float) -> None:
        """Let both feeds bring so much, and prices."""
        for side in self._sides:
            side.feed.set_rate(calls_per_s, calls_per_s)

    def alerts(self) -> tuple[int, ...]:
        """Return how many messages each of the two Telegrams took."""
        return tuple(side.telegram.stats.requests["sendMessage"] for side in self._sides)

    async def _started(self, role: Role, stack: AsyncExitStack, environment: dict[str, str]) -> Watched:
        side = self._sides[0 if role == "all" else 1]
        data_dir = self._directory / role
        socket = await stack.enter_async_context(NotifySocket(self._directory / f"{role}.notify"))
        ours = process_environment(
            telegram=side.telegram,
            redis_url=side.redis_url,
            postgres_dsn=side.postgres_dsn,
            data_dir=data_dir,
            FEED_SOURCE="native",
            FEED_URL=side.feed.ws_url,
            FEED_API_URL=side.feed.http_url,
            FEED_TOKEN=side.feed.token,
            NOTIFY_SOCKET=str(socket.path),
            **environment,
        )
        bot = await stack.enter_async_context(BotProcess(ours, "run", "--role", role))
        return Watched(bot=bot, socket=socket, data_dir=data_dir)
