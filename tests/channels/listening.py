"""The whole bot, reading channels of a `ChannelBook`: they are its feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from bot.console import Terminal
from composition import Addresses, Composition, OwnFeed, connect
from composition.addresses import ChannelAccess
from composition.connections import ChannelConnection
from config.settings import Settings
from managers.channels.base import ChannelReader
from sandbox.telegram.server import TelegramSandbox
from services.monitoring.group import MonitoringServices
from tests.channels.support import ALPHA
from tests.e2e.conftest import ADMIN
from tests.wiring import AT_WILL
from web.app import create_app
from web.server import HttpServer

TOKEN: Final = "a token that is long enough"
SETTINGS: Final = Settings(
    admin_chat_ids=frozenset({ADMIN}),
    feed_source="channels",
    channels=(ALPHA,),
    channel_pause_s=0.5,
    channel_requests_per_minute=6_000,
)


def connection_of(reader: ChannelReader) -> ChannelConnection:
    """Look as often as may be."""
    return ChannelConnection(reader, ChannelAccess(url="", channels=(ALPHA,), requests_per_s=100.0, pause_s=0.5))


@asynccontextmanager
async def listening(
    telegram: TelegramSandbox,
    reader: ChannelReader,
    redis_url: str,
    postgres_dsn: str,
    settings: Settings = SETTINGS,
) -> AsyncGenerator[Composition]:
    """The bot as `main.py` builds it, running until the block ends."""
    at = Addresses(
        telegram_token=telegram.token,
        telegram_api_base=telegram.url,
        source="channels",
        feed_url="",
        feed_api_url=None,
        feed_token=None,
        price_api_url="",
        redis_url=redis_url,
        database_url=postgres_dsn,
        listen_token=TOKEN,
        private_chats=AT_WILL,
    )
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts = replace(await connect(at, stack), channels=connection_of(reader))
        composition = Composition(settings, parts, Terminal())
        await stack.enter_async_context(parts.telegram)
        await stack.enter_async_context(edge_of(composition))
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()


@asynccontextmanager
async def edge_of(composition: Composition) -> AsyncGenerator[HttpServer]:
    """Serve what the bot reads its own channels from, on loopback."""
    app = create_app(
        health=composition.of(MonitoringServices).monitor.health_document,
        metrics=composition.metrics.registry,
        routes=composition.routes,
    )
    async with HttpServer(app, "127.0.0.1", 0) as server:
        composition.of(OwnFeed).serves_at("127.0.0.1", server.port)
        yield server
