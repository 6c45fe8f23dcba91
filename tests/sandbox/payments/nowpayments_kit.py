"""A merchant: a client of the API and a server that takes IPNs, with a verification of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.nowpayments.signing import is_list, is_object


class Client:
    def __init__(self, sandbox: NowPaymentsSandbox, session: aiohttp.ClientSession) -> None:
        self.key: str | None = sandbox.api_key
        self.bearer: str | None = None
        self._url = sandbox.url
        self._session = session

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        return await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **sent: Any) -> tuple[int, Any]:
        headers: dict[str, str] = {}
        if self.key is not None:
            headers["x-api-key"] = self.key
        if self.bearer is not None:
            headers["Authorization"] = self.bearer
        async with self._session.request(method, self._url + path, headers=headers, **sent) as response:
            return response.status, json.loads(await response.text(), parse_float=Decimal)


@dataclass
class Received:
    body: bytes
    signature: str | None
    said: Any


@dataclass
class Merchant:
    """`async with Merchant() as merchant:` takes IPNs at `merchant.url` and answers them from `answers`."""

    answers: list[int] = field(default_factory=list[int])
    """Statuses for the next IPNs; 200 when there is none."""
    received: list[Received] = field(default_factory=list[Received])
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/ipn", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/ipn"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def statuses(self) -> list[str]:
        return [each.said["payment_status"] for each in self.received]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.received.append(Received(body, request.headers.get("x-nowpayments-sig"), json.loads(body)))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


def believes(received: Received, secret: str) -> bool:
    """Verify as the facts demand: recursive sort, literal numbers or JavaScript's, arrays as objects of indexes."""
    if not received.signature:
        return False
    return any(
        hmac.compare_digest(hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest(), received.signature)
        for text in (canonical(received.body, javascript=False), canonical(received.body, javascript=True))
    )


def canonical(body: bytes, *, javascript: bool) -> str:
    class Literal(str):
        __slots__ = ()

    def literal(text: str) -> Literal:
        return Literal(_trimmed(text) if javascript else text)

    def written(value: Any) -> str:
        if isinstance(value, Literal):
            return str(value)
        if is_list(value):
            return written({str(index): each for index, each in enumerate(value)})
        if is_object(value):
            return "{" + ",".join(f"{json.dumps(name)}:{written(value[name])}" for name in sorted(value)) + "}"
        return json.dumps(value, ensure_ascii=False)

    return written(json.loads(body, parse_float=literal, parse_int=literal))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
