"""The watchdog is fed as long as all is well, whatever is unavailable, and no longer than every job moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from inspect import signature
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from bot.console import Terminal
from bot.core import TokenFilterBot
from bot.roles import ROLES, Role
from composition import Addresses, Composition, ProcessConfig, connect
from config.settings import Settings
from embedded.postgres import EmbeddedPostgres
from managers.feed.sources.native import NativeSource
from managers.feed.sources.pumpportal import PumpPortalSource
from runtime.cancellation import end
from runtime.pace import pace
from runtime.supervision import STUCK_AFTER_S, Pulse, watch
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.telegram.server import TelegramSandbox
from tests.databases import TEMPLATE, administer
from tests.e2e.five_roles import FiveRoles
from tests.e2e.notify_socket import NotifySocket, watchdog_s
from tests.faults.proxy import FaultProxy

PACE: Final = 20.0
PROCESS_PACE: Final = 15.0
LOOK_S: Final = 0.02
LEASES_END_AFTER_S: Final = 12.0
"""Redis's own time: so long after it became unavailable nobody holds anything any more."""
SECOND: Final = "watched_second"
DEPENDENCIES: Final = ("redis", "postgres", "telegram", "feed")
OTHER_STATES: Final = ("busy", *DEPENDENCIES)


@pytest.fixture
def limit_s() -> Iterator[float]:
    """After so long a job counts as stuck, at the pace of these tests."""
    pace.factor = PACE
    yield pace.seconds(STUCK_AFTER_S)
    pace.factor = 1.0


class Side:
    """The servers of those who work together, each behind a proxy that can take it away, and the bots on them."""

    def __init__(self, data_dir: Path, redis_url: str, database_number: int, postgres_dsn: str) -> None:
        self._data_dir = data_dir
        self._stores = {"redis": FaultProxy(redis_url), "postgres": FaultProxy(postgres_dsn)}
        self._database_number = database_number
        self._database = urlsplit(postgres_dsn).path.strip("/")
        self._stack = AsyncExitStack()
        self._stop = asyncio.Event()
        self.telegram = TelegramSandbox()
        self.feed = FeedSandbox(Market(seed=1), calls_per_s=0, ticks_per_s=0, heartbeat_s=1)
        self.proxies: dict[str, FaultProxy] = {}
        self.bots: dict[Role, TokenFilterBot] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        for part in (self.telegram, self.feed):
            await stack.enter_async_context(part)
        edges = {"telegram": FaultProxy(self.telegram.url), "feed": FaultProxy(self.feed.ws_url)}
        self.proxies = self._stores | edges
        for proxy in self.proxies.values():
            await stack.enter_async_context(proxy)

    def addresses(self, source: str) -> Addresses:
        redis, feed = self.proxies["redis"], urlsplit(self.feed.ws_url)
        return Addresses(
            telegram_token=self.telegram.token,
            telegram_api_base=f"http://127.0.0.1:{self.proxies['telegram'].port}",
            source=source,
            feed_url=feed._replace(netloc=f"127.0.0.1:{self.proxies['feed'].port}").geturl(),
            feed_api_url=self.feed.http_url,
            feed_token=self.feed.token if source == "native" else None,
            price_api_url="http://127.0.0.1:9",
            redis_url=f"{redis.redis_url.removesuffix('0')}{self._database_number}",
            database_url=self.proxies["postgres"].postgres_dsn(self._database),
        )

    async def start(self, role: Role, stack: AsyncExitStack, group: asyncio.TaskGroup, source: str) -> None:
        local_store = self._data_dir / f"{role}.sqlite" if role == "all" else None
        parts = await connect(self.addresses(source), stack, local_store=local_store)
        composition = Composition(Settings(), parts, Terminal(), ProcessConfig(role=role, owner=role))
        if role in {"all", "gateway", "send"}:
            await stack.enter_async_context(parts.telegram.opened())
        self.bots[role] = composition.bot
        group.create_task(composition.bot.run(self._stop, drain_s=5), name=role)

    async def work(self) -> None:
        """Return when every one of them is at work."""
        async with asyncio.timeout(30):
            while any(bot.lifecycle.state != "working" for bot in self.bots.values()):  # noqa: ASYNC110 - a word, not an event
                await asyncio.sleep(0.05)

    def end(self) -> None:
        self._stop.set()


class Sides:
    """One process that does everything on its own side, and five that divide the work on theirs."""

    def __init__(self, sides: dict[Role, Side]) -> None:
        self.sides = sides

    @property
    def each(self) -> set[Side]:
        return set(self.sides.values())

    async def start(self, stack: AsyncExitStack, group: asyncio.TaskGroup, source: str) -> None:
        for side in self.each:
            await side.open(stack)
        for role, side in self.sides.items():
            await side.start(role, stack, group, source)
        for side in self.each:
            await side.work()

    async def take_away(self, dependency: str) -> None:
        for side in self.each:
            await side.proxies[dependency].refuse()

    async def repair(self) -> None:
        for side in self.each:
            for proxy in side.proxies.values():
                await proxy.repair()

    async def report_again(self, within_s: float) -> None:
        """Every watched job of everybody reports progress once more, or the test fails and names those that do not."""
        since = time.monotonic()
        silent: list[str] = []
        try:
            async with asyncio.timeout(within_s):
                while silent := self._silent(since):  # noqa: ASYNC110 - a figure, not an event
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pytest.fail(f"no progress within {within_s:g} s: {', '.join(silent)}")

    def _silent(self, since: float) -> list[str]:
        """Name the jobs that have reported nothing since then."""
        silent: list[str] = []
        for role, side in self.sides.items():
            ages_s, most_s = side.bots[role].pulse.ages_s(), time.monotonic() - since
            silent += [f"{role}: {job}" for job in side.bots[role].watched_jobs() if ages_s.get(job, most_s) >= most_s]
        return silent


@pytest.fixture
async def another_dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A second database with the schema and nothing in it."""
    await administer(postgres_server, f"CREATE DATABASE {SECOND} TEMPLATE {TEMPLATE}")
    yield postgres_server.dsn_of(SECOND)
    await administer(postgres_server, f"DROP DATABASE {SECOND} WITH (FORCE)")


@pytest.fixture
def sides(data_dir: Path, redis_url: str, postgres_dsn: str, another_dsn: str, limit_s: float) -> Sides:
    alone, together = Side(data_dir, redis_url, 0, postgres_dsn), Side(data_dir, redis_url, 1, another_dsn)
    return Sides({role: alone if role == "all" else together for role in ROLES})


async def played(sides: Sides, state: str, limit_s: float, source: str = "native") -> None:
    """Bring everybody into a state, and see every job report progress in it and after it."""
    stack = AsyncExitStack()
    async with stack, asyncio.TaskGroup() as group:
        await sides.start(stack, group, source)
        try:
            if state == "busy":
                for side in sides.each:
                    side.feed.set_rate(50, 50)
            elif state in DEPENDENCIES:
                await sides.take_away(state)
            await asyncio.sleep(LEASES_END_AFTER_S if state == "redis" else 1.0)
            for _ in range(3):
                await sides.report_again(limit_s)
            await sides.repair()
            await sides.report_again(limit_s)
        finally:
            await sides.repair()
            for side in sides.each:
                side.end()


@pytest.mark.parametrize(
    "state", ["idle", *(pytest.param(state, marks=pytest.mark.thorough) for state in OTHER_STATES)]
)
async def test_every_watched_job_reports_progress(state: str, sides: Sides, limit_s: float) -> None:
    """In every role: with nothing to do, with calls, and while each of the servers is unavailable."""
    await played(sides, state, limit_s)


@pytest.mark.thorough
async def test_so_do_those_that_only_another_feed_needs(sides: Sides, limit_s: float) -> None:
    """PumpPortal counts in SOL; here it answers nothing that could be understood, and its prices are unavailable."""
    readers = Sides({role: sides.sides[role] for role in ("all", "ingest")})
    await played(readers, "idle", limit_s, source="pumpportal")
    assert all("sol price" in side.bots[role].watched_jobs() for role, side in readers.sides.items())


def test_a_feed_may_be_silent_for_less_than_the_limit() -> None:
    """Else the watchdog would be what ends its silence."""
    for source in (NativeSource, PumpPortalSource):
        assert signature(source).parameters["idle_timeout_s"].default < STUCK_AFTER_S


# what is told to systemd


async def test_a_job_that_never_reports_ends_the_pings(data_dir: Path, limit_s: float) -> None:
    pulse = Pulse()
    for name in ("moves", "hangs"):
        pulse.beat(name)
    async with NotifySocket(data_dir / "n") as systemd:
        watching = asyncio.create_task(watch(pulse, ["moves", "hangs"], str(systemd.path)))
        await systemd.more_pings(3, within_s=limit_s)
        with pytest.raises(TimeoutError):
            await systemd.more_pings(10**6, within_s=2 * limit_s)
        silenced = systemd.pings
        pulse.beat("moves")
        with pytest.raises(TimeoutError):
            await systemd.more_pings(1, within_s=1.0)
        pulse.beat("hangs")
        await systemd.more_pings(1, within_s=limit_s)
        await end([watching])
    assert systemd.states[0] == "READY=1"
    assert systemd.pings == silenced + 1


@pytest.mark.thorough
async def test_every_role_is_fed_for_longer_than_the_limit(
    data_dir: Path, redis_url: str, postgres_dsn: str, another_dsn: str
) -> None:
    """As real processes on a real socket, fifteen times faster: first without a call, then with many."""
    urls, dsns = (redis_url, f"{redis_url}?db=1"), (postgres_dsn, another_dsn)
    five = FiveRoles(data_dir, redis_urls=urls, postgres_dsns=dsns)
    limit_s, kills_after_s = STUCK_AFTER_S / PROCESS_PACE, watchdog_s() / PROCESS_PACE
    async with AsyncExitStack() as stack:
        await five.start(stack, FAULT_PACE=str(PROCESS_PACE))
        for calls_per_s in (0, 20):
            five.play(calls_per_s)
            await asyncio.sleep(limit_s + kills_after_s)
            async with asyncio.TaskGroup() as group:
                for watched in five.watched.values():
                    group.create_task(watched.socket.more_pings(3, within_s=kills_after_s))
        five.play(0)
        for role, watched in five.watched.items():
            assert watched.socket.states[0] == "READY=1", role
            assert watched.socket.longest_silence_s < kills_after_s, role
            assert not watched.complaints(), role
        assert all(five.alerts()), "nobody was told of anything"
