import asyncio
import json
import signal
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from runtime.errors import FatalError, TransientError
from web.app import create_app
from web.server import HttpServer
from web.telegram_webhook import TelegramWebhook

SECRET = "A-secret_1"
UPDATE = {"update_id": 1, "message": {"text": "hi"}}


@dataclass
class Site:
    """A served application, and what a client of it needs."""

    http: aiohttp.ClientSession = field(init=False)
    health: dict[str, object] = field(default_factory=lambda: dict[str, object](ok=True))
    alive: dict[str, object] = field(default_factory=lambda: dict[str, object](ok=True))
    fed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failing: list[Exception] = field(default_factory=list[Exception])
    is_open: bool = True
    hold: asyncio.Event | None = None
    holding: asyncio.Event = field(default_factory=asyncio.Event)

    async def report(self) -> dict[str, object]:
        return self.health

    async def feed(self, update: dict[str, Any]) -> None:
        if self.failing:
            raise self.failing.pop()
        if self.hold:
            self.holding.set()
            await self.hold.wait()
        self.fed.append(update)

    async def bring(self, body: object, secret: str | None = SECRET) -> int:
        headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        data = BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        async with self.http.post("/telegram/webhook", data=data, headers=headers) as response:
            return response.status


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    registry = CollectorRegistry()
    Counter("alerts_sent", "Alerts that Telegram took", registry=registry).inc(3)
    site = Site()
    webhook = TelegramWebhook(secret=SECRET, feed=site.feed, is_open=lambda: site.is_open)
    app = create_app(alive=lambda: site.alive, health=site.report, metrics=registry, routes=[webhook.router])
    async with (
        HttpServer(app, "127.0.0.1", 0) as server,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{server.port}", connector=aiohttp.TCPConnector(force_close=True)
        ) as site.http,
    ):
        yield site


async def test_health_is_told_by_status_and_by_part(site: Site) -> None:
    async with site.http.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ok": True})
    site.health = {"ok": False, "parts": {"redis": "away for 12 s"}}
    async with site.http.get("/readyz") as response:
        assert (response.status, await response.json()) == (503, site.health)


async def test_a_server_that_is_away_is_no_reason_to_be_restarted(site: Site) -> None:
    site.health = {"ok": False}
    async with site.http.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"ok": True})
    site.alive = {"ok": False, "stuck": {"deliver": 200.0}}
    async with site.http.get("/healthz") as response:
        assert (response.status, await response.json()) == (503, site.alive)


@pytest.mark.parametrize(
    ("given", "is_let_in"),
    [
        ("Bearer s3cret-ü", True),
        (None, False),
        ("", False),
        ("Bearer ", False),
        ("Bearer s3cret-ü2", False),
        ("s3cret-ü", False),
        ("bearer s3cret-ü", True),
        ("Bearer \udcff", False),
    ],
)
async def test_with_a_token_numbers_are_for_those_who_bring_it(given: str | None, *, is_let_in: bool) -> None:
    app = create_app(
        alive=lambda: {"ok": True, "stuck": {}}, health=healthy, metrics=CollectorRegistry(), token="s3cret-ü"
    )
    headers = {} if given is None else {"Authorization": given}
    async with HttpServer(app, "127.0.0.1", 0) as server, aiohttp.ClientSession() as http:
        address = f"http://127.0.0.1:{server.port}"
        async with http.get(f"{address}/metrics", headers=headers) as response:
            assert response.status == (200 if is_let_in else 401)
        async with http.get(f"{address}/healthz", headers=headers) as response:
            shown = await response.json()
    assert shown == ({"ok": True, "stuck": {}} if is_let_in else {"ok": True})


async def test_metrics_are_those_of_the_registry(site: Site) -> None:
    async with site.http.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    assert "alerts_sent_total 3.0" in text
    assert "python_info" not in text


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json"])
async def test_nothing_else_is_there(site: Site, path: str) -> None:
    async with site.http.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_every_answer_is_guarded(site: Site, path: str) -> None:
    async with site.http.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert response.headers["Cache-Control"] == "no-store"
        assert "server" not in response.headers


async def test_an_update_is_fed_once(site: Site) -> None:
    assert [await site.bring(UPDATE) for _ in range(3)] == [200] * 3
    assert site.fed == [UPDATE]
    assert await site.bring({"update_id": 2}) == 200
    assert len(site.fed) == 2


async def test_an_update_that_could_not_be_queued_may_come_again(site: Site) -> None:
    site.failing.append(RuntimeError("no room"))
    assert await site.bring(UPDATE) == 500
    assert await site.bring(UPDATE) == 200
    assert site.fed == [UPDATE]


async def test_what_cannot_be_written_down_now_may_come_again(site: Site) -> None:
    site.failing.append(TransientError("not now"))
    assert [await site.bring(UPDATE) for _ in range(3)] == [503, 200, 200]
    assert site.fed == [UPDATE]


async def test_an_update_that_comes_again_while_it_is_taken_is_not_confirmed(site: Site) -> None:
    site.hold = asyncio.Event()
    bringing = asyncio.create_task(site.bring(UPDATE))
    await site.holding.wait()
    assert await site.bring(UPDATE) == 503
    site.hold.set()
    assert await bringing == 200
    assert await site.bring(UPDATE) == 200
    assert site.fed == [UPDATE]


async def test_who_handles_no_updates_sends_them_away_and_gets_them_again(site: Site) -> None:
    site.is_open = False
    assert await site.bring(UPDATE) == 503
    assert await site.bring(UPDATE, "A-secret_2") == 403
    assert site.fed == []
    site.is_open = True
    assert await site.bring(UPDATE) == 200
    assert site.fed == [UPDATE]


@pytest.mark.parametrize("secret", [None, "", "A-secret_2", SECRET + "x", SECRET[:-1], "ü"])
async def test_without_the_secret_nobody_is_let_in(site: Site, secret: str | None) -> None:
    assert await site.bring(UPDATE, secret) == 403
    assert site.fed == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"\xff\xfe", b'{"update_id": "1"}', b"{}", b'{"update_id": NaN}', b"[" * 10_000]
)
async def test_what_is_no_update_is_refused(site: Site, body: bytes) -> None:
    assert await site.bring(body) == 400
    assert site.fed == []


async def test_too_much_is_refused(site: Site) -> None:
    assert await site.bring({"update_id": 1, "text": "x" * 1024 * 1024}) == 413
    assert await site.bring({"update_id": 1, "text": "x" * 1000 * 1024}) == 200


async def test_too_much_of_unannounced_length_is_refused(site: Site) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    async with site.http.post("/telegram/webhook", data=endless(), headers=headers) as response:
        assert response.status == 413


@pytest.mark.parametrize("secret", ["", "not allowed", "x" * 257])
def test_a_webhook_without_a_proper_secret_does_not_start(secret: str) -> None:
    async def feed(_: dict[str, Any]) -> None: ...

    with pytest.raises(FatalError):
        TelegramWebhook(secret=secret, feed=feed)


async def healthy() -> dict[str, object]:
    return {"ok": True}


def plain_server(port: int = 0) -> HttpServer:
    app = create_app(health=healthy, metrics=CollectorRegistry())
    return HttpServer(app, "127.0.0.1", port)


async def test_without_a_webhook_there_is_no_such_page() -> None:
    async with plain_server() as server, aiohttp.ClientSession() as http:
        response = await http.post(f"http://127.0.0.1:{server.port}/telegram/webhook")
        assert response.status == 404


async def test_signals_stay_with_the_program_and_the_port_is_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with plain_server() as server, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{server.port}/healthz") as response:
            assert response.status == 200
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    async with plain_server(server.port):
        pass


async def test_a_taken_port_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        with pytest.raises(FatalError, match=f"Port {port} on 127.0.0.1 is taken.*set HTTP_PORT"):
            async with plain_server(port):
                pass


async def test_waiting_for_the_server_ends_with_it() -> None:
    async with plain_server() as server:
        waiting = asyncio.create_task(server.wait())
    await waiting
