from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from managers.http.api import APIRetryManager
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market


@pytest.fixture
async def feed() -> AsyncIterator[FeedSandbox]:
    """A feed that says only what the test lets it say, and heartbeats."""
    async with FeedSandbox(Market(seed=1), calls_per_s=0, heartbeat_s=0.05) as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
def api_manager(session: aiohttp.ClientSession) -> APIRetryManager:
    return APIRetryManager(session)
