"""A market feed on loopback that speaks the native protocol and can be made to fail on demand."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import islice
from random import Random
from secrets import token_urlsafe
from time import monotonic, time_ns
from types import TracebackType
from typing import Literal, Self, TypeVar

from aiohttp import web
from msgspec import Struct, structs
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from domain.calls.addresses import as_kept
from domain.calls.events import Call, Channel, PriceTick, Token
from sandbox.feed import http as feed_http
from sandbox.feed import wire as feed_wire
from sandbox.market.market import Market

V = TypeVar("V")

_HOST = "127.0.0.1"
_QUEUED_FRAMES = 20_000
_REMEMBERED_TOKENS = 50_000
_EVENTS_PER_TURN = 100
_LONGEST_CATCH_UP_S = 1.0
_METERED_S = 5


class FeedSandboxStats(Struct, frozen=True, kw_only=True):
    calls_emitted: int
    ticks_emitted: int
    calls_per_s: float
    """Measured over the last five full seconds."""
    clients: int
    """Subscribed now."""
    queued_frames: int
    """Waiting for clients that read slowly."""
    connections: int
    """Accepted since the start."""
    overruns: int
    """Clients cut off because they did not keep up."""


class _Client:
    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.topics: frozenset[str] = frozenset()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED_FRAMES)


class FeedSandbox:
    """`async with FeedSandbox(market) as feed:` plays the market until the block ends.

    With `calls_per_s=0` nothing plays by itself: calls come from `publish()` and `burst()`. Cursors start at
    the clock's microseconds, so that they keep growing from one run to the next.
    """

    def __init__(
        self,
        market: Market,
        *,
        calls_per_s: float = 1.5,
        ticks_per_s: float = 10.0,
        port: int = 0,
        http_port: int = 0,
        token: str | None = None,
        history: int = 10_000,
        heartbeat_s: float = 2.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.market = market
        self.token = token or token_urlsafe(16)
        self.cursor = time_ns() // 1_000
        self.emitted: OrderedDict[str, float] = OrderedDict()
        """Address of each token called lately -> `time.monotonic()` of its last call."""
        self.someone_listens = asyncio.Event()
        """Set while at least one client is subscribed."""
        self.ws_url = ""
        self.http_url = ""
        self._ports = port, http_port
        self._calls_per_s = calls_per_s
        self._ticks_per_s = ticks_per_s
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._pace = Random(market.seed)
        self._rate_changed = asyncio.Event()
        self._audible = asyncio.Event()
        self._audible.set()
        self._history: deque[tuple[int, bytes]] = deque(maxlen=history)
        self._channels: dict[str, Channel] = {}
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._sockets: set[ServerConnection] = set()
        self._clients: set[_Client] = set()
        self._calls_emitted = self._ticks_emitted = self._connections = self._overruns = 0
        self._meter: deque[tuple[int, int]] = deque(maxlen=_METERED_S + 1)
        self._resources = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            port, http_port = self._ports
            # A slow reader answers no pings; it is cut off when its queue is full, not before.
            server = await stack.enter_async_context(
                serve(self._attend, _HOST, port, compression=None, ping_timeout=None, close_timeout=1)
            )
            runner = web.AppRunner(feed_http.build(self), access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, _HOST, http_port).start()
            self.ws_url = f"ws://{_HOST}:{next(iter(server.sockets)).getsockname()[1]}/"
            self.http_url = f"http://{_HOST}:{runner.addresses[0][1]}"
            self.market.media_url = f"{self.http_url}/media"
            self._resources = stack.pop_all()
        self._tasks = [asyncio.create_task(self._play()), asyncio.create_task(self._beat())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self.drop_connections()
        await self._resources.aclose()
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def stats(self) -> FeedSandboxStats:
        now = int(monotonic())
        recent = sum(count for second, count in self._meter if now - _METERED_S <= second < now)
        return FeedSandboxStats(
            calls_emitted=self._calls_emitted,
            ticks_emitted=self._ticks_emitted,
            calls_per_s=recent / _METERED_S,
            clients=len(self._clients),
            queued_frames=sum(client.queue.qsize() for client in self._clients),
            connections=self._connections,
            overruns=self._overruns,
        )

    def publish(self, call: Call) -> Call:
        """Emit this call now and give it back with the cursor it got.

        Its token is served over HTTP from now on; so is its channel, if it has a record.
        """
        if call.channel.record is not None:
            self._channels[call.channel.id] = call.channel
        _remember(self._tokens, as_kept(call.token.address), call.token)
        self.cursor += 1
        frame = feed_wire.call_frame(call, self.cursor)
        self._history.append((self.cursor, frame))
        self._calls_emitted += 1
        self._count()
        _remember(self.emitted, call.token.address, monotonic())
        self._broadcast("calls", frame)
        return structs.replace(call, cursor=self.cursor)

    def publish_tick(self, tick: PriceTick) -> None:
        self._ticks_emitted += 1
        self._broadcast("prices", feed_wire.price_frame(tick))

    async def burst(self, count: int) -> list[Call]:
        """Let the market call `count` times at once."""
        calls: list[Call] = []
        for number in range(count):
            calls.append(self.publish(self.market.next_call(self._clock())))
            if number % _EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        return calls

    def set_rate(self, calls_per_s: float, ticks_per_s: float | None = None) -> None:
        self._calls_per_s = calls_per_s
        if ticks_per_s is not None:
            self._ticks_per_s = ticks_per_s
        self._rate_changed.set()

    def drop_connections(self) -> None:
        """Reset every connection as a network fault would: without goodbye, losing what is under way."""
        for client in list(self._clients):
            self._forget(client)
        for socket in self._sockets:
            socket.transport.abort()

    def go_silent(self, silent: bool) -> None:  # noqa: FBT001 - reads as the switch it is
        """Keep connections open and say nothing; what was to be said follows when the silence ends."""
        if silent:
            self._audible.clear()
        else:
            self._audible.set()

    def repeat_events(self, count: int) -> None:
        """Send the last `count` calls again, unchanged."""
        for _, frame in list(self._history)[-count:] if count else []:
            self._broadcast("calls", frame)

    def send_malformed(self, count: int) -> None:
        for number in range(count):
            self._broadcast("calls", feed_wire.JUNK[number % len(feed_wire.JUNK)])

    def frames_since(self, cursor: int, limit: int | None = None) -> list[bytes]:
        """Give the calls still held after `cursor`, oldest first, as frames."""
        return list(islice((frame for at, frame in self._history if at > cursor), limit))

    def find_channel(self, channel_id: str) -> Channel | None:
        return self._channels.get(channel_id) or self.market.channel(channel_id)

    def find_token(self, address: str) -> Token | None:
        return self.market.token(address, self._clock()) or self._tokens.get(as_kept(address))

    async def _play(self) -> None:
        """Poisson arrivals at the rate that is set; up to a second that was missed is made up for."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            self._rate_changed.clear()
            rate = self._calls_per_s and self._calls_per_s + self._ticks_per_s
            due_s = max(due_s, loop.time() - _LONGEST_CATCH_UP_S)
            for _ in range(_EVENTS_PER_TURN):
                if not rate or due_s > loop.time():
                    break
                self._play_one(rate)
                due_s += self._pace.expovariate(rate)
            try:
                async with asyncio.timeout_at(due_s if rate else None):
                    await self._rate_changed.wait()
                due_s = loop.time()
            except TimeoutError:
                continue

    def _play_one(self, rate: float) -> None:
        if self._pace.random() * rate < self._calls_per_s:
            self.publish(self.market.next_call(self._clock()))
        elif tick := self.market.next_tick(self._clock()):
            self.publish_tick(tick)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._broadcast(None, feed_wire.heartbeat_frame(self._clock(), self.cursor))

    async def _attend(self, socket: ServerConnection) -> None:
        self._connections += 1
        self._sockets.add(socket)
        client = _Client(socket)
        sender = asyncio.create_task(self._send(client))
        try:
            async for frame in socket:
                self._hear(client, frame)
        except ConnectionClosed:
            pass  # the client may leave in any manner
        finally:
            self._sockets.discard(socket)
            self._forget(client)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    def _hear(self, client: _Client, frame: bytes | str) -> None:
        wish = feed_wire.read_subscribe(frame)
        if wish is None:
            self._queue(client, feed_wire.error_frame("expected a subscribe frame"))
            return
        client.topics = frozenset(wish.topics)
        self._queue(client, feed_wire.subscribed_frame(self.cursor))
        if wish.since is not None and "calls" in client.topics:
            for missed in self.frames_since(wish.since):
                self._queue(client, missed)
        self._clients.add(client)
        self.someone_listens.set()

    async def _send(self, client: _Client) -> None:
        try:
            while True:
                frame = await client.queue.get()
                await self._audible.wait()
                await client.socket.send(frame, text=True)
        except ConnectionClosed:
            return

    def _broadcast(self, topic: Literal["calls", "prices"] | None, frame: bytes) -> None:
        for client in list(self._clients):
            wanted = topic is None or topic in client.topics
            # What is soon outdated must not push out what is not.
            fits = topic == "calls" or client.queue.qsize() < _QUEUED_FRAMES // 2
            if wanted and fits:
                self._queue(client, frame)

    def _queue(self, client: _Client, frame: bytes) -> None:
        try:
            client.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self._overruns += 1
            self._forget(client)
            client.socket.transport.abort()

    def _forget(self, client: _Client) -> None:
        self._clients.discard(client)
        if not self._clients:
            self.someone_listens.clear()

    def _count(self) -> None:
        second = int(monotonic())
        if self._meter and self._meter[-1][0] == second:
            self._meter[-1] = second, self._meter[-1][1] + 1
        else:
            self._meter.append((second, 1))


def _remember(memory: OrderedDict[str, V], key: str, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED_TOKENS:
        memory.popitem(last=False)
