"""The unit of the bot, played by a parent, on a machine that is a directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.deployment.manager import Service, of_this_tree
from tests.deployment.units import UNITS, Unit
from tests.e2e.conftest import data_dir, feed, telegram

__all__ = ["data_dir", "feed", "telegram"]

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def settings_of(telegram: TelegramSandbox, feed: FeedSandbox) -> Callable[..., Path]:
    """Writes what an operator writes, below a directory: settings, and secrets as files."""

    def write(root: Path, **more: str) -> Path:
        settings = {
            "TELEGRAM_API_BASE": telegram.url,
            "PAY_WITH_STARS": "true",
            "FEED_SOURCE": "native",
            "FEED_URL": feed.ws_url,
            "FEED_API_URL": feed.http_url,
            "PRICE_API_URL": NOWHERE,
            "DEXSCREENER_URL": NOWHERE,
            "GECKOTERMINAL_URL": NOWHERE,
            "HTTP_PORT": "0",
            **more,
        }
        secrets = root / "etc" / "token-filter-bot" / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / "telegram_bot_token").write_text(f"{telegram.token}\n")
        (secrets / "feed_token").write_text(f"{feed.token}\n")
        path = root / "etc" / "token-filter-bot.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    return write


@pytest.fixture
async def played(data_dir: Path) -> AsyncIterator[Callable[..., Service]]:
    """Plays a unit; without one, that of the bot. Everything is over when the test is."""
    async with AsyncExitStack() as stack:

        def play(unit: Unit | None = None, *, instance: str = "", pace: float = 1.0) -> Service:
            runtime = data_dir / "run"
            runtime.mkdir(exist_ok=True)
            (data_dir / "etc" / "token-filter-bot" / "secrets").mkdir(parents=True, exist_ok=True)
            (data_dir / "etc" / "token-filter-bot.env").touch()
            chosen = of_this_tree(unit or Unit.read(UNITS / "token-filter-bot.service"), data_dir)
            service = Service(chosen, runtime, instance=instance, pace=pace)
            stack.push_async_callback(service.close)
            return service

        yield play
