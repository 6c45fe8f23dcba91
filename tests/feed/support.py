"""What the tests of the feeds share: a reader around the manager, a scripted server, calls to publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count

from solders.pubkey import Pubkey
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from domain.calls.events import Call, Channel, Token
from managers.feed.sources.base import Source
from managers.feed.websocket import WebSocketManager

_numbers = count(1)


def address(number: int) -> str:
    return str(Pubkey(number.to_bytes(32, "big")))


def a_call(text: str | None = None) -> Call:
    number = next(_numbers)
    now = datetime.now(UTC)
    return Call(
        id=f"test-{number}",
        token=Token(address=address(number), name="Test", symbol="TEST", market_cap_usd=50_000.0),
        channel=Channel(id="@test_channel", title="Test channel"),
        called_at=now,
        received_at=now,
        text=text,
    )


class Reader:
    """Consumes what a manager emits, and remembers the cursor as the application would."""

    def __init__(self, source: Source, *, queue_size: int) -> None:
        self.queue: asyncio.Queue[Call] = asyncio.Queue(queue_size)
        self.cursor: int | None = None
        self.manager = WebSocketManager(
            source=source,
            emit=self.queue.put,
            resume_cursor=lambda: self.cursor,
            backoff_base_s=0.01,
            backoff_cap_s=0.05,
        )

    async def take(self, number: int = 1) -> list[Call]:
        calls = [await self.queue.get() for _ in range(number)]
        cursors = [call.cursor for call in calls if call.cursor is not None]
        self.cursor = max([self.cursor or 0, *cursors]) or None
        return calls


@asynccontextmanager
async def reading(source: Source, *, queue_size: int = 10_000) -> AsyncGenerator[Reader]:
    reader = Reader(source, queue_size=queue_size)
    task = asyncio.create_task(reader.manager.run())
    try:
        yield reader
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Script:
    """A server that plays one list of frames per connection and tells what it heard."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.connections: asyncio.Queue[int] = asyncio.Queue()
        self.count = 0


@asynccontextmanager
async def scripted(
    frames: Callable[[int], Sequence[str | bytes]],
    *,
    after: Callable[[ServerConnection], Awaitable[None]] | None = None,
) -> AsyncGenerator[Script]:
    """Serve `frames(n)` on the n-th connection after its first message, then `after` or silence."""
    script = Script()

    async def attend(socket: ServerConnection) -> None:
        script.count += 1
        number = script.count
        script.connections.put_nowait(number)
        with suppress(ConnectionClosed):
            script.heard.put_nowait(str(await socket.recv()))
            for frame in frames(number):
                await socket.send(frame)
            if after is not None:
                await after(socket)
            async for message in socket:
                script.heard.put_nowait(str(message))

    async with serve(attend, "127.0.0.1", 0, close_timeout=1) as server:
        script.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        yield script
