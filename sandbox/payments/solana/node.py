"""One RPC node: HTTP, WebSockets, its limit of requests and its faults."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from sandbox.payments.solana import rpc
from sandbox.payments.solana.cluster import Cluster
from sandbox.payments.solana.errors import INTERNAL_ERROR, RpcError
from sandbox.payments.solana.faucet import Faucet
from sandbox.payments.solana.faults import Fault, NodeFaults
from sandbox.payments.solana.params import is_object
from sandbox.payments.solana.pubsub import Connection
from sandbox.payments.solana.view import View

_HOST = "127.0.0.1"
_BODY_MAX_BYTES = 50 * 1024
_WINDOW_S = 10.0
_PORT_ATTEMPTS = 50
_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>cloudflare</body></html>"


class RpcNode:
    """`async with RpcNode(cluster, faucet) as node:` then ask `node.url`; `node.ws_url` is one port higher."""

    def __init__(self, cluster: Cluster, faucet: Faucet, *, requests_per_10s: int | None = None, port: int = 0) -> None:
        self.faults = NodeFaults()
        self.url = ""
        self.ws_url = ""
        self.requests: Counter[str] = Counter()
        """By method, refused ones included."""
        self.posts = 0
        """HTTP requests; a batch is one."""
        self.requests_per_10s = requests_per_10s
        self._view = View(cluster=cluster, faucet=faucet, faults=self.faults)
        self._cluster = cluster
        self._port = port
        self.requests_per_10s_of_a_method: int | None = None
        self._answered: deque[tuple[float, frozenset[str]]] = deque()
        self._connections: dict[Connection, asyncio.Transport | None] = {}
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._post)
        app.router.add_get("/", self._get)
        app.router.add_get("/health", self._health)
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            port = await self._listen(runner)
            self.url, self.ws_url = f"http://{_HOST}:{port}", f"ws://{_HOST}:{port + 1}"
            self._cluster.observers.append(self._look)
            stack.callback(self._cluster.observers.remove, self._look)
            stack.callback(self.drop_sockets)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    def drop_sockets(self) -> None:
        """Reset every WebSocket as a network fault would."""
        for transport in list(self._connections.values()):
            if transport is not None:
                transport.abort()

    async def _listen(self, runner: web.AppRunner) -> int:
        """Take two ports in a row: clients that are given one address look for WebSockets at the next port."""
        for _ in range(_PORT_ATTEMPTS):
            first = web.TCPSite(runner, _HOST, self._port)
            await first.start()
            port: int = runner.addresses[-1][1]
            try:
                await web.TCPSite(runner, _HOST, port + 1).start()
            except OSError:
                await first.stop()
                continue
            return port
        raise OSError("no two free ports in a row")

    def _look(self) -> None:
        for connection in list(self._connections):
            connection.poll()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self.posts += 1
        await self.faults.delay()
        if request.content_type != "application/json":
            message = "Supplied content type is not allowed. Content-Type: application/json is required"
            return web.Response(status=415, text=message)
        body = await request.content.read(_BODY_MAX_BYTES + 1)
        if len(body) > _BODY_MAX_BYTES:
            return web.Response(status=413, text="Request entity too large")
        try:
            parsed = rpc.read(body)
        except RpcError as error:
            return web.json_response(rpc.failure(None, error))
        methods = rpc.method_names(parsed)
        self.requests.update(methods)
        fault = self.faults.draw(methods)
        if self._exceeds_limit(methods):
            fault = Fault.RATE_LIMIT
        if fault is not None and fault is not Fault.DROP_AFTER and fault is not Fault.HALF_BODY:
            return self._failed(request, fault, parsed)
        answered = rpc.answer(self._view, parsed)
        if fault is not None:
            return self._broken(request, fault, answered)
        return web.json_response(answered) if answered is not None else web.Response()

    def _exceeds_limit(self, methods: frozenset[str]) -> bool:
        """Count the request against the limits, as a public node does: for all methods, and for each of them."""
        now_s = time.monotonic()
        while self._answered and self._answered[0][0] <= now_s - _WINDOW_S:
            self._answered.popleft()
        limit, limit_of_one = self.requests_per_10s, self.requests_per_10s_of_a_method
        if limit is not None and len(self._answered) >= limit:
            return True
        if limit_of_one is not None:
            counts = Counter(method for _, earlier in self._answered for method in earlier)
            if any(counts[method] >= limit_of_one for method in methods):
                return True
        self._answered.append((now_s, methods))
        return False

    def _failed(self, request: web.Request, fault: Fault, parsed: Any) -> web.Response:
        """Answer a request that nothing was done for."""
        number = parsed.get("id") if is_object(parsed) else None
        match fault:
            case Fault.RATE_LIMIT:
                error = RpcError(429, "Too many requests for a specific RPC call")
                headers = {"Retry-After": str(self.faults.retry_after_s)}
                return web.json_response(rpc.failure(number, error), status=429, headers=headers)
            case Fault.INTERNAL_ERROR:
                return web.json_response(rpc.failure(number, RpcError(INTERNAL_ERROR, "Internal error")))
            case Fault.FORBIDDEN:
                return _page(403, "403 Forbidden")
            case Fault.HTML_200:
                return _page(200, "Just a moment...")
            case Fault.DROP:
                return _dropped(request)
            case _:
                return _page(502, "502 Bad Gateway")

    def _broken(self, request: web.Request, fault: Fault, answered: Any) -> web.Response:
        """Answer badly what was done."""
        if fault is Fault.DROP_AFTER:
            return _dropped(request)
        whole = web.json_response(answered).text or ""
        return web.Response(text=whole[: len(whole) // 2], content_type="application/json")

    async def _health(self, _request: web.Request) -> web.Response:
        try:
            return web.Response(text=rpc.call(self._view, "getHealth", None))
        except RpcError:
            return web.Response(text="behind")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        if not socket.can_prepare(request).ok:
            return web.Response(status=405, text="Used HTTP Method is not allowed. POST or OPTIONS is required")
        await socket.prepare(request)
        frames: asyncio.Queue[str] = asyncio.Queue()
        connection = Connection(self._view, frames.put_nowait)
        self._connections[connection] = request.transport
        writer = asyncio.create_task(_write(socket, frames))
        try:
            async for message in socket:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    connection.hear(message.data)
        finally:
            del self._connections[connection]
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket


async def _write(socket: web.WebSocketResponse, frames: asyncio.Queue[str]) -> None:
    while True:
        await socket.send_str(await frames.get())


def _page(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=_PAGE.format(title), content_type="text/html")


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
