"""Every way into a bot with all settings: nothing of what goes wrong is told, and no body is taken without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import aiohttp
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from config.settings import Settings
from managers.payments.nowpayments import Told
from runtime.errors import FatalError, TransientError
from sandbox.payments.nowpayments.signing import signature
from tests.e2e.conftest import composed
from web.app import create_app
from web.payments import NOWPAYMENTS_PATH, NowPaymentsNotifications
from web.protocol import Bounds
from web.server import HttpServer
from web.telegram_webhook import PATH, TelegramWebhook

SECRET = "A-secret_1"
HINT = "postgresql://bot:hunter2@10.0.0.5/bot"
SHORT = Bounds(request_within_s=0.5, answer_within_s=0.5)
MIB = 1024 * 1024


def ways_in(edge: FastAPI | APIRouter) -> list[tuple[str, str]]:
    """Return the method and an address of every route of it."""
    routes = [route for route in edge.routes if isinstance(route, APIRoute)]
    return [(method, route.path.replace("{invoice_id}", "abc")) for route in routes for method in route.methods or ()]


class Edge(NamedTuple):
    app: FastAPI
    ways_in: list[tuple[str, str]]


@pytest.fixture
async def edge(redis_url: str, postgres_dsn: str) -> AsyncIterator[Edge]:
    settings = Settings(public_url="https://bot.example", telegram_webhook_secret=SECRET)  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        whole = await composed(stack, redis_url, postgres_dsn, settings=settings, whole=True)

        async def health() -> dict[str, object]:
            return {"ok": False, "redis": HINT}

        app = create_app(
            alive=whole.alive, health=health, metrics=whole.metrics.registry, routes=whole.routes, token="s3cret"
        )
        found = [way for part in (app, *whole.routes) for way in ways_in(part)]
        assert {path for _, path in found} >= {"/healthz", "/readyz", "/metrics", PATH, NOWPAYMENTS_PATH, "/pay/abc"}
        yield Edge(app, found)


async def test_no_way_in_takes_a_body_without_end(edge: Edge) -> None:
    async def pour(method: str, path: str, port: int) -> int:
        """Say more and more until the server hangs up; return how much it was."""
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Telegram-Bot-Api-Secret-Token: {SECRET}\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        said = 0
        try:
            while said < 64 * MIB:
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                said += 0x10000
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        return said

    async with HttpServer(edge.app, "127.0.0.1", 0, SHORT) as server:
        said = await asyncio.gather(*(pour(method, path, server.port) for method, path in edge.ways_in))
    assert max(said) < 16 * MIB, "what the kernel keeps, and a megabyte of Telegram's"


async def test_strangers_are_told_nothing(edge: Edge) -> None:
    async with HttpServer(edge.app, "127.0.0.1", 0) as server, aiohttp.ClientSession() as http:
        for method, path in edge.ways_in:
            async with http.request(method, f"http://127.0.0.1:{server.port}{path}", data=b"{}") as response:
                text = await response.text()
            assert not [word for word in ("hunter2", "10.0.0.5", "Traceback", "Error", ".py") if word in text], path
            assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("error", [RuntimeError(HINT), FatalError(HINT), TransientError(HINT)])
async def test_what_goes_wrong_inside_stays_inside(error: Exception) -> None:
    async def health() -> dict[str, object]:
        raise error

    async def feed(_: dict[str, Any]) -> None:
        raise error

    async def notified(_: Told) -> None:
        raise error

    ipn = NowPaymentsNotifications(secret=SECRET, notified=notified)
    webhook = TelegramWebhook(secret=SECRET, feed=feed)
    app = create_app(health=health, metrics=CollectorRegistry(), routes=[webhook.router, ipn.router])
    paid = {"payment_id": 1, "payment_status": "finished", "update_id": 1}
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET, "x-nowpayments-sig": signature(paid, SECRET)}
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        HttpServer(app, "127.0.0.1", 0) as server,
        aiohttp.ClientSession(headers=headers, connector=connector) as http,
    ):
        for method, path in (("GET", "/readyz"), ("POST", PATH), ("POST", NOWPAYMENTS_PATH)):
            async with http.request(method, f"http://127.0.0.1:{server.port}{path}", json=paid) as response:
                assert response.status in {500, 503}, path
                assert "hunter2" not in await response.text()
