"""What is asked for with a POST is asked for once, whatever comes back: nobody knows whether it was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import msgspec
import pytest
from aiohttp import web
from msgspec import Struct

from managers.http.answers import FailedError, RefusedError, TooManyError
from managers.http.api import FAILURES_IN_A_ROW, APIRetryManager, NotAskedError
from managers.http.request_budget import Limit
from managers.payments.nowpayments import NowPaymentsManager
from runtime.errors import TransientError
from tests.http.test_api import Clock, cut_short, drop
from tests.http.test_foreign_answers import ANSWERS
from tests.telegram.foreign_server import Handler


class Made(Struct):
    id: int


SHAPE = msgspec.json.Decoder(Made)
MADE = b'{"id":7}'


class Server:
    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[tuple[str, bytes]] = []
        """Content type and body of each request."""
        self.answer: Handler = json_of(200, MADE)
        self.hangs = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append((request.content_type, await request.read()))
        return await self.answer(request)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        del request
        await self.hangs.wait()
        return web.Response()


def json_of(status: int, body: bytes, **headers: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, content_type="application/json", headers=named)

    return answer


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield server
    server.hangs.set()
    await runner.cleanup()


async def post(api: APIRetryManager, server: Server) -> bytes:
    return await api.post(server.url, body=b'{"a":1}', headers={"x-api-key": "key"}, timeout_s=2, shape=SHAPE)


@pytest.mark.parametrize("status", [200, 201])
async def test_what_was_made_is_the_body(server: Server, api_manager: APIRetryManager, status: int) -> None:
    server.answer = json_of(status, MADE)
    assert await post(api_manager, server) == MADE
    assert server.bodies == [("application/json", b'{"a":1}')]


@pytest.mark.parametrize("trouble", [drop, cut_short, json_of(500, b"{}"), json_of(503, b"", Retry_After="1")])
async def test_a_failure_is_not_asked_again(server: Server, api_manager: APIRetryManager, trouble: Handler) -> None:
    server.answer = trouble
    with pytest.raises(FailedError):
        await post(api_manager, server)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_a_refusal_says_what_the_host_said(server: Server, api_manager: APIRetryManager, status: int) -> None:
    said = b'{"message":"no"}'
    server.answer = json_of(status, said)
    with pytest.raises(RefusedError) as refused:
        await post(api_manager, server)
    assert refused.value.said == (b"" if status == 404 else said)
    assert len(server.bodies) == 1


async def test_a_429_is_a_pause_for_whatever_comes_next(server: Server, api_manager: APIRetryManager) -> None:
    server.answer = json_of(429, b"{}", Retry_After="60")
    with pytest.raises(TooManyError):
        await post(api_manager, server)
    with pytest.raises(NotAskedError):
        await post(api_manager, server)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_is_not_the_hosts_own_leaves_the_outcome_unknown(
    server: Server, api_manager: APIRetryManager, name: str
) -> None:
    server.answer = ANSWERS[name]
    with pytest.raises(FailedError):
        pytest.fail(f"{name} was taken for an answer: {await post(api_manager, server)!r}")
    assert len(server.bodies) == 1


async def test_an_answer_that_does_not_come_is_not_waited_for(server: Server, api_manager: APIRetryManager) -> None:
    server.answer = server.hang
    with pytest.raises(TransientError, match="within 2 s"):
        await post(api_manager, server)
    assert len(server.bodies) == 1


async def test_a_host_that_keeps_failing_is_shut_out(server: Server, session: aiohttp.ClientSession) -> None:
    api = APIRetryManager(session, clock=Clock())
    server.answer = json_of(500, b"{}")
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(FailedError):
            await post(api, server)
    with pytest.raises(NotAskedError):
        await post(api, server)
    assert len(server.bodies) == FAILURES_IN_A_ROW


async def test_it_counts_against_the_limit(server: Server, session: aiohttp.ClientSession) -> None:
    api = APIRetryManager(session, clock=Clock())
    api.limit(server.url, Limit(2, 60.0))
    for _ in range(2):
        await post(api, server)
    with pytest.raises(NotAskedError):
        await post(api, server)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("name", ANSWERS)
async def test_nobody_else_makes_a_payment(server: Server, api_manager: APIRetryManager, name: str) -> None:
    server.answer = ANSWERS[name]
    manager = NowPaymentsManager(api_manager, api_key="key", base_url=server.url)
    with pytest.raises(FailedError):
        await manager.create(price_usd=Decimal(5), coin="sol", order_id="1", description="", ipn_url=None)
    assert len(server.bodies) == 1
