"""What `doctor` says of feeds, providers, channels and accounts, with the variable that mends it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.doctor import accounts, feed
from bot.doctor.channels import channels_check
from bot.doctor.providers import provider_checks
from bot.lacking import lacks
from composition import Addresses
from composition.figures import figure_providers
from config.settings import Settings
from managers.channels.base import ChannelClosedError
from managers.feed.sources.native import NativeSource
from managers.http.api import APIRetryManager
from managers.providers.jupiter import JupiterManager
from runtime.errors import BotError, TransientError
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.providers.birdeye import BirdeyeSandbox
from tests.channels.channel_book import ChannelBook
from tests.channels.support import ALPHA
from tests.e2e.bot_process import BotProcess
from tests.e2e.test_doctor import sentences

TOKEN = "the right one"


async def said(check: Awaitable[str]) -> str:
    """Return the finding; one that is bad begins with `!`."""
    try:
        return await check
    except BotError as error:
        return f"!{error}"


@asynccontextmanager
async def served() -> AsyncGenerator[tuple[FeedSandbox, APIRetryManager]]:
    async with (
        aiohttp.ClientSession() as session,
        FeedSandbox(Market(seed=1), calls_per_s=0, heartbeat_s=0.05, token=TOKEN) as sandbox,
    ):
        yield sandbox, APIRetryManager(session)


async def test_the_http_side_is_asked_as_well_and_says_what_it_thinks_of_the_token() -> None:
    async with served() as (sandbox, api):
        right = NativeSource(sandbox.ws_url, api_url=sandbox.http_url, token=TOKEN, api=api)
        assert await said(feed.feed_check(right)) == "native: connected, data comes"
        assert (await said(feed.past_check(right))).startswith("answers; its newest call is number")
        wrong = NativeSource(sandbox.ws_url, api_url=sandbox.http_url, token="no", api=api)
        assert "does not let us in" in (past := await said(feed.past_check(wrong)))
        assert past.endswith("check FEED_TOKEN.")


async def test_what_a_feed_says_when_it_refuses_is_told_and_not_how_it_hangs_up() -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type": "error", "message": "a wrong token, or none"}')
        await socket.close(1008)

    async with serve(refuse, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        spoken = await said(feed.feed_check(NativeSource(f"ws://127.0.0.1:{port}/feed", token="no")))
    assert spoken == "!The feed cannot be read (it says: a wrong token, or none): check FEED_TOKEN."


async def test_a_dead_http_side_and_a_wrong_path_name_their_variables(unused_tcp_port: int) -> None:
    async with served() as (sandbox, api):
        dead = NativeSource(sandbox.ws_url, api_url=f"http://127.0.0.1:{unused_tcp_port}", token=TOKEN, api=api)
        spoken = await said(feed.past_check(dead))
        assert "does not answer (nothing listens there): check FEED_API_URL" in spoken
        no_socket = NativeSource(sandbox.http_url.replace("http", "ws", 1), token=TOKEN)
        feed_said = await said(feed.feed_check(no_socket))
        assert feed_said.startswith("!The feed cannot be read")
        assert "HTTP 40" in feed_said


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        ("server rejected WebSocket connection: HTTP 403", "check the path in FEED_URL"),
        ("server rejected WebSocket connection: HTTP 401", "check FEED_TOKEN and FEED_URL"),
        ("OSError: Connect call failed", "check FEED_URL and FEED_SOURCE"),
    ],
)
def test_what_a_handshake_says_is_about_the_path_before_the_token(problem: str, advice: str) -> None:
    assert advice in feed._unread(problem)  # pyright: ignore[reportPrivateUsage]


def at_port(port: int, birdeye_url: str) -> Addresses:
    nowhere = f"http://127.0.0.1:{port}"
    return Addresses(
        telegram_token="",
        telegram_api_base="",
        source="channels",
        feed_url="",
        feed_api_url=None,
        feed_token=None,
        redis_url="",
        database_url="",
        birdeye_key="wrong",
        birdeye_url=birdeye_url,
        price_api_url=nowhere,
        dexscreener_url=nowhere,
        geckoterminal_url=nowhere,
        rugcheck_url=nowhere,
        goplus_url=nowhere,
    )


async def test_who_is_asked_about_tokens_is_asked_and_their_variables_are_named(unused_tcp_port: int) -> None:
    names = {
        "jupiter": "PRICE_API_URL",
        "dexscreener": "DEXSCREENER_URL",
        "geckoterminal": "GECKOTERMINAL_URL",
        "rugcheck": "RUGCHECK_URL",
        "goplus": "GOPLUS_URL",
        "birdeye": "BIRDEYE_API_KEY",
    }
    async with aiohttp.ClientSession() as session, BirdeyeSandbox() as birdeye:
        api = APIRetryManager(session)
        at = at_port(unused_tcp_port, birdeye_url=birdeye.url)
        jupiter = JupiterManager(api, at.price_api_url)
        checks = provider_checks(figure_providers(at, api, jupiter), [jupiter])
        assert checks.keys() == names.keys()
        for name, check in checks.items():
            spoken = await said(check())
            assert spoken.startswith(f"!{name}"), spoken
            assert names[name] in spoken
            assert ("does not let us in" if name == "birdeye" else "nothing listens there") in spoken
        priced = await said(provider_checks([], [jupiter])["jupiter"]())
        assert "PRICE_API_URL" in priced


async def test_channels_that_cannot_be_read_name_the_variable_that_mends_it() -> None:
    book = ChannelBook()
    book.problems[ALPHA] = ChannelClosedError(ALPHA, "not_found")
    spoken = await said(channels_check(book, [ALPHA]))
    assert "nobody has this name" in spoken
    assert "CHANNELS" in spoken
    book.problems.clear()
    book.problem = TransientError("Connect call failed")
    assert "PREVIEW_URL" in await said(channels_check(book, [ALPHA]))


def session_file(path: Path, *, key: bytes | None) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE sessions (dc_id INTEGER, auth_key BLOB)")
    if key is not None:
        database.execute("INSERT INTO sessions VALUES (2, ?)", (key,))
    database.commit()
    database.close()


async def test_accounts_that_cannot_listen_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "telethon", lambda: None)  # it is installed only where accounts listen
    nowhere = tmp_path / "nowhere"
    assert "correct TELEGRAM_SESSIONS" in await said(accounts.accounts_check([nowhere], named=True))
    assert "main.py login NAME" in await said(accounts.accounts_check([nowhere], named=False))
    (tmp_path / "ann.session").touch()
    assert "ann.session: it is empty" in await said(accounts.accounts_check([tmp_path], named=True))
    (tmp_path / "ann.session").write_bytes(b"what is this" * 100)
    assert "it is no session file" in await said(accounts.accounts_check([tmp_path], named=True))
    (tmp_path / "ann.session").unlink()
    session_file(tmp_path / "ann.session", key=None)
    assert "nobody is logged in with it" in await said(accounts.accounts_check([tmp_path], named=True))
    (tmp_path / "ann.session").unlink()
    session_file(tmp_path / "ann.session", key=b"k" * 256)
    before = (tmp_path / "ann.session").read_bytes()
    assert (await said(accounts.accounts_check([tmp_path], named=True))).startswith("1 logged in: ann")
    assert (tmp_path / "ann.session").read_bytes() == before


async def test_channels_beside_another_feed_are_told(data_dir: Path, unused_tcp_port: int) -> None:
    environment = {
        "DATA_DIR": str(data_dir),
        "SANDBOX_PORT": "0",
        "HTTP_PORT": "0",
        "CHANNELS": "@alpha_calls",
        "FEED_URL": f"ws://127.0.0.1:{unused_tcp_port}/feed",
        "FEED_API_URL": f"http://127.0.0.1:{unused_tcp_port}",
    }
    async with BotProcess(environment, "doctor") as bot:
        assert await bot.exit_code() == 1, bot.output
    spoken = sentences(bot.output)
    assert "CHANNELS are named, and not read" in spoken
    assert "check FEED_API_URL" in spoken


def test_what_a_part_of_the_work_lacks_is_said_for_what_it_is() -> None:
    said_of = {role: " ".join(lacks(Settings(), role)) for role in ("listen", "ingest", "match")}
    assert "servers that all parts share: set TELEGRAM_BOT_TOKEN, REDIS_URL, DATABASE_URL." in said_of["match"]
    assert "has to show a token: set LISTEN_TOKEN" in said_of["listen"]
    assert "LISTEN_TOKEN" not in said_of["match"]
    assert "set FEED_URL" in said_of["ingest"]
