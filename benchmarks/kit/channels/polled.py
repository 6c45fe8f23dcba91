"""Five hundred channels on the stand-in's pages, read within a budget: how old posts are when they are read.

Time is simulated, requests are real: whoever reads, and the pages, live in one loop (`benchmarks/kit/virtual_time.py`).
What stands between is the bot's own: the service that polls, and the reader of pages. What it is told of goes nowhere.
Beside it whoever asks one channel after the other, as fast as the budget lets them.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from heapq import heapify, heapreplace
from random import Random
from typing import Final, cast

import aiohttp
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.virtual_time import run as run_in_virtual_time
from managers.channels.base import Page
from managers.channels.preview import TelegramPreview
from sandbox.channels.server import ChannelsSandbox
from services.channels.listed import ListedChannels
from services.channels.paging import Reading
from services.channels.polling import PollingService
from services.channels.rows import ReadChannel
from services.channels.taking import TakingService
from services.channels.turns import ChannelTurns

CHANNELS: Final = 500
MEDIAN_PER_DAY, SPREAD, MOST_PER_DAY = 12.0, 1.5, 400.0
"""How often channels post: half of them less than twelve times a day, one in twenty more than 140 times."""
AT_LEAST_S: Final = 10.0
"""As by default."""
_BEGAN: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
_HISTORY: Final = timedelta(days=2)
_POSTS_KEPT: Final = 30
_WINDOW_S: Final = 60.0
_TEXT: Final = "MC 45K, liq 12K, chart is clean. Not a call, an opinion."


class Ages(Struct, frozen=True):
    p50_s: float
    p95_s: float
    posts: int
    most_in_a_minute: int
    """Requests."""
    per_s: float


def rows(budgets_per_s: Iterable[float], *, warm_up_s: float, measured_s: float) -> list[Row]:
    found: list[Row] = []
    for per_s in budgets_per_s:
        share = min(1.0, 2.0 / per_s)
        times_s = warm_up_s * share, measured_s * share
        ours = run_in_virtual_time(_World(per_s).measure(_polling, *times_s))
        in_turn = run_in_virtual_time(_World(per_s).measure(_round_robin, *times_s))
        what = f"{CHANNELS} channels, {per_s:g} requests/s"
        found += [
            at_most(f"{what}: age of posts when read, p50", ours.p50_s, "s", in_turn.p50_s),
            for_comparison(f"{what}: age, p95", ours.p95_s, "s"),
            for_comparison(f"{what}: posts read", ours.posts, ""),
            at_most(f"{what}: most in a minute", ours.most_in_a_minute, "", 60 * per_s),
            for_comparison(f"{what}: requests made", ours.per_s, "/s"),
            for_comparison(f"{what}, one after the other: age, p50", in_turn.p50_s, "s"),
            for_comparison(f"{what}, one after the other: age, p95", in_turn.p95_s, "s"),
        ]
    return found


def _now() -> datetime:
    return _BEGAN + timedelta(seconds=asyncio.get_running_loop().time())


class _Taken:
    """Takes posts as `TakingService` does, and only notes how old the new ones are."""

    def __init__(self) -> None:
        self.ages_s: list[tuple[float, float]] = []
        """When a post was read, and how old it was."""

    async def take(self, one: ReadChannel, reading: Reading) -> ReadChannel:
        now, newest = _now(), one.read_to or 0
        for post in reading.posts:
            if one.read_to is not None and post.number > one.read_to:
                at_s = asyncio.get_running_loop().time()
                self.ages_s.append((at_s, (now - post.posted_at).total_seconds()))
            newest = max(newest, post.number)
        return replace(one, read_to=newest, revision=one.revision + 1)


class _Listed:
    def __init__(self, names: Iterable[str]) -> None:
        self._names = names

    async def to_read(self) -> dict[str, ReadChannel]:
        return {name: _channel(name) for name in self._names}

    async def noted(self, one: ReadChannel, problem: str | None, *, moved_to: str | None = None) -> ReadChannel:
        raise AssertionError(f"{one.channel}: {problem} {moved_to}")


class _Counted:
    """The reader of pages, and when each was asked for."""

    name = "counted"

    def __init__(self, reader: TelegramPreview) -> None:
        self._reader = reader
        self.asked_at_s: list[float] = []

    async def newest(self, channel: str) -> Page:
        return await self._ask(self._reader.newest(channel))

    async def before(self, channel: str, number: int) -> Page:
        return await self._ask(self._reader.before(channel, number))

    async def _ask(self, asked: Awaitable[Page]) -> Page:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        return await asked


Reader = Callable[["_World", _Counted, _Taken], Awaitable[None]]


class _World:
    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self._random = Random(19)
        self.names = [f"@channel_{number}" for number in range(CHANNELS)]
        self._per_day = {
            name: min(MOST_PER_DAY, MEDIAN_PER_DAY * math.exp(self._random.gauss(0.0, SPREAD))) for name in self.names
        }
        self._kept: dict[str, deque[int]] = {name: deque() for name in self.names}

    async def measure(self, reading: Reader, warm_up_s: float, measured_s: float) -> Ages:
        async with ChannelsSandbox(clock=_now) as pages, aiohttp.ClientSession() as session:
            due = self._posted_before(pages)
            reader, taken = _Counted(TelegramPreview(session, pages.url, clock=_now)), _Taken()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._post(pages, due)),
                    group.create_task(_run(reading, self, reader, taken)),
                ]
                await asyncio.sleep(warm_up_s + measured_s)
                for task in tasks:
                    task.cancel()
        ages_s = [age_s for at_s, age_s in taken.ages_s if at_s >= warm_up_s]
        p50_s, p95_s = np.percentile(ages_s, (50, 95))
        made = sum(at_s >= warm_up_s for at_s in reader.asked_at_s)
        return Ages(float(p50_s), float(p95_s), len(ages_s), _most(reader.asked_at_s), made / measured_s)

    def _posted_before(self, pages: ChannelsSandbox) -> list[tuple[float, str]]:
        """Let channels have posted for two days; returns when each posts next."""
        due: list[tuple[float, str]] = []
        for name, per_day in self._per_day.items():
            pages.channel(name)
            at_s, posts = -_HISTORY.total_seconds(), deque[float](maxlen=_POSTS_KEPT)
            while (at_s := at_s + self._random.expovariate(per_day / 86_400)) < 0:
                posts.append(at_s)
            for posted_s in posts:
                self._put(pages, name, posted_s)
            due.append((at_s, name))
        heapify(due)
        return due

    async def _post(self, pages: ChannelsSandbox, due: list[tuple[float, str]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at_s, name = due[0]
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            self._put(pages, name, at_s)
            heapreplace(due, (at_s + self._random.expovariate(self._per_day[name] / 86_400), name))

    def _put(self, pages: ChannelsSandbox, name: str, at_s: float) -> None:
        self._kept[name].append(pages.post(name, _TEXT, at=_BEGAN + timedelta(seconds=at_s)))
        if len(self._kept[name]) > _POSTS_KEPT:
            pages.delete(name, self._kept[name].popleft())


async def _run(reading: Reader, world: _World, reader: _Counted, taken: _Taken) -> None:
    await reading(world, reader, taken)


async def _polling(world: _World, reader: _Counted, taken: _Taken) -> None:
    service = PollingService(
        reader=reader,
        turns=ChannelTurns(cast("TakingService", taken)),
        listed=cast("ListedChannels", _Listed(world.names)),
        requests_per_s=world.per_s,
        at_least_s=AT_LEAST_S,
        clock=_now,
    )
    await service.run(lambda: None)


async def _round_robin(world: _World, reader: _Counted, taken: _Taken) -> None:
    channels = {name: _channel(name) for name in world.names}
    loop, due_s = asyncio.get_running_loop(), 0.0
    while True:
        for name in world.names:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            due_s = max(due_s, loop.time()) + 1 / world.per_s
            page = await reader.newest(name)
            channels[name] = await taken.take(channels[name], Reading(posts=page.posts))


def _channel(name: str) -> ReadChannel:
    return ReadChannel(
        channel=name,
        title=None,
        state="read",
        added_by=None,
        added_at=_BEGAN,
        read_to=None,
        revision=0,
        last_post_at=None,
        last_read_at=None,
        problem=None,
        problem_since=None,
    )


def _most(asked_at_s: list[float]) -> int:
    """Highest number of requests in any minute."""
    window, most = deque[float](), 0
    for at_s in asked_at_s:
        window.append(at_s)
        while window[0] <= at_s - _WINDOW_S:
            window.popleft()
        most = max(most, len(window))
    return most
