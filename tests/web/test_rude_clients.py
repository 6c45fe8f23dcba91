"""Whatever a client does to the HTTP edge: it costs neither the others nor a traceback, and it does not last."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from web.app import create_app
from web.protocol import Bounds
from web.server import HttpServer
from web.telegram_webhook import TelegramWebhook

SECRET = "A-secret_1"
HEAD = f"POST /telegram/webhook HTTP/1.1\r\nHost: x\r\nX-Telegram-Bot-Api-Secret-Token: {SECRET}\r\n".encode()
FORGED = b"POST /telegram/webhook HTTP/1.1\r\nHost: x\r\n"
UPDATE = b'{"update_id": 1}'
SHORT = Bounds(request_within_s=0.3, answer_within_s=0.3, connections=20)


@dataclass
class Edge:
    port: int
    fed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    padding: str = ""
    """What makes an answer so long that somebody has to take it."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, *parts: bytes, then: str = "wait") -> bytes:
        """Say something in parts, hang up or wait, and return all that is answered until the server hangs up."""
        reader, writer = await self.connect()
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if then == "end":
                writer.write_eof()
            elif then == "hang up":
                writer.transport.abort()
                return b""
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()

    async def is_well(self) -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}/healthz") as response:
            return response.status == 200


@pytest.fixture
async def edge(caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Edge]:
    """Serves with short patience; whatever happened, nothing of it is an error in the log."""
    edge = Edge(0)

    async def health() -> dict[str, object]:
        return {"ok": True, "padding": edge.padding}

    async def feed(update: dict[str, Any]) -> None:
        edge.fed.append(update)

    webhook = TelegramWebhook(secret=SECRET, feed=feed)
    app = create_app(health=health, metrics=CollectorRegistry(), routes=[webhook.router])
    with caplog.at_level(logging.WARNING):
        async with HttpServer(app, "127.0.0.1", 0, SHORT) as server:
            edge.port = server.port
            yield edge
            assert await edge.is_well()
        assert [record for record in caplog.records if record.name.startswith(("uvicorn", "asyncio"))] == []


def with_body(body: bytes, *, head: bytes = HEAD, length: int | str | None = None) -> bytes:
    return head + f"Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


DEEP = b"[" * 90_000 + b"]" * 90_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"update_id":1,"message":' + DEEP + b"}",
        b'{"a":' * 90_000 + b"1" + b"}" * 90_000,
        DEEP,
        b"[" * 90_000,
        b'{"update_id":true}',
        b'{"update_id":1.0}',
        b'{"update_id":' + b"9" * 5_000 + b"}",
        b"\x00",
    ],
)
async def test_a_body_that_is_no_update_is_refused(edge: Edge, body: bytes) -> None:
    assert (await edge.say(with_body(body), then="end")).startswith(b"HTTP/1.1 400 ")
    assert edge.fed == []


async def test_half_a_surrogate_pair_is_no_reason_to_refuse(edge: Edge) -> None:
    update = '{"update_id":1,"message":{"text":"Cat\\ud83d"}}'
    assert (await edge.say(with_body(update.encode()), then="end")).startswith(b"HTTP/1.1 200 ")
    assert edge.fed == [json.loads(update)]


SILENT_OR_SLOW: dict[str, tuple[bytes, ...]] = {
    "nothing": (),
    "half a line": (b"POST /tele",),
    "half a header": (HEAD,),
    "no body": (HEAD + b"Content-Length: 16\r\n\r\n",),
    "half a body": (with_body(UPDATE[:7], length=16),),
    "endless chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    "more to come after a refusal": (with_body(b"{", head=FORGED, length=9_999_999),),
    "unread body": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",),
    "expecting": (HEAD + b"Expect: 100-continue\r\nContent-Length: 16\r\n\r\n",),
    "nothing after an answer": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",),
    "half a line after an answer": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /he"),
    "an upgrade": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",),
}


@pytest.mark.parametrize("parts", SILENT_OR_SLOW.values(), ids=SILENT_OR_SLOW)
@pytest.mark.parametrize("then", ["wait", "end", "hang up"])
async def test_who_says_not_enough_is_hung_up_on(edge: Edge, parts: tuple[bytes, ...], then: str) -> None:
    await edge.say(*parts, then=then)
    assert edge.fed == []


async def test_a_trickle_does_not_buy_time(edge: Edge) -> None:
    reader, writer = await edge.connect()

    async def trickle() -> None:
        for byte in with_body(UPDATE * 10_000):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    (answer,) = await asyncio.gather(reader.read(), return_exceptions=True)
    assert answer == b"" or isinstance(answer, ConnectionError)
    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)
    writer.transport.abort()
    assert edge.fed == []


async def test_who_does_not_listen_is_hung_up_on(edge: Edge) -> None:
    edge.padding = "x" * 500_000
    listener = socket.socket()
    listener.setblocking(False)
    with listener:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(listener, ("127.0.0.1", edge.port))

        async def ask_on() -> None:
            while True:
                await loop.sock_sendall(listener, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                await asyncio.sleep(0.01)

        with pytest.raises(ConnectionError):
            await ask_on()


WRONG: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "length in words": HEAD + b"Content-Length: ten\r\n\r\n",
    "length below nought": HEAD + b"Content-Length: -1\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "length of many digits": HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "too short a length": with_body(UPDATE + b"GARBAGE\r\n\r\n", length=len(UPDATE)),
    "no length of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "no length of a chunk after a refusal": FORGED + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nxyz\r\n",
    "coding unheard of": HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "host that is none": b"GET /healthz/ HTTP/1.1\r\nHost: [\r\n\r\n",
    "path beyond ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "path of percent signs": b"GET /%ff%%zz%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "path that is an address": b"GET http://[::1/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "tunnel": b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "endless header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000,
    "very many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "secret beyond ASCII": FORGED + b"X-Telegram-Bot-Api-Secret-Token: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    "cookie of noise": b"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: \xff;=;;\x7f\r\n\r\n",
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("then", ["wait", "end", "hang up"])
async def test_what_makes_no_sense_is_refused(edge: Edge, said: bytes, then: str) -> None:
    answer = await edge.say(said, then=then)
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert len(edge.fed) <= 1


async def test_too_many_connections_do_not_shut_out_for_long(edge: Edge) -> None:
    silent = [await edge.connect() for _ in range(60)]
    await asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
    for _, writer in silent:
        writer.transport.abort()
    assert await edge.is_well()


async def test_forgers_do_not_fill_the_log(edge: Edge) -> None:
    with capture_logs() as logs:
        for _ in range(40):
            assert (await edge.say(with_body(UPDATE, head=FORGED), then="end")).startswith(b"HTTP/1.1 403 ")
    assert len(logs) <= 2


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.integers(0, 200), st.sampled_from([HEAD, FORGED]))
def test_noise_anywhere_in_a_request_ends_in_no_error(noise: bytes, at: int, head: bytes) -> None:
    said = with_body(UPDATE, head=head)
    caught: list[logging.LogRecord] = []

    async def story() -> None:
        async def health() -> dict[str, object]:
            return {"ok": True}

        async def feed(_: dict[str, Any]) -> None: ...

        webhook = TelegramWebhook(secret=SECRET, feed=feed)
        app = create_app(health=health, metrics=CollectorRegistry(), routes=[webhook.router])
        async with HttpServer(app, "127.0.0.1", 0, SHORT) as server:
            edge = Edge(server.port)
            for then in ("end", "hang up"):
                answer = await edge.say(said[:at] + noise + said[at:], then=then)
                assert b" 500 " not in answer.split(b"\r\n")[0]

    handler = logging.Handler(logging.WARNING)
    handler.emit = caught.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        asyncio.run(story())
    finally:
        logging.getLogger().removeHandler(handler)
    assert [record for record in caught if record.name.startswith(("uvicorn", "asyncio"))] == []
