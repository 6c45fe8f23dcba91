from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from domain.calls.events import Call, Channel
from managers.feed.sources.native import NativeSource
from managers.feed.websocket import WebSocketManager
from managers.http.api import APIRetryManager
from managers.storage.postgres import PostgresUnavailableError
from runtime.clock import now
from services.channels.history import KeptCall
from tests.channels.support import ALPHA, NOW, Kit, mint
from web import channel_feed
from web.app import create_app
from web.channel_feed import ChannelFeed
from web.server import HttpServer

TOKEN: Final = "a token that is long enough"


async def nobody(_: str, __: str | None = None) -> None:
    return None


async def channel(name: str, _: str | None) -> Channel | None:
    return Channel(id=name, title="Alpha") if name == ALPHA else None


@asynccontextmanager
async def served(kit: Kit, port: int = 0) -> AsyncGenerator[HttpServer]:
    feed = ChannelFeed(history=kit.history, token=TOKEN, clock=now, channel=channel, token_of=nobody)
    app = create_app(health=lambda: nobody(""), metrics=CollectorRegistry(), routes=[feed.router])  # type: ignore[arg-type]
    async with HttpServer(app, "127.0.0.1", port) as server:
        yield server


class Reader:
    """A bot's side of the feed."""

    def __init__(self, source: NativeSource) -> None:
        self.calls: list[Call] = []
        self.came = asyncio.Event()
        self.manager = WebSocketManager(
            source=source, emit=self._take, resume_cursor=self._cursor, backoff_base_s=0.01, backoff_cap_s=0.05
        )

    def _cursor(self) -> int | None:
        return self.calls[-1].cursor if self.calls else 1

    async def _take(self, call: Call) -> None:
        self.calls.append(call)
        self.came.set()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while len(self.calls) < count:
                self.came.clear()
                await self.came.wait()
        return [call.token.address for call in self.calls]


@pytest.fixture
async def api() -> AsyncGenerator[APIRetryManager]:
    async with aiohttp.ClientSession() as session:
        yield APIRetryManager(session)


def source_at(port: int, api: APIRetryManager, token: str = TOKEN) -> NativeSource:
    place = f"127.0.0.1:{port}/feed"
    return NativeSource(f"ws://{place}", api_url=f"http://{place}", token=token, api=api)


async def test_a_bot_reads_what_was_called_while_it_was_away_and_what_comes(kit: Kit, api: APIRetryManager) -> None:
    await kit.look()
    for n in range(3):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW)
    await kit.look()
    async with served(kit) as server, asyncio.TaskGroup() as group:
        reader = Reader(source_at(server.port, api))
        reading = group.create_task(reader.manager.run())
        assert await reader.until(3) == [mint(0), mint(1), mint(2)]
        kit.book.post(ALPHA, f"CA: {mint(3)}", NOW)
        await kit.look()
        assert (await reader.until(4))[3] == mint(3)
        assert reader.calls[3].channel.id == ALPHA
        reading.cancel()


async def test_nothing_is_lost_or_told_twice_over_restarts_of_the_listener(kit: Kit, api: APIRetryManager) -> None:
    await kit.look()
    async with asyncio.TaskGroup() as group:
        async with served(kit) as server:
            port = server.port
            reader = Reader(source_at(port, api))
            reader.manager._resume_cursor = lambda: reader.calls[-1].cursor if reader.calls else 1  # pyright: ignore[reportPrivateUsage] -- it follows from what was read
            reading = group.create_task(reader.manager.run())
            kit.book.post(ALPHA, f"CA: {mint(0)}", NOW)
            await kit.look()
            await reader.until(1)
        for n in range(1, 4):
            kit.book.post(ALPHA, f"CA: {mint(n)}", NOW)
        await kit.look()
        async with served(kit, port):
            assert await reader.until(4) == [mint(n) for n in range(4)]
            reading.cancel()
    assert len(reader.calls) == 4


async def test_a_heartbeat_is_never_ahead_of_the_calls_that_were_sent(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(0)}", NOW)
    await kit.look()

    async def unavailable(_cursor: int, _limit: int) -> list[KeptCall]:
        raise PostgresUnavailableError("gone for a while")

    monkeypatch.setattr(kit.history, "since", unavailable)
    monkeypatch.setattr(channel_feed, "HEARTBEAT_S", 0.0)
    async with served(kit) as server, connect(f"ws://127.0.0.1:{server.port}/feed") as socket:
        await socket.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": 1, "token": TOKEN}))
        subscribed, beat = json.loads(await socket.recv()), json.loads(await socket.recv())
    assert subscribed["type"] == "subscribed"
    assert subscribed["cursor"] > 1
    assert (beat["type"], beat["cursor"]) == ("heartbeat", 1)


async def test_who_has_no_token_reads_nothing(kit: Kit) -> None:
    paths = ("calls?since=0", "calls?since=nonsense", f"channels/{ALPHA}", "tokens/x")
    async with served(kit) as server, aiohttp.ClientSession() as session:
        for path in paths:
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                async with session.get(f"http://127.0.0.1:{server.port}/feed/v1/{path}", headers=headers) as answer:
                    assert answer.status == HTTPStatus.UNAUTHORIZED
        for said in ('{"type":"subscribe","topics":["calls"]}', "not JSON", '{"type":"subscribe"}'):
            async with connect(f"ws://127.0.0.1:{server.port}/feed") as socket:
                await socket.send(said)
                assert '"error"' in str(await socket.recv())
                with pytest.raises(ConnectionClosed):
                    await socket.recv()


async def test_the_http_side_says_what_it_knows(kit: Kit, api: APIRetryManager) -> None:
    async with served(kit) as server:
        source = source_at(server.port, api)
        assert await source.channel(ALPHA) == Channel(id=ALPHA, title="Alpha")
        assert await source.channel("@nobody") is None
        assert await source.token(mint(1)) is None
        assert await source.calls_since(0, 10) == []


async def test_a_call_of_another_chain_is_read_with_the_link_to_its_post(kit: Kit, api: APIRetryManager) -> None:
    address = "0x52908400098527886e0f7030069857d2e4169ee7"
    await kit.look()
    kit.book.post(ALPHA, f"https://basescan.org/token/0x{address[2:].upper()}", NOW)
    await kit.look()
    async with served(kit) as server:
        [call] = await source_at(server.port, api).calls_since(1, 10)
        assert (call.token.address, call.token.chain) == (address, "base")
        assert call.link is not None
        assert call.link.startswith("https://t.me/alpha/")


async def subscribed(server: HttpServer, **wish: object) -> ClientConnection:
    socket = await connect(f"ws://127.0.0.1:{server.port}/feed")
    await socket.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": None, "token": TOKEN} | wish))
    return socket


async def test_who_has_proved_nothing_takes_no_place_from_who_has(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_feed, "MAX_READERS", 1)
    async with served(kit) as server:
        strangers = [await connect(f"ws://127.0.0.1:{server.port}/feed") for _ in range(3)]
        first, second = await subscribed(server), await subscribed(server)
        assert json.loads(await first.recv())["type"] == "subscribed"
        assert json.loads(await second.recv()) == {"type": "error", "message": "too many readers"}
        for socket in (*strangers, first, second):
            await socket.close()


async def test_a_reader_may_wish_for_something_else(kit: Kit) -> None:
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(0)}", NOW)
    await kit.look()
    async with served(kit) as server:
        socket = await subscribed(server)
        assert json.loads(await socket.recv())["type"] == "subscribed"
        await socket.send("not understood, and not needed")
        await socket.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": 1, "token": TOKEN}))
        assert json.loads(await socket.recv())["type"] == "subscribed"
        assert json.loads(await socket.recv())["token"]["address"] == mint(0)
        await socket.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": 1, "token": "another"}))
        assert json.loads(await socket.recv())["type"] == "error"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        await socket.close()


async def test_an_id_that_is_none_is_unknown(kit: Kit) -> None:
    asked: list[str] = []

    async def any_of(of: str, _: str | None = None) -> Channel:
        asked.append(of)
        return Channel(id=of, title=None)

    feed = ChannelFeed(history=kit.history, token=TOKEN, clock=now, channel=any_of, token_of=any_of)
    app = create_app(health=lambda: nobody(""), metrics=CollectorRegistry(), routes=[feed.router])  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with HttpServer(app, "127.0.0.1", 0) as server, aiohttp.ClientSession(headers=headers) as session:
        for path in ("channels/a%00b", "tokens/%00", "tokens/x?chain=%00", f"channels/{'a' * 65}", "channels/%20"):
            async with session.get(f"http://127.0.0.1:{server.port}/feed/v1/{path}") as answer:
                assert answer.status == HTTPStatus.NOT_FOUND
        async with session.get(f"http://127.0.0.1:{server.port}/feed/v1/channels/{ALPHA}") as answer:
            assert answer.status == HTTPStatus.OK
    assert asked == [ALPHA]
