"""nginx itself, on our configuration, before the bot's own HTTP edge."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from managers.payments.nowpayments import Told
from tests.e2e.bot_process import ROOT
from web.app import create_app
from web.payments import NowPaymentsNotifications
from web.server import HttpServer
from web.telegram_webhook import TelegramWebhook

TEMPLATE: Final = ROOT / "deploy" / "nginx" / "token-filter-bot.conf.template"
HOST: Final = "bot.example.org"
SECRET: Final = "the_secret_of_the_hook"
IPN_SECRET: Final = "the secret of notifications"

needs_nginx = pytest.mark.skipif(
    not all(map(shutil.which, ("nginx", "openssl"))),
    reason="there is no nginx or no openssl here (Debian: apt-get install nginx-light openssl)",
)
_MAIN: Final = """
{user}
daemon off;
pid {here}/nginx.pid;
error_log {here}/error.log warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    include {here}/site.conf;
}}
"""


@dataclass
class Edge:
    """What came through to the bot, and the way in."""

    here: Path
    http: aiohttp.ClientSession
    plain_port: int
    tls_port: int
    tls: ssl.SSLContext
    reached: list[str] = field(default_factory=list[str])
    updates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    payments: list[Told] = field(default_factory=list[Told])

    def forget(self) -> None:
        for seen in (self.reached, self.updates, self.payments):
            seen.clear()

    @asynccontextmanager
    async def from_another_address(self, address: str) -> AsyncGenerator[Edge]:
        """The same, asked from another address of this machine."""
        connector = aiohttp.TCPConnector(resolver=_Here(), local_addr=(address, 0))
        async with aiohttp.ClientSession(connector=connector) as http:
            yield replace(self, http=http)

    async def ask(
        self, method: str, path: str, *, host: str = HOST, tls: ssl.SSLContext | None = None, **request: Any
    ) -> tuple[int, str]:
        """Ask by TLS; returns the status and what it says."""
        url = f"https://{host}:{self.tls_port}{path}"
        async with self.http.request(method, url, ssl=tls or self.tls, allow_redirects=False, **request) as answer:
            return answer.status, await answer.text()

    async def bring(self, update: object, *, secret: str = SECRET) -> int:
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        status, _ = await self.ask("POST", "/telegram/webhook", json=update, headers=headers)
        return status


class _Counted:
    def __init__(self, app: ASGIApp, reached: list[str]) -> None:
        self._app = app
        self._reached = reached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._reached.append(f"{scope['method']} {scope['path']}")
        await self._app(scope, receive, send)


class _Here(AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        return None


def filled_in(values: Mapping[str, str]) -> str:
    """Our template with these variables; no other stands in it."""
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], TEMPLATE.read_text(encoding="utf-8"))


def rendered(here: Path, *, bot: str, plain_port: int, tls_port: int) -> str:
    """Our template as `envsubst` fills it in, on loopback alone."""
    text = filled_in({"SERVER_NAME": HOST, "BOT_ADDRESS": bot, "TLS_DIRECTORY": str(here)})
    ports = {"80": plain_port, "443": tls_port}
    text = re.sub(r"listen (80|443)\b", lambda found: f"listen 127.0.0.1:{ports[found[1]]}", text)
    return text.replace("/var/lib/token-filter-bot-acme", str(here / "acme"))


def write_configuration(here: Path, *, bot: str, plain_port: int = 80, tls_port: int = 443) -> Sequence[str]:
    """Write all that nginx reads, with a certificate of our own; returns the command that starts it."""
    here.chmod(0o755)
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(here / "privkey.pem"), "-out", str(here / "fullchain.pem")]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *files, *subject], check=True, capture_output=True)
    (here / "nginx.conf").write_text(_MAIN.format(here=here, user=_user()))
    (here / "site.conf").write_text(rendered(here, bot=bot, plain_port=plain_port, tls_port=tls_port))
    return ("nginx", "-e", str(here / "error.log"), "-p", str(here), "-c", str(here / "nginx.conf"))


def _user() -> str:
    """Return the line without which workers of a nginx that root starts could not enter our directory."""
    return "user root;" if os.geteuid() == 0 else ""


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@asynccontextmanager
async def opened(here: Path) -> AsyncGenerator[Edge]:
    """The bot's edge and nginx before it, until the block ends."""
    plain_port, tls_port = free_ports(2)
    tls = ssl.create_default_context()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=_Here())) as http:
        edge = Edge(here, http, plain_port, tls_port, tls)

        async def feed(update: dict[str, Any]) -> None:
            edge.updates.append(update)

        async def notified(said: Told) -> None:
            edge.payments.append(said)

        async def health() -> dict[str, object]:
            return {"ok": True}

        app = create_app(
            health=health,
            metrics=CollectorRegistry(),
            routes=[
                TelegramWebhook(secret=SECRET, feed=feed).router,
                NowPaymentsNotifications(secret=IPN_SECRET, notified=notified).router,
            ],
        )
        async with HttpServer(_Counted(app, edge.reached), "127.0.0.1", 0) as bot:
            command = write_configuration(here, bot=f"127.0.0.1:{bot.port}", plain_port=plain_port, tls_port=tls_port)
            tls.load_verify_locations(here / "fullchain.pem")
            process = await asyncio.create_subprocess_exec(*command)
            try:
                await _listens(tls_port, process)
                yield edge
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(10):
        while True:
            assert process.returncode is None, "nginx has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
