from __future__ import annotations

import asyncio
import json
import zlib
from itertools import pairwise

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sandbox.feed.server import FeedSandbox
from sandbox.market import media as market_media
from sandbox.market.market import Market
from sandbox.telegram.media import picture_size
from tests.feed.support import a_call

SUBSCRIBE = '{"type":"subscribe","topics":["calls","prices"]}'


async def next_call(socket: ClientConnection) -> dict[str, object]:
    while (frame := json.loads(await socket.recv()))["type"] != "call":
        pass
    return frame


async def test_the_market_plays_at_the_rate_that_is_set():
    async with (
        FeedSandbox(Market(seed=4), calls_per_s=400, ticks_per_s=400) as feed,
        connect(feed.ws_url, close_timeout=0.1) as socket,
    ):
        await socket.send(SUBSCRIBE)
        frames = [json.loads(await socket.recv()) for _ in range(500)]
        feed.set_rate(0)
        stopped = feed.stats
        feed.set_rate(3_000, 0)
        while feed.stats.calls_emitted < stopped.calls_emitted + 1_000:
            frames.append(json.loads(await socket.recv()))
    assert frames[0]["type"] == "subscribed"
    assert {frame["type"] for frame in frames[1:]} >= {"call", "price"}
    cursors = [frame["cursor"] for frame in frames if frame["type"] == "call"]
    assert all(earlier < later for earlier, later in pairwise(cursors))
    assert stopped.ticks_emitted > 100
    assert all(frame["token"]["address"] in feed.emitted for frame in frames if frame["type"] == "call")


async def test_nothing_plays_by_itself_at_rate_zero(feed: FeedSandbox):
    async with connect(feed.ws_url) as socket:
        await socket.send(SUBSCRIBE)
        kinds = [json.loads(await socket.recv())["type"] for _ in range(5)]
    assert kinds == ["subscribed", *["heartbeat"] * 4]
    assert (feed.stats.calls_emitted, feed.stats.ticks_emitted) == (0, 0)


async def test_every_client_gets_what_it_asked_for(feed: FeedSandbox):
    earlier = feed.publish(a_call())
    missed = feed.publish(a_call())
    async with connect(feed.ws_url) as everything, connect(feed.ws_url) as resumed:
        await everything.send(SUBSCRIBE)
        assert json.loads(await everything.recv()) == {"type": "subscribed", "cursor": feed.cursor}
        await resumed.send(json.dumps({"type": "subscribe", "topics": ["calls"], "since": earlier.cursor}))
        assert json.loads(await resumed.recv())["type"] == "subscribed"
        assert json.loads(await resumed.recv())["id"] == missed.id
        [live] = await feed.burst(1)
        for socket in (everything, resumed):
            assert (await next_call(socket))["id"] == live.id
        assert feed.stats.clients == 2


@pytest.mark.parametrize("nonsense", ["hello", "{}", '{"type":"subscribe","topics":["weather"]}', b"\xff"])
async def test_nonsense_is_answered_with_an_error(feed: FeedSandbox, nonsense: str | bytes):
    async with connect(feed.ws_url) as socket:
        await socket.send(nonsense)
        assert json.loads(await socket.recv())["type"] == "error"
        await socket.send(SUBSCRIBE)
        assert json.loads(await socket.recv())["type"] == "subscribed"


async def test_connections_can_be_dropped_without_goodbye(feed: FeedSandbox):
    async with connect(feed.ws_url) as socket:
        await socket.send(SUBSCRIBE)
        await feed.someone_listens.wait()
        feed.drop_connections()
        assert not feed.someone_listens.is_set()
        with pytest.raises(ConnectionClosed):
            await next_call(socket)


async def test_a_silent_feed_is_open_and_goes_on_later(feed: FeedSandbox):
    async with connect(feed.ws_url) as socket:
        await socket.send(SUBSCRIBE)
        assert json.loads(await socket.recv())["type"] == "subscribed"
        feed.go_silent(True)
        call = feed.publish(a_call())
        await (await socket.ping())  # the transport lives
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(next_call(socket), 0.2)
        feed.go_silent(False)
        assert (await next_call(socket))["id"] == call.id


async def test_a_client_that_does_not_read_is_cut_off(feed: FeedSandbox):
    text = "x" * 4_000
    async with connect(feed.ws_url, max_queue=1, close_timeout=0.1) as socket:
        await socket.send(SUBSCRIBE)
        await feed.someone_listens.wait()
        for _ in range(30_000):
            feed.publish(a_call(text))
        assert feed.stats.overruns == 1
        assert feed.stats.clients == 0


async def test_the_http_side_keeps_strangers_out(feed: FeedSandbox, session: aiohttp.ClientSession):
    feed.publish(a_call())
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": feed.token}):
        async with session.get(f"{feed.http_url}/v1/calls", headers=headers) as response:
            assert response.status == 401
    good = {"Authorization": f"Bearer {feed.token}"}
    async with session.get(f"{feed.http_url}/v1/calls", headers=good) as response:
        page = await response.json()
        assert page["cursor"] == feed.cursor
        assert len(page["calls"]) == 1
    async with session.get(f"{feed.http_url}/v1/calls?since=x", headers=good) as response:
        assert response.status == 400


async def test_history_is_bounded(session: aiohttp.ClientSession):
    async with FeedSandbox(Market(seed=1), calls_per_s=0, history=10) as feed:
        calls = await feed.burst(25)
        frames = feed.frames_since(0)
        assert [json.loads(frame)["id"] for frame in frames] == [call.id for call in calls[-10:]]
        assert feed.stats.calls_emitted == 25


async def test_pictures_are_open_to_everybody_and_are_what_they_say(feed: FeedSandbox, session: aiohttp.ClientSession):
    tokens = [call.token for call in await feed.burst(120)]
    kinds = {"image/png": [t.image_url for t in tokens], "image/gif": [t.animation_url for t in tokens]}
    kinds["video/mp4"] = [t.video_url for t in tokens]
    sizes: dict[str, tuple[int, int] | None] = {}
    for content_type, urls in kinds.items():
        url = next(filter(None, urls))
        assert url.startswith(f"{feed.http_url}/media/")
        async with session.get(url) as response:
            assert (response.status, response.content_type) == (200, content_type)
            body = await response.read()
            sizes[content_type] = picture_size(body)
            assert len(body) < 2_000
    assert sizes == {"image/png": (320, 320), "image/gif": (5, 5), "video/mp4": None}
    assert any(token.image_url is None for token in tokens)
    assert all(token.image_url for token in tokens if token.animation_url or token.video_url)
    for path in ("media/nonsense.png", f"media/{tokens[0].address}.svg", "v1/calls"):
        async with session.get(f"{feed.http_url}/{path}") as response:
            assert response.status in {401, 404}


def test_a_picture_is_a_whole_png_and_the_same_for_the_same_token():
    png = market_media.content("A" * 44, "png")
    assert png == market_media.content("A" * 44, "png") != market_media.content("B" * 44, "png")
    position, found = 8, b""
    while position < len(png):
        length = int.from_bytes(png[position : position + 4], "big")
        kind, data = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert int.from_bytes(png[position + 8 + length : position + 12 + length], "big") == zlib.crc32(kind + data)
        found += zlib.decompress(data) if kind == b"IDAT" else b""
        position += 12 + length
    assert len(found) == 320 * 321
    assert set(found) == {0, 1}
