"""The whole bot, on a Telegram that takes messages as fast as they come: what is tested here is what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from composition import Addresses
from runtime.limit import Limit
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.conftest import bot, data_dir, feed

__all__ = ["bot", "data_dir", "feed", "telegram", "unhurried"]


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox(limits=FloodLimits.off()) as server:
        yield server


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.e2e.conftest.Addresses", partial(Addresses, private_chats=Limit(100, 1.0)))
