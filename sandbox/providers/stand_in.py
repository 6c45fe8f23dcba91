"""What the stand-ins for providers have in common: a server that counts to the letter, and faults on order."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from types import TracebackType
from typing import Literal, Self
from zlib import crc32

import msgspec
from aiohttp import web
from msgspec.structs import replace

from domain.calls.events import Token

Fault = int | Literal["html", "cut", "drop", "empty", "error"]
"""A status; or a 200 that is somebody else's page, half an answer, empty, its own error; or no answer at all."""

WINDOW_S = 60.0
PAGE = "<!doctype html><html><title>Just a moment...</title></html>"

_HOST = "127.0.0.1"
_NOISE_LASTS_S = 10.0


def answer(body: object, *, status: int = 200) -> web.Response:
    """JSON, written fast: whoever measures the bot does not want to measure this."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def nobody_knows(mint: str) -> Token | None:  # noqa: ARG001 - the same form as one that knows
    """Tell nothing of any token."""
    return None


class StandIn(ABC):
    """`figures`: what is known of a token, its price first; one that nobody knows is left out of the answers.

    `requests_per_minute` are let in within any 60 s of `clock` (Unix time).
    """

    name: str

    def __init__(
        self,
        *,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        self.figures = figures
        self.unknown: set[str] = set()
        """Tokens that this provider does not know, whatever others say."""
        self.off_by: dict[str, float] = {}
        """Factor by which its price for a token is wrong."""
        self.stale: dict[str, Token] = {}
        """Tokens of which it says what it once knew."""
        self.status = 200
        """Anything else is answered instead of what was asked for."""
        self.retry_after_s: float | None = None
        """Said with a 429 or a 5xx."""
        self.delay_s = 0.0
        self.requests = 0
        self.refused = 0
        """Those of them that exceeded the limit."""
        self.most_in_a_window = 0
        """Highest number of requests in any 60 s, those refused for the limit included."""
        self.url = ""
        self.clock = clock
        self._noise = noise
        self._limit = requests_per_minute
        self._faults: deque[Fault] = deque()
        self._came_s: deque[float] = deque()
        self._answered_s: deque[float] = deque()
        """When the requests of the last minute were let in."""
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gateway])
        self._route(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def will(self, *faults: Fault) -> None:
        """Answer the next requests with these, each once."""
        self._faults.extend(faults)

    def token(self, address: str) -> Token | None:
        """What this provider says of a token: at its own price, a little beside everybody else's."""
        token = None if address in self.unknown else self.stale.get(address) or self.figures(address)
        if token is None or token.price_usd is None:
            return token
        factor = self.off_by.get(address, 1.0) * self.noise_of(address)
        if factor == 1.0:
            return token
        figures = {name: getattr(token, name) for name in ("price_usd", "market_cap_usd", "fdv_usd")}
        return replace(token, **{name: value * factor for name, value in figures.items() if value is not None})

    def noise_of(self, address: str) -> float:
        """The same for ten seconds."""
        seed = f"{self.name} {address} {int(self.clock() / _NOISE_LASTS_S)}"
        return 1.0 + self._noise * (crc32(seed.encode()) / 2**31 - 1.0)

    @abstractmethod
    def _route(self, router: web.UrlDispatcher) -> None: ...

    @abstractmethod
    def _refusal(self, status: int) -> web.Response:
        """What it answers when it does not give what was asked for."""

    def _limit_headers(self, *, exceeds: bool) -> dict[str, str]:  # noqa: ARG002 - not everybody has any
        """Headers that tell of the limit."""
        return {}

    @web.middleware
    async def _gateway(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Count the request against the limit, then answer, or do what was ordered instead."""
        now_s = self.clock()
        exceeds = self._count(now_s)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if exceeds:
            response: web.StreamResponse = self._refusal(429)
        else:
            response = await self._answer(request, handler, now_s)
        response.headers["Date"] = formatdate(self.clock(), usegmt=True)
        if response.status >= web.HTTPTooManyRequests.status_code and self.retry_after_s is not None:
            response.headers["Retry-After"] = f"{self.retry_after_s:g}"
        response.headers.update(self._limit_headers(exceeds=exceeds))
        return response

    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        now_s: float,
    ) -> web.StreamResponse:
        fault: Fault = self._faults.popleft() if self._faults else self.status
        if fault == "html":
            return web.Response(text=PAGE, content_type="text/html")
        if fault == "empty":
            return web.Response()
        if fault == "error":
            refusal = self._refusal(500)
            refusal.set_status(200)
            return refusal
        if fault == "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if isinstance(fault, int) and fault != web.HTTPOk.status_code:
            return self._refusal(fault)
        self._answered_s.append(now_s)
        response = await handler(request)
        if fault == "cut" and isinstance(response, web.Response) and isinstance(response.body, bytes):
            response.body = response.body[: len(response.body) // 2]
        return response

    def _count(self, now_s: float) -> bool:
        """Whether this one is beyond the limit."""
        self.requests += 1
        self._came_s.append(now_s)
        for times_s in (self._came_s, self._answered_s):
            while times_s and times_s[0] <= now_s - WINDOW_S:
                times_s.popleft()
        self.most_in_a_window = max(self.most_in_a_window, len(self._came_s))
        exceeds = len(self._answered_s) >= self._limit
        self.refused += exceeds
        return exceeds
