from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.util import find_spec

import aiohttp
import pytest

from domain.prices.readings import TokenRef
from managers.channels.preview import TelegramPreview
from managers.storage.postgres import PostgresManager
from migrations import migrate
from sandbox.channels.server import ChannelsSandbox
from services.channels.history import CallHistory
from services.channels.listed import ListedChannels
from services.channels.resolving import Resolver
from services.channels.rows import ChannelRows
from services.channels.taking import TakingService
from tests.channels.channel_book import ChannelBook
from tests.channels.support import ALPHA, NOW, Kit
from tests.feed.conftest import session

__all__ = ["session"]

collect_ignore_glob = [] if find_spec("telethon") else ["test_session*.py"]

READ_AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


async def nobody_knows(_: TokenRef) -> bool:
    return False


@pytest.fixture
async def kit(postgres_manager: PostgresManager, postgres_dsn: str) -> Kit:
    await migrate(postgres_dsn)
    rows = ChannelRows(postgres_manager)
    history = CallHistory(postgres_manager, rows, lambda: NOW)
    resolver = Resolver(lookups=[], rows=rows, is_token=nobody_knows, clock=lambda: NOW, written=history.wake)
    taking = TakingService(rows=rows, resolver=resolver, clock=lambda: NOW, written=history.wake)
    listed = ListedChannels(postgres_manager, rows, lambda: NOW)
    await listed.configured([ALPHA])
    return Kit(rows, listed, history, taking, ChannelBook())


@pytest.fixture
async def channels() -> AsyncIterator[ChannelsSandbox]:
    async with ChannelsSandbox(clock=lambda: READ_AT) as channels:
        yield channels


@pytest.fixture
def preview(channels: ChannelsSandbox, session: aiohttp.ClientSession) -> TelegramPreview:
    return TelegramPreview(session, channels.url, clock=lambda: READ_AT, timeout_s=5)
