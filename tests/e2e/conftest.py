"""The whole bot: in this process for dialogues, as a process of its own where it has to die."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_
from pathlib import Path
from typing import Any

import pytest

from bot.console import Terminal
from composition import Addresses, Composition, NowPaymentsAccess, ProcessConfig, SolanaAccess, connect
from composition.addresses import ChannelAccess
from composition.connections import ChannelConnection
from config.settings import Settings
from domain.filters.registry import FIELDS
from runtime.limit import Limit
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.stores import keys
from tests.channels.channel_book import ChannelBook
from tests.wiring import AT_WILL


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """Takes messages as fast as they come."""
    async with TelegramSandbox(limits=FloodLimits.off()) as server:
        yield server


@pytest.fixture
async def feed() -> AsyncIterator[FeedSandbox]:
    """A feed that says only what a test publishes."""
    async with FeedSandbox(Market(seed=1), calls_per_s=0, ticks_per_s=0, heartbeat_s=0.5) as server:
        yield server


ADMIN = 77


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not pytest's own: another session may close that to the embedded server's user."""
    directory = Path(tempfile.mkdtemp(prefix="bot-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def bot(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> AsyncIterator[Composition]:
    """The bot as `main.py` builds it, running until the test ends."""
    async with running(telegram, feed, redis_url, postgres_dsn) as composition:
        yield composition


@asynccontextmanager
async def running(
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    redis_url: str,
    postgres_dsn: str,
    settings: Settings | None = None,
    private_chats: Limit = AT_WILL,
) -> AsyncGenerator[Composition]:
    """The bot as `main.py` builds it, running until the block ends."""
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
        private_chats=private_chats,
    )
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts = await connect(at, stack)
        composition = Composition(settings or Settings(admin_chat_ids=frozenset({ADMIN})), parts, Terminal())
        await stack.enter_async_context(parts.telegram)
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()


async def composed(
    stack: AsyncExitStack,
    redis_url: str,
    postgres_dsn: str,
    place: ProcessConfig | None = None,
    settings: Settings | None = None,
    *,
    whole: bool = False,
) -> Composition:
    """The bot as `main.py` builds it, on real stores and nothing else; it is not run. `whole`: with every setting."""
    nowhere = "127.0.0.1:9"
    more = everything_set(nowhere) if whole else {}
    at = Addresses(
        telegram_token="1:A",
        telegram_api_base=f"http://{nowhere}",
        source="native",
        feed_url=f"ws://{nowhere}/",
        feed_api_url=None,
        feed_token=None,
        price_api_url=f"http://{nowhere}" if whole else "",
        redis_url=redis_url,
        database_url=postgres_dsn,
        **more,
    )
    directory = Path(tempfile.mkdtemp(prefix="composed-")) if whole else None
    if directory is not None:
        stack.callback(shutil.rmtree, directory)
    connections = await connect(at, stack, data_dir=directory)
    if whole:
        connections = with_(connections, channels=ChannelConnection(ChannelBook(), ChannelAccess(url="")))
    await connections.redis.set(keys.EPOCH.of(), "complete", nx=True)  # a bot that runs has filled it
    return Composition(settings or Settings(), connections, Terminal(), place)


def everything_set(nowhere: str) -> dict[str, Any]:
    """What an operator may configure beside the stores."""
    wallet = "So11111111111111111111111111111111111111112"
    return {
        "dexscreener_url": f"http://{nowhere}",
        "geckoterminal_url": f"http://{nowhere}",
        "solana": SolanaAccess(wallet=wallet, usdc_mint=wallet, rpc_urls=(f"http://{nowhere}",)),
        "nowpayments": NowPaymentsAccess(url=f"http://{nowhere}", api_key="k", ipn_secret="s"),
    }


async def subscribe(user: SandboxUser, preset: str) -> None:
    """Say /start and take a preset, as a person would."""
    await user.send("/start")
    offer = await user.next_message(where=lambda m: "reply_markup" in m)
    await user.tap_data(offer, f"preset:{preset}")


async def set_filter(user: SandboxUser, key: str, typed: str) -> JsonObject:
    """Open a filter of the first set in the menus and type a value; returns the bot's answer."""
    group = next(field.group for field in FIELDS if field.key == key)
    await user.send("/settings")
    for step in ("set:1", f"group:1:{group}", f"field:1:{key}"):
        menu = await user.next_message(where=lambda m, step=step: _offers(m, step))
        await user.tap_data(menu, step)
    await user.next_message(where=lambda m: "end me" in text_of(m))
    await user.send(typed)
    return await user.next_message()


def _offers(message: JsonObject, data: str) -> bool:
    return any(button["callback_data"] == data for button in callback_buttons(message))


def text_of(message: JsonObject) -> str:
    """What a person reads: the text, or what stands under a picture."""
    return message.get("text") or message.get("caption") or ""


def process_environment(
    *, telegram: TelegramSandbox, redis_url: str, postgres_dsn: str, data_dir: Path, **more: str
) -> dict[str, str]:
    """What a person would put into `.env` for servers of their own."""
    return {
        "TELEGRAM_BOT_TOKEN": telegram.token,
        "PAY_WITH_STARS": "true",
        "TELEGRAM_API_BASE": telegram.url,
        "REDIS_URL": redis_url,
        "DATABASE_URL": postgres_dsn,
        "DATA_DIR": str(data_dir),
        "HTTP_PORT": "0",
        **more,
    }
