from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from pathlib import Path

import pytest
import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from domain.calls.events import Call, PriceTick
from managers.feed.sources.native import NativeSource
from managers.feed.sources.pumpportal import PumpPortalSource
from managers.feed.websocket import WebSocketManager
from managers.http.api import APIRetryManager
from runtime.errors import FatalError
from sandbox.feed.replay import ReplaySandbox, read_frames
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from tests.feed.support import a_call, address, reading, scripted

CREATE = json.dumps({"mint": address(77), "txType": "create", "signature": "s", "pool": "pump"})
RECORDING = Path(__file__).parent / "frames" / "pumpportal.jsonl"


def native(feed: FeedSandbox, api_manager: APIRetryManager | None = None) -> NativeSource:
    return NativeSource(feed.ws_url, api_url=feed.http_url if api_manager else None, token=feed.token, api=api_manager)


def pumpportal(url: str, idle_timeout_s: float = 60.0) -> PumpPortalSource:
    return PumpPortalSource(url=url, sol_price_usd=lambda: 165.0, idle_timeout_s=idle_timeout_s)


async def test_calls_arrive_in_order_with_their_cursor(feed: FeedSandbox):
    async with reading(native(feed)) as reader:
        await feed.someone_listens.wait()
        published = [feed.publish(a_call()) for _ in range(50)]
        taken = await reader.take(50)
    assert [(c.id, c.cursor, c.token, c.called_at) for c in taken] == [
        (c.id, c.cursor, c.token, c.called_at) for c in published
    ]
    assert reader.manager.stats.calls == 50


@pytest.mark.parametrize("http", ["works", "is down", "is not configured"])
async def test_a_dropped_connection_loses_nothing(
    feed: FeedSandbox, api_manager: APIRetryManager, http: str, unused_tcp_port: int
):
    source = native(feed, api_manager if http == "works" else None)
    if http == "is down":
        source = NativeSource(feed.ws_url, api_url=f"http://127.0.0.1:{unused_tcp_port}", api=api_manager)
    async with reading(source) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()
        feed.drop_connections()
        missed = [feed.publish(a_call()).id for _ in range(20)]
        assert [call.id for call in await reader.take(20)] == missed
        await feed.someone_listens.wait()
        later = feed.publish(a_call())
        assert [call.id for call in await reader.take()] == [later.id]
    assert reader.manager.stats.reconnects == 1


async def test_a_gap_of_several_pages_is_filled_before_live_calls(feed: FeedSandbox, api_manager: APIRetryManager):
    async with reading(native(feed, api_manager)) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()
        feed.drop_connections()
        missed = [feed.publish(a_call()).id for _ in range(1_234)]
        await feed.someone_listens.wait()
        live = feed.publish(a_call()).id
        assert [call.id for call in await reader.take(1_235)] == [*missed, live]
        assert reader.queue.empty()
    assert reader.manager.stats.backfilled >= 1_234
    assert reader.manager.stats.calls == 1_236


async def test_a_first_start_takes_nothing_of_the_past(feed: FeedSandbox, api_manager: APIRetryManager):
    for _ in range(5):
        feed.publish(a_call())
    async with reading(native(feed, api_manager)) as reader:
        await feed.someone_listens.wait()
        new = feed.publish(a_call())
        assert [call.id for call in await reader.take()] == [new.id]


async def test_a_restart_takes_up_where_the_cursor_stands(feed: FeedSandbox, api_manager: APIRetryManager):
    seen = feed.publish(a_call())
    missed = feed.publish(a_call())
    async with reading(native(feed, api_manager)) as reader:
        reader.cursor = seen.cursor
        assert [call.id for call in await reader.take()] == [missed.id]
    assert reader.manager.stats.backfilled == 1


async def test_while_the_socket_stays_away_calls_come_from_the_http_side(
    feed: FeedSandbox, api_manager: APIRetryManager
):
    """Also where no call has ever come: what stood there when it was first asked is the beginning."""
    source = NativeSource("ws://127.0.0.1:9/", api_url=feed.http_url, token=feed.token, api=api_manager)
    old = feed.publish(a_call())
    polled = asyncio.Event()

    async def newest_cursor() -> int | None:
        found = await NativeSource.newest_cursor(source)
        polled.set()
        return found

    source.newest_cursor = newest_cursor
    async with asyncio.timeout(10), reading(source) as reader:
        await polled.wait()
        calls = [feed.publish(a_call()) for _ in range(3)]
        assert [call.id for call in await reader.take(3)] == [call.id for call in calls]
        assert reader.manager.stats.backfilled == 3
        health = reader.manager.health()
        assert (health.connected, health.stale) == (False, False)
    assert old.cursor is not None
    async with asyncio.timeout(10), reading(native(feed, api_manager)) as reader:
        reader.cursor = old.cursor
        assert len(await reader.take(3)) == 3


async def test_a_silent_socket_is_left_and_subscribed_anew():
    async with (
        scripted(lambda _: []) as server,
        reading(NativeSource(server.url, idle_timeout_s=0.05)) as reader,
    ):
        first = await server.heard.get()
        second = await server.heard.get()
        assert json.loads(first) == {"type": "subscribe", "topics": ["calls", "prices"], "since": None}
        assert second == first
        assert "no data" in (reader.manager.health().last_problem or "")


async def test_noise_is_not_data():
    """Acknowledgements and junk do not prove that the feed lives."""

    async def chatter(socket: ServerConnection) -> None:
        while True:
            await socket.send('{"message":"still here"}')
            await socket.send("<html>")
            await asyncio.sleep(0.005)

    async with (
        scripted(lambda _: [], after=chatter) as server,
        reading(pumpportal(server.url, idle_timeout_s=0.1)),
    ):
        assert [await server.connections.get() for _ in range(3)] == [1, 2, 3]


async def test_heartbeats_keep_a_quiet_feed_connected(feed: FeedSandbox):
    source = NativeSource(feed.ws_url, idle_timeout_s=2.0)
    async with reading(source) as reader:
        await feed.someone_listens.wait()
        await asyncio.sleep(2.5)  # longer than the patience, with nothing but heartbeats
        call = feed.publish(a_call())
        assert [c.id for c in await reader.take()] == [call.id]
        assert not reader.manager.health().stale
    assert feed.stats.connections == 1


async def test_silence_of_the_sandbox_is_survived(feed: FeedSandbox, api_manager: APIRetryManager):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager, idle_timeout_s=0.2)
    async with reading(source) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()
        feed.go_silent(True)
        missed = feed.publish(a_call())
        while feed.stats.connections < 3:  # noqa: ASYNC110 - no event tells how often a client came back
            await asyncio.sleep(0.01)
        feed.go_silent(False)
        assert [call.id for call in await reader.take()] == [missed.id]


async def test_a_flood_of_junk_is_counted_and_hardly_logged(feed: FeedSandbox):
    with structlog.testing.capture_logs() as logs:
        async with reading(native(feed)) as reader:
            await feed.someone_listens.wait()
            feed.send_malformed(5_000)
            call = feed.publish(a_call())
            assert [c.id for c in await reader.take()] == [call.id]
    assert reader.manager.stats.malformed == 5_000
    assert feed.stats.connections == 1
    rejected = [line for line in logs if line["event"] == "frame_rejected"]
    assert 1 <= len(rejected) <= 18
    for line in rejected:
        assert len(line["excerpt"]) <= 120
        assert line["excerpt"].isascii()
        assert line["excerpt"].isprintable() or line["excerpt"] == ""


async def test_repeated_events_are_handed_on_once(feed: FeedSandbox):
    async with reading(native(feed)) as reader:
        await feed.someone_listens.wait()
        calls = [feed.publish(a_call()) for _ in range(30)]
        feed.repeat_events(30)
        feed.repeat_events(10)
        marker = feed.publish(a_call())
        taken = await reader.take(31)
    assert [call.id for call in taken] == [*(call.id for call in calls), marker.id]
    assert reader.manager.stats.repeats == 40


async def test_a_slow_consumer_slows_the_feed_and_loses_nothing():
    text = "🐢" * 4_000
    async with (
        FeedSandbox(Market(seed=1), calls_per_s=0, heartbeat_s=600) as feed,
        reading(native(feed), queue_size=5) as reader,
    ):
        await feed.someone_listens.wait()
        published = [feed.publish(a_call(text)).id for _ in range(2_500)]
        waiting = -1
        while waiting != feed.stats.queued_frames:  # until the pipe between the two is full
            waiting = feed.stats.queued_frames
            await asyncio.sleep(0.2)
        assert waiting > 0, "the kernel's buffers took everything: make the burst larger"
        assert reader.manager.stats.frames <= 10
        assert reader.manager.stats.calls <= 6
        assert [call.id for call in await reader.take(2_500)] == published
        assert feed.stats.connections == 1


async def test_a_refusal_is_counted_and_the_connection_kept():
    async with scripted(lambda _: ['{"errors":"Too many requests, slow down"}', CREATE]) as server:
        with structlog.testing.capture_logs() as logs:
            async with reading(pumpportal(server.url)) as reader:
                [call] = await reader.take()
    assert call.token.address == address(77)
    assert reader.manager.stats.refused == 1
    assert server.count == 1
    assert [line["reason"] for line in logs if line["event"] == "feed_refused"] == ["Too many requests, slow down"]


async def test_a_refused_subscription_is_tried_again_later():
    refusal = '{"type":"error","message":"not yet"}'
    ready = '{"type":"subscribed","cursor":1}'
    call = json.dumps(
        {
            "type": "call",
            "id": "late",
            "cursor": 2,
            "called_at": "2026-01-01T00:00:00Z",
            "channel": {"id": "@c"},
            "token": {"address": address(5)},
        }
    )
    async with (
        scripted(lambda number: [refusal] if number < 3 else [ready, call]) as server,
        reading(NativeSource(server.url, idle_timeout_s=0.05)) as reader,
    ):
        assert [c.id for c in await reader.take()] == ["late"]
    assert reader.manager.stats.refused == 2


async def test_both_pumpportal_subscriptions_are_sent_after_every_connect():
    async def hang_up(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close()

    async with scripted(lambda _: [CREATE], after=hang_up) as server, reading(pumpportal(server.url)):
        assert [await server.heard.get() for _ in range(2)] == ['{"method":"subscribeNewToken"}'] * 2


async def test_refused_handshakes_are_tried_for_ever(feed: FeedSandbox):
    refusals = 7

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        nonlocal refusals
        refusals -= 1
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "later\n") if refusals >= 0 else None

    async def attend(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(CREATE)
        await socket.wait_closed()

    async with serve(attend, "127.0.0.1", 0, process_request=gate, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with reading(pumpportal(f"ws://127.0.0.1:{port}/")) as reader:
            await reader.take()
    assert reader.manager.stats.reconnects == 0


async def test_an_oversized_frame_ends_the_connection_not_the_manager():
    async with (
        scripted(lambda number: ["x" * 2_000_000] if number == 1 else [CREATE]) as server,
        reading(pumpportal(server.url)) as reader,
    ):
        await reader.take()
    assert reader.manager.stats.reconnects == 1


async def test_an_impossible_address_is_fatal_and_does_not_show_its_key():
    source = PumpPortalSource(url="http://example.invalid/x", api_key="SECRET", sol_price_usd=lambda: None)

    async def emit(call: Call) -> None:
        raise AssertionError(call)

    manager = WebSocketManager(source=source, emit=emit, resume_cursor=lambda: None)
    with pytest.raises(FatalError, match=r"example\.invalid") as caught:
        await manager.run()
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_the_key_in_the_address_is_not_logged():
    async with scripted(lambda _: [CREATE]) as server:
        source = PumpPortalSource(url=server.url, api_key="SECRET", sol_price_usd=lambda: None)
        assert "SECRET" in source.url
        with structlog.testing.capture_logs() as logs:
            async with reading(source) as reader:
                await reader.take()
    assert any(line["event"] == "feed_connected" for line in logs)
    assert "SECRET" not in repr(logs)


async def test_only_the_latest_tick_per_token_is_kept(feed: FeedSandbox):
    def tick(token: int, price_usd: float, second: int) -> PriceTick:
        at = a_call().called_at.replace(second=second, microsecond=0)
        return PriceTick(token_address=address(token), price_usd=price_usd, market_cap_usd=None, at=at)

    async with reading(native(feed)) as reader:
        await feed.someone_listens.wait()
        for each in (tick(1, 1.0, 10), tick(2, 5.0, 10), tick(1, 2.0, 20), tick(1, 9.0, 15)):
            feed.publish_tick(each)
        feed.publish(a_call())
        await reader.take()
        ticks = reader.manager.take_ticks()
        assert {key: value.price_usd for key, value in ticks.items()} == {address(1): 2.0, address(2): 5.0}
        assert reader.manager.take_ticks() == {}
    assert reader.manager.stats.ticks == 4


async def test_health_tells_the_age_of_the_data(feed: FeedSandbox):
    idle = WebSocketManager(source=native(feed), emit=asyncio.Queue[Call]().put, resume_cursor=lambda: None)
    assert (idle.health().connected, idle.health().stale, idle.health().data_age_s) == (False, True, None)
    async with reading(native(feed)) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()
        health = reader.manager.health()
        assert (health.source, health.connected, health.stale) == ("native", True, False)
        assert health.data_age_s is not None
        assert reader.manager.stats.connected_since is not None
    assert not reader.manager.health().connected


async def test_a_recording_of_pumpportal_gives_each_launch_once():
    frames = read_frames(RECORDING)
    async with ReplaySandbox(frames) as feed, reading(pumpportal(feed.ws_url)) as reader:
        calls = await reader.take(29)
        await feed.finished.wait()
    assert len({call.id for call in calls}) == 29
    stats = reader.manager.stats
    assert (stats.malformed, stats.refused, stats.repeats) == (8, 2, 3)
    assert feed.subscriptions[0] == '{"method":"subscribeNewToken"}'
