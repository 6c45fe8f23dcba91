"""Everything outside the bot for a benchmark of the whole program, each part in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from redis import asyncio as redis

from benchmarks.kit.feed import feed_part
from benchmarks.kit.processes import Part, in_own_process
from benchmarks.kit.subscribers import fill
from benchmarks.kit.telegram import TOKEN, Received, telegram_part
from benchmarks.kit.traffic import Mix
from domain.filters.registry import FilterSet
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from migrations import migrate
from sandbox.telegram.limits import FloodLimits
from services.stores import keys

NO_DELAY = (0.0, 0.0)


class Fates(Struct, frozen=True, kw_only=True):
    """What became of accepted pairs, as the servers have it when the bot has stopped."""

    accepted: int
    """Records of accepted (token, subscriber) pairs in Redis."""
    sent: int
    """Alerts in the messages that Telegram let in."""
    held: int
    """Alerts that wait for a digest."""
    waiting: int
    """Alerts in the outbox."""
    dead: int
    twice: int

    @property
    def lost(self) -> int:
        return abs(self.accepted - self.sent - self.held - self.waiting)


class Outside:
    def __init__(self, directory: Path, redis_url: str, postgres_dsn: str, feed: Part, telegram: Part) -> None:
        self.directory = directory
        self.redis_url = redis_url
        self.postgres_dsn = postgres_dsn
        self.feed = feed
        self.telegram = telegram

    async def settings(self) -> dict[str, str]:
        """The environment that makes the bot work on it."""
        return {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_BASE": await self.telegram.ask("url"),
            "FEED_SOURCE": "native",
            "FEED_URL": await self.feed.ask("url"),
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.postgres_dsn,
        }

    async def waiting(self) -> int:
        """Alerts in the outbox."""
        async with redis.Redis.from_url(self.redis_url) as client:  # pyright: ignore[reportUnknownMemberType] - untyped
            return await _total(client, keys.OUTBOX, "XLEN")

    async def fates(self) -> Fates:
        received: Received = await self.telegram.ask("received")
        async with redis.Redis.from_url(self.redis_url) as client:  # pyright: ignore[reportUnknownMemberType] - untyped
            return Fates(
                accepted=len(await _names(client, keys.ACCEPTED_TOKEN)),
                sent=sum(arrival.alerts for arrival in received.arrivals),
                held=await _total(client, keys.HELD_CALLS, "HLEN"),
                waiting=await _total(client, keys.OUTBOX, "XLEN"),
                dead=await _total(client, keys.DEAD_LETTERS, "XLEN"),
                twice=received.twice,
            )


async def _names(client: Any, key: keys.RedisKey) -> list[bytes]:
    pattern = key.pattern.replace("{}", "*")
    return [name async for name in client.scan_iter(match=pattern, count=10_000)]


async def _total(client: Any, key: keys.RedisKey, command: str) -> int:
    lengths = [cast("int", await client.execute_command(command, name)) for name in await _names(client, key)]
    return sum(lengths)


@asynccontextmanager
async def outside(
    sets: Iterable[FilterSet],
    mix: Mix,
    *,
    limits: FloodLimits = FloodLimits(),  # noqa: B008 - frozen
    latency_s: tuple[float, float] = NO_DELAY,
) -> AsyncGenerator[Outside]:
    """A feed that speaks when asked to, Telegram, Redis and PostgreSQL with a subscriber for each of the sets."""
    everybody = list(sets)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-path-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        store = await stack.enter_async_context(EmbeddedRedis(directory / "redis"))
        await migrate(postgres.dsn)
        await fill(postgres.dsn, everybody)
        telegram = await stack.enter_async_context(in_own_process(telegram_part, limits, latency_s))
        await telegram.ask("add_people", [one.user_id for one in everybody])
        feed = await stack.enter_async_context(in_own_process(feed_part, mix))
        yield Outside(directory, store.url, postgres.dsn, feed, telegram)
