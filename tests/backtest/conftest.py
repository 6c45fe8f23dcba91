"""The whole bot with a directory of its own, and a PostgreSQL in which calls of the last days are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.console import Terminal
from composition import Addresses, Composition, connect
from config.settings import Settings
from managers.storage.postgres import PostgresManager
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.server import TelegramSandbox
from tests.backtest.past import Past
from tests.e2e.conftest import data_dir, feed
from tests.wiring import AT_WILL

__all__ = ["data_dir", "feed"]


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox(limits=FloodLimits.off()) as server:
        yield server


@pytest.fixture
async def stop() -> asyncio.Event:
    """Ends the bot."""
    return asyncio.Event()


@pytest.fixture
def past(postgres_manager: PostgresManager) -> Past:
    return Past(postgres_manager)


@pytest.fixture
async def bot(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path, stop: asyncio.Event
) -> AsyncIterator[Composition]:
    """The bot as `main.py` builds it, running until the test ends."""
    at = Addresses(
        telegram_token=telegram.token,
        telegram_api_base=telegram.url,
        source="native",
        feed_url=feed.ws_url,
        feed_api_url=feed.http_url,
        feed_token=feed.token,
        price_api_url="",
        redis_url=redis_url,
        database_url=postgres_dsn,
        private_chats=AT_WILL,
    )
    async with AsyncExitStack() as stack:
        parts = await connect(at, stack, data_dir=data_dir)
        composition = Composition(Settings(), parts, Terminal())
        await stack.enter_async_context(parts.telegram)
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()
