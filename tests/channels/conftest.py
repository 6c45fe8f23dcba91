from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest

from managers.channels.preview import TelegramPreview
from sandbox.channels.server import ChannelsSandbox
from tests.feed.conftest import session

__all__ = ["session"]

READ_AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
async def channels() -> AsyncIterator[ChannelsSandbox]:
    async with ChannelsSandbox() as channels:
        yield channels


@pytest.fixture
def preview(channels: ChannelsSandbox, session: aiohttp.ClientSession) -> TelegramPreview:
    return TelegramPreview(session, channels.url, clock=lambda: READ_AT, timeout_s=5)
