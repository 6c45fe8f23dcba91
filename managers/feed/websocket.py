"""The socket under a feed: stays connected, notices silence, fills gaps, hands on each call once."""

from __future__ import annotations

import asyncio
import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import structlog
from msgspec import Struct
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from domain.calls.events import Call, PriceTick
from managers.feed.frame_log import EXCERPT_CHARACTERS, REFUSED, LogBudget, printable
from managers.feed.handshake import FeedHandshake, asked_pause_s, check_address, described
from managers.feed.past import PastCalls
from managers.feed.proxies import Proxies
from managers.feed.sources.base import Source
from runtime.clock import now
from runtime.errors import FeedRefusedError, FrameError, TransientError
from runtime.pace import pace
from runtime.redaction import without_keys
from runtime.waiting import REPORT_EVERY_S, Progress, pause

log = structlog.get_logger(__name__)

_REMEMBERED_CALLS = 20_000
"""What comes again after more than these is decided again, which claims nothing."""
_MAX_TICKS = 50_000
_RESTS_S = 0.5
_LOGGED_FRAMES_PER_MINUTE = 6


@dataclass(slots=True)
class FeedStats:
    """Counted since the start of the process."""

    connected: bool = False
    frames: int = 0
    calls: int = 0
    """Handed on; each once."""
    ticks: int = 0
    repeats: int = 0
    """Calls seen before, left out."""
    malformed: int = 0
    refused: int = 0
    reconnects: int = 0
    backfilled: int = 0
    """Those of `calls` that came over HTTP after a gap."""
    connected_since: datetime | None = None
    last_data_at: datetime | None = None


class FeedHealth(Struct, frozen=True, kw_only=True):
    source: str
    connected: bool
    data_age_s: float | None
    """Since the last call, tick or heartbeat; `None` before the first."""
    stale: bool
    """Nothing has come for longer than this source may be silent."""
    last_problem: str | None


class _CutError(TransientError):
    """We ended the connection ourselves: it brought nothing, or somebody wanted it so."""


class WebSocketManager:
    """Reads one source for ever. Everything that can go wrong on the wire is mended and counted here.

    `emit` is awaited with each call: while it waits, the socket is not read and TCP slows the feed down. It raises
    nothing but `BotError`. Price ticks do not pass through it; the latest one per token waits in `take_ticks()`.
    """

    _cut_because: str | None
    _refused_because: str | None
    """What the feed itself said of this connection."""
    _last_problem: str | None

    def __init__(
        self,
        *,
        source: Source,
        emit: Callable[[Call], Awaitable[None]],
        resume_cursor: Callable[[], int | None],
        clock: Callable[[], datetime] = now,
        backoff_base_s: float = 0.5,
        backoff_cap_s: float = 10.0,
        steady_after_s: float = 30.0,
    ) -> None:
        """`steady_after_s`: a connection that brought events for so long is followed by the shortest wait again."""
        self.stats = FeedStats()
        self._source = source
        self._emit = emit
        self._resume_cursor = resume_cursor
        self._clock = clock
        self._backoff_base_s, self._backoff_cap_s = backoff_base_s, backoff_cap_s
        self._steady_after_s = steady_after_s
        self._proxies = Proxies()
        self._seen: OrderedDict[str, None] = OrderedDict()
        """Ids of calls, the oldest first; a cache that counts and looks for the least used costs ten times as much."""
        self._ticks: dict[str, PriceTick] = {}
        self._failures = 0
        """Attempts since the last connection that was steady."""
        self._asked_pause_s = 0.0
        """For so long the last one who refused us wants to be left alone."""
        self._connections = 0
        self._opened_at = math.inf
        """Loop time."""
        self._deadline = 0.0
        """Loop time at which silence becomes a fault."""
        self._watching: asyncio.TimerHandle | None = None
        self.opened: Callable[[], None] = lambda: None
        """Told of each socket that opens."""
        self.rests: Callable[[], bool] = lambda: False
        """Whether the feed is not to be read for now; looked at every few seconds."""
        self._socket: ClientConnection | None = None
        self._cut_because = self._refused_because = self._last_problem = None
        self._awaits_frame, self._waits_for_room = False, False
        self._progress: Progress = lambda: None
        self._past = PastCalls(source, self._hand_on_late)
        self.polls = True
        """Whether calls are fetched from the feed's HTTP side, where it has one, while the socket stays away."""
        self._log_budget = LogBudget(_LOGGED_FRAMES_PER_MINUTE)

    async def run(self, progress: Progress = lambda: None) -> NoReturn:
        """Connect, read, reconnect. `FatalError` for an address that can never work.

        It is progress to try, to wait before the next try, and to wait for what may still come or for room.
        """
        self._progress = progress
        check_address(self._source.url)
        while True:
            progress()
            while self.rests():
                await pause(_RESTS_S, progress)
            await self._converse()
            heard_until = self._deadline - self._source.idle_timeout_s
            if heard_until - self._opened_at >= self._steady_after_s:
                self._failures = 0
            ceiling_s = min(self._backoff_cap_s, self._backoff_base_s * 2 ** min(self._failures, 16))
            self._failures += 1
            log.info("feed_reconnecting", source=self._source.name, after_s=self._asked_pause_s, within_s=ceiling_s)
            jitter_s = random.uniform(0, ceiling_s)  # noqa: S311 - jitter is no secret
            await self._wait(self._asked_pause_s + jitter_s)

    async def _wait(self, seconds: float) -> None:
        if not (self.polls and self._source.replays):
            await pause(seconds, self._progress)
        else:
            await self._past.poll_for(seconds, self._resume_cursor, self._note_answered, self._progress)

    def take_ticks(self) -> dict[str, PriceTick]:
        """Hand over the latest tick of each token that moved since the last time, by address."""
        ticks, self._ticks = self._ticks, {}
        return ticks

    def reconnect(self) -> bool:
        """End the connection and make another, which goes on after the last call; `False` where there is none."""
        return self._cut("to connect anew")

    def replay(self, cursor: int) -> None:
        """Fetch what was called after `cursor` once more, with the next heartbeat; only of a source with a past."""
        self._seen.clear()
        self._past.again(cursor)

    def health(self) -> FeedHealth:
        last = self.stats.last_data_at
        age_s = None if last is None else max(0.0, (self._clock() - last).total_seconds())
        return FeedHealth(
            source=self._source.name,
            connected=self.stats.connected,
            data_age_s=age_s,
            stale=age_s is None or age_s > self._source.idle_timeout_s,
            last_problem=self._last_problem,
        )

    async def _converse(self) -> None:
        """One connection from handshake to its end, whatever ends it."""
        self._opened_at, self._asked_pause_s = math.inf, 0.0
        try:
            async with FeedHandshake(self._source.url, self._proxies) as socket:
                self._note_opened(socket)
                self._watch(socket)
                await self._subscribe_and_read(socket)
        except (_CutError, OSError, WebSocketException) as error:
            self._asked_pause_s = asked_pause_s(error)
            said = str(error) if isinstance(error, _CutError) else described(error)
            self._last_problem = self._refused_because or said
            log.warning(
                "feed_lost", source=self._source.name, url=without_keys(self._source.url), reason=self._last_problem
            )
        finally:
            if self._watching is not None:
                self._watching.cancel()
            self._socket = None
            self.stats.connected = False
            self.stats.connected_since = None

    def _note_opened(self, socket: ClientConnection) -> None:
        self._connections += 1
        self._socket, self._cut_because, self._refused_because = socket, None, None
        self.stats.reconnects = self._connections - 1
        self.stats.connected = True
        self.stats.connected_since = self._clock()
        self._allow_silence()
        self._opened_at = asyncio.get_running_loop().time()
        self._source.came_back()
        self.opened()
        log.info(
            "feed_connected", source=self._source.name, url=without_keys(self._source.url), count=self._connections
        )

    async def _subscribe_and_read(self, socket: ClientConnection) -> None:
        cursor = self._past.position(self._resume_cursor())
        for frame in self._source.subscription(cursor):
            await socket.send(frame)
        if self._source.replays and cursor is not None:
            self._past.again(cursor)
        # The first frame shows that the subscription stands: fetching now leaves no hole before it.
        frame = await self._next_frame(socket)
        await self._fill_gap()
        while True:
            await self._take(frame)
            frame = await self._next_frame(socket)

    async def _next_frame(self, socket: ClientConnection) -> bytes:
        self._awaits_frame = True
        try:
            return await socket.recv(decode=False)
        except ConnectionClosed as error:
            if self._cut_because:
                raise _CutError(self._cut_because) from error
            raise
        finally:
            self._awaits_frame = False

    def _cut(self, because: str) -> bool:
        if self._socket is None:
            return False
        self._cut_because = because
        self._socket.transport.abort()
        return True

    def _watch(self, socket: ClientConnection) -> None:
        """Cut the connection as soon as a frame is waited for past the deadline: a timer of each frame costs more."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        is_silent = self._awaits_frame and now_s >= self._deadline
        if is_silent or self.rests():
            self._cut(f"no data for {self._source.idle_timeout_s:g} s" if is_silent else "it is paused")
            return
        if self._awaits_frame or self._waits_for_room:
            self._progress()
        # While `emit` waits there is no deadline; there is a new one when it has taken its call.
        poll_at = self._deadline if now_s < self._deadline else now_s + self._source.idle_timeout_s
        self._watching = loop.call_at(min(poll_at, now_s + pace.seconds(REPORT_EVERY_S)), self._watch, socket)

    async def _take(self, frame: bytes) -> None:
        self.stats.frames += 1
        received_at = self._clock()
        try:
            event = self._source.decode(frame, received_at)
        except FeedRefusedError as error:
            self.stats.refused += 1
            self._refused_because = f"{REFUSED}{printable(str(error))}"[:200]
            self._note_frame("feed_refused", str(error), frame)
            return
        except FrameError as error:
            self.stats.malformed += 1
            self._note_frame("frame_rejected", str(error), frame)
            return
        if event is None:
            return
        self._note_event(received_at)
        if isinstance(event, Call):
            await self._hand_on(event)
        elif isinstance(event, PriceTick):
            self._keep_tick(event)
        else:
            await self._fill_gap()
        self._allow_silence()

    async def _hand_on(self, call: Call) -> bool:
        """Whether the call was new. It is remembered only after `emit` took it."""
        if call.id in self._seen:
            self.stats.repeats += 1
            return False
        self._waits_for_room = True
        try:
            await self._emit(call)
        finally:
            self._waits_for_room = False
        self._remember(call)
        return True

    async def _hand_on_late(self, call: Call) -> bool:
        self._note_answered()
        is_new = await self._hand_on(call)
        self.stats.backfilled += is_new
        return is_new

    def _note_answered(self) -> None:
        self._note_event(self._clock())

    def _remember(self, call: Call) -> None:
        self._seen[call.id] = None
        if len(self._seen) > _REMEMBERED_CALLS:
            self._seen.popitem(last=False)
        self.stats.calls += 1

    def _note_event(self, received_at: datetime) -> None:
        self.stats.last_data_at = received_at

    def _keep_tick(self, tick: PriceTick) -> None:
        self.stats.ticks += 1
        earlier = self._ticks.get(tick.token_address)
        if earlier is None and len(self._ticks) >= _MAX_TICKS:
            return
        if earlier is None or earlier.at <= tick.at:
            self._ticks[tick.token_address] = tick

    async def _fill_gap(self) -> None:
        await self._past.fill(self._progress)
        self._allow_silence()

    def _allow_silence(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self._source.idle_timeout_s

    def _note_frame(self, event: str, reason: str, frame: bytes) -> None:
        self._last_problem = f"{event}: {printable(reason)}"[:200]
        unlogged = self._log_budget.spend(asyncio.get_running_loop().time())
        if unlogged is not None:
            log.warning(
                event,
                source=self._source.name,
                reason=printable(reason),
                excerpt=printable(frame[:EXCERPT_CHARACTERS].decode("ascii", "replace")),
                unlogged=unlogged,
            )
