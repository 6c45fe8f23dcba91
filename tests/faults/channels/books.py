"""Channels that post, somebody who reads what a listener tells of them, and both compared."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import numpy as np
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.channels.outside import LISTEN_TOKEN, Outside

Called = tuple[str, str]
"""Channel and token."""
UNREADABLE_STYLES: Final = frozenset({"great_hopes"})
"""A style in which the parser takes some calls for sales; `tests/channels/test_market.py` counts them."""
LATE_S: Final = 600.0
_AGAIN_S: Final = 0.1
_RIGHT: Final = 1.05


class ChannelCounts(Struct, frozen=True, kw_only=True):
    posts: int
    calls: int
    """(channel, token) that some post calls."""
    told: int
    lost: int
    twice: int
    """Told again under another id, or with another cursor."""
    late: int
    """Told more than ten minutes after they were posted, and their time says so."""
    misdated: int
    """Told with a time that is not that of their post."""
    disordered: int
    """Told with a cursor that is not above the one before, or told only to whoever asks for all again."""
    slowest_s: float
    """From the post to the frame, of calls that nothing stood in the way of."""

    def line(self) -> str:
        said = (f"{name} {getattr(self, name):,}" for name in self.__struct_fields__ if name != "slowest_s")
        return ", ".join([*said, f"slowest {self.slowest_s:.2f} s"])


class Posts:
    """What was posted, and what of it somebody has to be told."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.posts = 0
        self.called: dict[Called, datetime] = {}
        self.hears: Callable[[str], None] = lambda _: None
        """Told of each token that is called."""
        self.numbers: dict[Called, int] = {}
        self.readable_at_s: dict[Called, float] = {}
        """`time.monotonic()` when it could be read; of those alone that nothing stands in the way of."""

    def post(self, times: int = 1, *, is_free: bool = True) -> None:
        """`is_free`: nothing stands in the way of what is called now."""
        self.posts += times
        self.outside.post(times)
        self.take(is_free=is_free)

    def take(self, *, is_free: bool = True) -> None:
        """Note what has been called since."""
        played = self.outside.played
        while played.calls:
            call = played.calls.popleft()
            key = call.channel.lower(), call.token
            self.hears(call.token)
            if call.style in UNREADABLE_STYLES or key in self.called:
                continue
            self.called[key], self.numbers[key] = call.at, call.number
            if is_free and not call.is_pool:
                self.readable_at_s[key] = time.monotonic()

    def finish(self) -> None:
        self.outside.played.finish()
        self.take(is_free=False)

    async def play(self, times: int, *, over_s: float, is_free: bool = True) -> None:
        for _ in range(times):
            self.post(is_free=is_free)
            await asyncio.sleep(over_s / times)


class Told:
    """Reads the socket of whoever listens, with the cursor of what it has, and comes again."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        """Of those who may be there, the latest last."""
        self.frames: list[dict[str, Any]] = []
        self.came_at_s: list[float] = []
        self.cursor = 1
        self.disordered = 0

    @property
    def calls(self) -> set[Called]:
        return {_called(frame) for frame in self.frames}

    async def run(self) -> None:
        while True:
            with suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                async with connect(f"ws://127.0.0.1:{self._ports[-1]}/feed") as socket:
                    wish = {"type": "subscribe", "topics": ["calls"], "since": self.cursor, "token": LISTEN_TOKEN}
                    await socket.send(json.dumps(wish))
                    async for frame in socket:
                        self._take(json.loads(frame))
            await asyncio.sleep(_AGAIN_S)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "call":
            return
        self.disordered += frame["cursor"] <= self.cursor
        self.cursor = frame["cursor"]
        self.frames.append(frame)
        self.came_at_s.append(time.monotonic())

    async def again(self, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
        """Ask the HTTP side for all there is."""
        found: list[dict[str, Any]] = []
        headers = {"Authorization": f"Bearer {LISTEN_TOKEN}"}
        while True:
            since = found[-1]["cursor"] if found else 0
            url = f"http://127.0.0.1:{self._ports[-1]}/feed/v1/calls?since={since}"
            async with session.get(url, headers=headers) as answer:
                page = (await answer.json())["calls"]
            if not page:
                return found
            found += page


def counts(posts: Posts, told: Told, again: list[dict[str, Any]], *, ahead_s: float = 0.0) -> ChannelCounts:
    """`ahead_s`: how far the listener's clock is ahead of this one's in the end."""
    times = Counter(map(_called, told.frames))
    due = posts.called
    missed_by_socket = {frame["cursor"] for frame in again} - {frame["cursor"] for frame in told.frames}
    late = misdated = 0
    now = datetime.now(UTC) + timedelta(seconds=ahead_s)
    for frame in told.frames:
        at = datetime.fromisoformat(frame["called_at"])
        posted_at = due.get(_called(frame), at)
        late += now - at > timedelta(seconds=LATE_S)
        # An address that an edit has inserted is called when the edit is read.
        misdated += not posted_at - timedelta(seconds=31) <= at <= now
    delays = [
        came_s - posts.readable_at_s[_called(frame)]
        for frame, came_s in zip(told.frames, told.came_at_s, strict=True)
        if _called(frame) in posts.readable_at_s
    ]
    return ChannelCounts(
        posts=posts.posts,
        calls=len(due),
        told=len(times.keys() & due.keys()),
        lost=len(due.keys() - times.keys()),
        twice=sum(count - 1 for count in times.values()),
        late=late,
        misdated=misdated,
        disordered=told.disordered + len(missed_by_socket),
        slowest_s=max(delays, default=0.0),
    )


def judge(counted: ChannelCounts) -> None:
    assert counted.calls > 0, counted.line()
    assert not counted.lost, counted.line()
    assert not counted.twice, counted.line()
    assert not counted.disordered, counted.line()
    assert not counted.misdated, counted.line()


class FigureCounts(Struct, frozen=True, kw_only=True):
    """Of the tokens that were called, as whoever reads the feed is told of them."""

    asked: int
    right: int
    disputed: int
    """Wrong, and it is said that somebody else says otherwise."""
    wrong: int
    unknown: int
    p50_s: float
    slowest_s: float

    def line(self) -> str:
        said = (f"{name} {getattr(self, name):,}" for name in ("asked", "right", "disputed", "wrong", "unknown"))
        return f"figures: {', '.join(said)}, p50 {self.p50_s:.2f} s, slowest {self.slowest_s:.2f} s"


async def figures(posts: Posts, port: int, session: aiohttp.ClientSession, *, most: int = 20) -> FigureCounts:
    """Ask for the market figures of tokens that nobody has asked about yet."""
    headers, counted, took_s = {"Authorization": f"Bearer {LISTEN_TOKEN}"}, Counter[str](), list[float]()
    tokens = list(dict.fromkeys(token for _, token in posts.called))[:most]
    for token in tokens:
        true = posts.outside.figures(token)
        began_s = time.monotonic()
        async with session.get(f"http://127.0.0.1:{port}/feed/v1/tokens/{token}", headers=headers) as answer:
            said: dict[str, Any] = await answer.json() if answer.status == HTTPStatus.OK else {}
        took_s.append(time.monotonic() - began_s)
        counted[_verdict(said, true.market_cap_usd if true else None)] += 1
    p50_s, slowest_s = np.percentile(took_s, (50, 100))
    named = {name: counted[name] for name in ("right", "disputed", "wrong", "unknown")}
    return FigureCounts(asked=len(tokens), p50_s=float(p50_s), slowest_s=float(slowest_s), **named)


def _verdict(said: dict[str, Any], true: float | None) -> str:
    cap = said.get("market_cap_usd")
    if cap is None or true is None:
        return "unknown"
    if true / _RIGHT <= cap <= true * _RIGHT:
        return "right"
    return "disputed" if "market_cap_usd" in said.get("disputed", {}) else "wrong"


def _called(frame: dict[str, Any]) -> Called:
    return frame["channel"]["id"].lower(), frame["token"]["address"]
