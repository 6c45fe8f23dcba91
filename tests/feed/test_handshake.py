"""Whoever answers the feed's handshake may be somebody else: nothing that is said there ends the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import structlog
from websockets.asyncio.server import ServerConnection
from websockets.uri import parse_uri

from domain.calls.events import Call
from managers.feed.handshake import MAX_PAUSE_S
from managers.feed.proxies import Proxies, is_loopback
from managers.feed.sources.native import NativeSource
from managers.feed.websocket import WebSocketManager
from runtime.errors import FatalError
from sandbox.feed.server import FeedSandbox
from tests.faults.proxy import FaultProxy
from tests.feed.support import a_call, address, reading, scripted

PAGE = b"<html>Please log in</html>"


def answer(status: str, *headers: str, body: bytes = PAGE) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(*locations: str) -> bytes:
    return answer("302 Found", *(f"Location: {location}" for location in locations))


HANDSHAKES: Mapping[str, bytes] = {
    "page": answer("200 OK", "Content-Type: text/html"),
    **{f"page with {status}": answer(f"{status} No") for status in (400, 401, 403, 404, 407, 418, 426, 500, 502, 503)},
    "redirect to https": redirect("https://login.example/?next=/"),
    "redirect to nowhere": redirect(""),
    "redirect without an address": answer("302 Found"),
    "two addresses": redirect("ws://127.0.0.1:1/a", "ws://127.0.0.1:1/b"),
    "two pauses": answer("503 Busy", "Retry-After: 0", "Retry-After: 0"),
    "bad port": redirect("ws://feed.example:99999/"),
    "no port": redirect("ws://feed.example:http/"),
    "bad label": redirect("ws://feed..example/"),
    "long label": redirect(f"ws://{'x' * 64}.example/"),
    "half an IPv6 address": redirect("ws://[::1/"),
    "no host": redirect("ws:///path"),
    "nobody there": redirect("ws://127.0.0.1:1/"),
    "user without password": redirect("ws://user@127.0.0.1:1/"),
    "fragment": redirect("ws://127.0.0.1:1/#top"),
    "NUL": redirect("ws://127.0.0.1%00.example/"),
    "mail": redirect("mailto:feed@example.org"),
    "odd upgrade": answer("101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade", body=b""),
    "nonsense accepted": answer(
        "101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: a",
        "Sec-WebSocket-Accept: b",
        body=b"",
    ),
    "no HTTP": b"220 mail.example ESMTP ready\r\n",
    "half a header": b"HTTP/1.1 101 Switching Proto",
    "nothing": b"",
    "endless headers": b"HTTP/1.1 101 OK\r\n" + b"X-Padding: " + b"x" * 200_000 + b"\r\n\r\n",
    "not ASCII": "HTTP/1.1 302 Gefunden\r\nLocation: ws://füd.example:1/\r\n\r\n".encode(),
}
PROXY_VARIABLES = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "socks_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def middlebox(feed: FeedSandbox) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(feed.ws_url) as proxy:
        yield proxy


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_strange_answer_is_a_failed_attempt(feed: FeedSandbox, middlebox: FaultProxy, name: str):
    middlebox.answer_instead([HANDSHAKES[name]] * 2)
    async with reading(NativeSource(f"ws://127.0.0.1:{middlebox.port}/?key=SECRET")) as reader:
        await feed.someone_listens.wait()
        call = feed.publish(a_call())
        assert [each.id for each in await reader.take()] == [call.id]
    assert middlebox.answered_instead == 2


async def test_a_redirect_to_a_feed_is_followed(feed: FeedSandbox, middlebox: FaultProxy):
    middlebox.answer_instead([redirect(feed.ws_url)])
    async with reading(NativeSource(f"ws://127.0.0.1:{middlebox.port}/")) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()
    assert middlebox.accepted == 1


async def test_keys_in_redirects_are_not_shown(feed: FeedSandbox, middlebox: FaultProxy):
    keyed = [f"https://user:SECRET@feed.example/?api-key={'SECRET'}", "ws://h:99999/?k=SECRET"]
    middlebox.answer_instead([redirect(each) for each in keyed])
    with structlog.testing.capture_logs() as logs:
        async with reading(NativeSource(f"ws://127.0.0.1:{middlebox.port}/")):
            await feed.someone_listens.wait()
    assert len([line for line in logs if line["event"] == "feed_lost"]) >= 2
    assert "SECRET" not in repr(logs)


async def emit(call: Call) -> None:
    raise AssertionError(call)


@pytest.mark.parametrize(
    "url",
    [
        "https://feed.example/?key=SECRET",
        "ws://feed..example/?key=SECRET",
        "ws://feed.example:99999/?key=SECRET",
        "ws://[::1/?key=SECRET",
        "ws:///?key=SECRET",
        f"wss://{'x' * 64}.example/?key=SECRET",
    ],
)
async def test_the_configured_address_is_the_only_one_that_can_be_wrong(url: str):
    manager = WebSocketManager(source=NativeSource(url), emit=emit, resume_cursor=lambda: None)
    with pytest.raises(FatalError, match="not the address of a feed") as caught:
        await manager.run()
    assert "SECRET" not in str(caught.value)


# -- how long it waits


def waits(logs: list[structlog.typing.EventDict]) -> list[tuple[float, float]]:
    return [(line["after_s"], line["within_s"]) for line in logs if line["event"] == "feed_reconnecting"]


@asynccontextmanager
async def kicking(times: int) -> AsyncGenerator[str]:
    """A feed that hangs up after one heartbeat, so often, and then stays."""
    beat = json.dumps({"type": "heartbeat", "at": "2026-11-20T12:00:00Z"})
    numbers = iter(range(times))

    async def hang_up(socket: ServerConnection) -> None:
        if next(numbers, None) is not None:
            await socket.close()
        else:
            await socket.send(json.dumps(CALL))

    async with scripted(lambda _: [beat], after=hang_up) as server:
        yield server.url


CALL = {
    "type": "call",
    "id": "c",
    "cursor": 2,
    "called_at": "2026-01-01T00:00:00Z",
    "channel": {"id": "@c"},
    "token": {"address": address(5)},
}


@pytest.mark.parametrize("is_steady", [False, True])
async def test_one_heartbeat_does_not_make_a_connection_steady(*, is_steady: bool):
    """Else a feed that hangs up at once is called again and again without a pause."""
    with structlog.testing.capture_logs() as logs:
        async with kicking(5) as url:
            calls: asyncio.Queue[Call] = asyncio.Queue()
            manager = WebSocketManager(
                source=NativeSource(url),
                emit=calls.put,
                resume_cursor=lambda: None,
                backoff_base_s=0.01,
                backoff_cap_s=0.05,
                steady_after_s=0.0 if is_steady else 30.0,
            )
            running = asyncio.create_task(manager.run())
            await calls.get()
            running.cancel()
            await asyncio.wait([running])
    assert waits(logs) == [(0, 0.01)] * 5 if is_steady else [(0, s) for s in (0.01, 0.02, 0.04, 0.05, 0.05)]


@pytest.mark.parametrize(
    ("refusal", "after_s"),
    [
        (answer("503 Service Unavailable", "Retry-After: 0.02"), 0.02),
        (answer("429 Too Many Requests", "Retry-After: 0.02"), 0.02),
        (answer("429 Too Many Requests", "x-ratelimit-reset: 0.02"), 0.02),
        (answer("429 Too Many Requests", "Retry-After: 0.02", "Retry-After: 900"), 0.02),
        (answer("429 Too Many Requests"), 0.0),
        (answer("429 Too Many Requests", "Retry-After: soon"), 0.0),
        (answer("429 Too Many Requests", "Retry-After: -5"), 0.0),
        (answer("404 Not Found", "Retry-After: 900"), 0.0),
    ],
)
async def test_who_refuses_says_when_to_come_again(
    feed: FeedSandbox, middlebox: FaultProxy, refusal: bytes, after_s: float
):
    middlebox.answer_instead([refusal])
    with structlog.testing.capture_logs() as logs:
        async with reading(NativeSource(f"ws://127.0.0.1:{middlebox.port}/")):
            await feed.someone_listens.wait()
    assert waits(logs)[0] == (after_s, 0.01)


async def test_nobody_silences_a_feed_for_hours(middlebox: FaultProxy):
    middlebox.answer_instead([answer("503 Service Unavailable", "Retry-After: 86400")])
    with structlog.testing.capture_logs() as logs:
        async with reading(NativeSource(f"ws://127.0.0.1:{middlebox.port}/")):
            while not waits(logs):  # noqa: ASYNC110 - what it logs wakes nobody
                await asyncio.sleep(0.01)
    assert waits(logs) == [(MAX_PAUSE_S, 0.01)]


# -- proxies


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST.", "feed.localhost", "::1", "::ffff:127.0.0.1"]
)
async def test_loopback_is_never_sought_through_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str):
    for name in PROXY_VARIABLES[:-1]:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert is_loopback(host)
    authority = f"[{host}]" if ":" in host else host
    for scheme in ("ws", "wss"):
        assert Proxies().find(parse_uri(f"{scheme}://{authority}:8765/")) is None
        assert Proxies().find(parse_uri(f"{scheme}://feed.example/")) == "http://127.0.0.1:1"


@pytest.mark.parametrize("host", ["localhost.example", "128.0.0.1", "feed.example", "::2", "127.0.0.1.example"])
def test_what_only_looks_like_loopback_is_none(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "SOCKS_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "127.0.0.1:1", "nonsense://", "::::"])
async def test_calls_come_from_a_feed_on_this_machine_whatever_the_environment(
    monkeypatch: pytest.MonkeyPatch, feed: FeedSandbox, name: str, value: str
):
    monkeypatch.setenv(name, value)
    async with reading(NativeSource(feed.ws_url)) as reader:
        await feed.someone_listens.wait()
        feed.publish(a_call())
        await reader.take()


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "http://user:pw@proxy.example:3128/"}, "http://user:pw@proxy.example:3128/"),
        ({"all_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"all_proxy": "http://a.example:1", "https_proxy": "http://b.example:2"}, "http://b.example:2"),
        ({"wss_proxy": "http://c.example:3", "https_proxy": "http://b.example:2"}, "http://c.example:3"),
        ({"http_proxy": "http://a.example:1"}, None),
        ({"https_proxy": "http://a.example:1", "no_proxy": "example"}, None),
        ({"https_proxy": "http://a.example:1", "no_proxy": "*"}, None),
        ({"https_proxy": ""}, None),
    ],
)
def test_the_variables_are_read_as_they_are_meant(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with structlog.testing.capture_logs() as logs:
        assert Proxies().find(parse_uri("wss://feed.example/")) == proxy
    assert not logs


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"socks_proxy": "127.0.0.1:1080"}, "python-socks"),
        ({"SOCKS_PROXY": "socks5://user:SECRET@127.0.0.1:1080"}, "python-socks"),
        ({"all_proxy": "socks5://127.0.0.1:1080"}, "python-socks"),
        ({"ALL_PROXY": "socks5h://127.0.0.1:1080"}, "python-socks"),
        ({"https_proxy": "socks4://127.0.0.1:1080"}, "python-socks"),
        ({"https_proxy": "ftp://user:SECRET@proxy.example"}, "not the address of a proxy"),
        ({"https_proxy": "http://:SECRET@"}, "not the address of a proxy"),
        ({"https_proxy": "proxy.example:99999"}, "not the address of a proxy"),
        ({"https_proxy": "http://[::1"}, "not the address of a proxy"),
        ({"https_proxy": "http://proxy.example/path?SECRET"}, "not the address of a proxy"),
    ],
)
def test_what_cannot_be_used_is_named_once_and_done_without(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxies = Proxies()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert proxies.find(parse_uri("wss://feed.example/")) is None
        monkeypatch.setenv("wss_proxy", "http://usable.example:1")
        assert proxies.find(parse_uri("wss://feed.example/")) == "http://usable.example:1"
    (line,) = logs
    assert (line["event"], line["variable"]) == ("proxy_not_used", next(iter(variables)).lower())
    assert reason in line["reason"]
    assert "SECRET" not in repr(line)


async def test_a_feed_behind_a_proxy_without_a_scheme_is_reached(monkeypatch: pytest.MonkeyPatch, feed: FeedSandbox):
    asked: list[str] = []

    async def tunnel(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        head = await client.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n", 1)[0].decode())
        replies, server = await asyncio.open_connection("127.0.0.1", parse_uri(feed.ws_url).port)
        answers.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(client, server))
            group.create_task(pump(replies, answers))

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(1 << 16):
            target.write(chunk)
        target.close()

    async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with reading(NativeSource("ws://feed.invalid:8765/")) as reader:
            await feed.someone_listens.wait()
            feed.publish(a_call())
            await reader.take()
    assert asked == ["CONNECT feed.invalid:8765 HTTP/1.1"]
