"""A feed on loopback that says when each frame left: `called_at` is stamped right before the frame is sent.

It writes to the socket from a thread that sleeps until shortly before a frame's time; event loops round their timers to
the millisecond, and would put what should come apart into one batch. The frames are made in advance, whole: all that
lies between the stamp and the wire is one system call.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import repeat

from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.server import ServerConnection, serve

from benchmarks.kit.traffic import Mix, Traffic
from sandbox.feed.wire import call_frame, heartbeat_frame, subscribed_frame

HEARTBEAT_EVERY_S = 2.0
TIMEOUT_S = 60.0
AWAKE_S = 0.0001
"""Before a frame's time the thread is awake: what a processor needs to come back from its sleep is the machine's."""
PLACEHOLDER = datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)
_STAMP = b"2026-01-01T00:00:00.000001Z"
"""As long as every stamp that takes its place: the frame's head says how long the frame is."""


class Played(Struct, frozen=True, kw_only=True):
    calls: int
    seconds: float
    latest_s: float
    """The most that a frame left after its time: the feed was held up, by the machine or by a reader that is slow."""


class FeedPart:
    """In a process of its own, see `benchmarks/kit/processes.py`. Calls come only by `play`, to the newest client."""

    def __init__(self, mix: Mix) -> None:
        self._traffic = Traffic(mix)
        self._pace = random.Random(11)
        self._frames: deque[tuple[bytes, bytes]] = deque()
        self._cursor = time.time_ns() // 1000
        self._client: ServerConnection | None = None
        self._listens = threading.Event()
        self._server = serve(self._attend, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()

    def prepare(self, count: int) -> None:
        """Make frames in advance: what that costs is not to be seen in the pace."""
        for _ in range(count):
            self._cursor += 1
            frame = call_frame(self._traffic.next_call(PLACEHOLDER), self._cursor)
            head, _, tail = Frame(Opcode.TEXT, frame).serialize(mask=False).partition(_STAMP)
            self._frames.append((head, tail))

    async def play(self, calls_per_s: float, count: int) -> Played:
        """Send `count` prepared calls, at random times (Poisson) or, as far as it comes late, at once."""
        gaps_s = (self._pace.expovariate(calls_per_s) for _ in range(count))
        return await asyncio.to_thread(self._play, gaps_s)

    async def play_evenly(self, calls_per_s: float, count: int) -> Played:
        return await asyncio.to_thread(self._play, repeat(1 / calls_per_s, count))

    def _play(self, gaps_s: Iterable[float]) -> Played:
        if not self._listens.wait(TIMEOUT_S) or self._client is None:
            raise TimeoutError("nobody listens to the feed")
        send, now, latest_s = self._client.socket.sendall, time.perf_counter, 0.0
        whole = self._client.protocol_mutex  # or the answer to a ping gets into the middle of a frame that has to wait
        started_at = due = now()
        count = 0
        for gap_s in gaps_s:
            due += gap_s
            count += 1
            head, tail = self._frames.popleft()
            ahead_s = due - now()
            if ahead_s > AWAKE_S:
                time.sleep(ahead_s - AWAKE_S)
            latest_s = max(latest_s, -ahead_s)
            with whole:
                while now() < due:
                    pass
                send(b"%b%bZ%b" % (head, datetime.now(UTC).isoformat(timespec="microseconds")[:26].encode(), tail))
        return Played(calls=count, seconds=now() - started_at, latest_s=latest_s)

    def beat(self) -> None:
        if self._client is not None:
            with suppress(ConnectionClosed):
                self._client.send(heartbeat_frame(datetime.now(UTC), self._cursor), text=True)

    def _attend(self, socket: ServerConnection) -> None:
        try:
            socket.recv()
            socket.send(subscribed_frame(self._cursor), text=True)
            # The bot takes what it hears for live once something has come after its subscription.
            socket.send(heartbeat_frame(datetime.now(UTC), self._cursor), text=True)
            self._client = socket
            self._listens.set()
            for _ in socket:
                pass
        except ConnectionClosed:
            return


@asynccontextmanager
async def feed_part(mix: Mix) -> AsyncGenerator[FeedPart]:
    feed = FeedPart(mix)
    beating = asyncio.create_task(_beat(feed))
    try:
        yield feed
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        feed.close()


async def _beat(feed: FeedPart) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY_S)
        feed.beat()
