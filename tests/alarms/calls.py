"""The feed silent, away or late, queues that fill, Telegram that takes too little, jobs that hang."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from managers.telegram.update_queue import Origin
from services.cluster.members import ALL_ROLES, Members
from services.delivery.delivery import DeliveryService
from services.running.controls import Controls
from services.stores.journal import Journal
from tests.alarms.kit import Provocation, Scene, Stage
from tests.e2e.conftest import text_of


@asynccontextmanager
async def feed_silent(scene: Scene) -> AsyncGenerator[None]:
    scene.feed.go_silent(True)
    yield
    scene.feed.go_silent(False)


@asynccontextmanager
async def feed_away(scene: Scene) -> AsyncGenerator[None]:
    scene.hurry("feed connection", 60.0)
    await scene.feed_proxy.refuse()
    yield
    await scene.feed_proxy.repair()


@asynccontextmanager
async def calls_late(scene: Scene) -> AsyncGenerator[None]:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    for _ in range(5):
        call = scene.feed.market.next_call(hour_ago)
        scene.feed.publish(replace(call, called_at=hour_ago))
    yield
    scene.ten_minutes_pass("old calls")


@asynccontextmanager
async def queue_full(scene: Scene) -> AsyncGenerator[None]:
    """Nothing can be claimed, so nothing is decided, and the feed goes on."""
    await scene.people(1)
    scene.redis_proxy.half_open()
    await scene.feed.burst(9_000)
    yield
    await scene.redis_proxy.repair()


@asynccontextmanager
async def alerts_wait(scene: Scene) -> AsyncGenerator[None]:
    """Telegram takes its time with every request."""
    await scene.people(20)
    scene.telegram.faults.latency_s = (3.0, 3.0)
    await scene.feed.burst(3)
    yield
    scene.telegram.faults.latency_s = (0.0, 0.0)


@asynccontextmanager
async def sends_fail(scene: Scene) -> AsyncGenerator[None]:
    await scene.people(15)
    scene.telegram.faults.error_5xx_rate = 0.7
    await scene.feed.burst(3)
    yield
    scene.telegram.faults.error_5xx_rate = 0.0
    scene.ten_minutes_pass("sending")


@asynccontextmanager
async def job_hangs(scene: Scene) -> AsyncGenerator[None]:
    """Somebody holds the lock under which the outbox is read."""
    async with scene.bot.of(DeliveryService)._reading:
        yield


@asynccontextmanager
async def broadcast_stands_still(scene: Scene) -> AsyncGenerator[None]:
    """An owner says something to everybody, and the outbox that it goes through is not read."""
    await scene.people(1)
    await scene.bot.of(Journal).drain_all()
    admin = scene.admin
    async with scene.bot.of(DeliveryService)._reading:
        await admin.send("/broadcast")
        await admin.next_message(where=lambda m: "Broadcasts" in text_of(m))
        await admin.tap("✍ New broadcast")
        await admin.next_message(where=lambda m: "Send me the text" in text_of(m))
        await admin.send("Maintenance tonight")
        await admin.next_message(where=lambda m: "draft" in text_of(m))
        await admin.tap("📣 Send now …")
        await admin.next_message(where=lambda m: "Send it now to" in text_of(m))
        await admin.tap("Yes, send it to all of them")
        yield


@asynccontextmanager
async def updates_wait(scene: Scene) -> AsyncGenerator[None]:
    """One is being handled for more than a minute."""
    queue, released = scene.bot.connections.telegram.queue, asyncio.Event()

    async def handle() -> None:
        await released.wait()

    queue.put(Origin(1, 1), handle)
    queue.clock = lambda: time.monotonic() + 100.0
    yield
    released.set()


@asynccontextmanager
async def host_denies(scene: Scene) -> AsyncGenerator[None]:
    """The token of the feed's HTTP side was revoked."""
    await scene.feed.burst(1)  # so that there is a place to go on from
    right, scene.feed.token = scene.feed.token, "another one"
    scene.feed.drop_connections()
    yield
    scene.feed.token = right


class WrongClock:
    """A machine that is an hour ahead."""

    wrong_by_s: float | None = 3_600.0

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def told(self, true_ns: int, at_monotonic_ns: int) -> None: ...

    def true_ns(self, at_monotonic_ns: int) -> int | None:
        return None


@asynccontextmanager
async def clock_wrong(scene: Scene) -> AsyncGenerator[None]:
    """Of another process."""
    clock = WrongClock()
    other = Members(scene.bot.connections.redis, "other", {"send"}, clock=clock, asks_telegram=True)
    await other.join()
    beating = asyncio.create_task(other.run(lambda: None))
    try:
        yield
        clock.wrong_by_s = None
        await asyncio.sleep(5)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


@asynccontextmanager
async def roles_missing(scene: Scene) -> AsyncGenerator[None]:
    """A gateway by itself, until somebody does the rest."""
    yield
    other = Members(scene.bot.connections.redis, "other", ALL_ROLES - {"gateway"})
    beating = asyncio.create_task(other.run(lambda: None))

    async def end() -> None:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    scene.stack.push_async_callback(end)


@asynccontextmanager
async def turned_off(scene: Scene) -> AsyncGenerator[None]:
    controls = scene.bot.of(Controls)
    await controls.put("intake", "", "", 1)
    yield
    await controls.lift("intake", "", 1)


PROVOKED = {
    "turned off": Provocation(wrong=turned_off),
    "feed": Provocation(wrong=feed_silent),
    "feed connection": Provocation(wrong=feed_away),
    "old calls": Provocation(wrong=calls_late),
    "token queue": Provocation(wrong=queue_full, stage=Stage(alone=False)),
    "send queue": Provocation(wrong=alerts_wait, stage=Stage(limits={"composition.engine.delivery:MAX_HELD": 30})),
    "sending": Provocation(wrong=sends_fail),
    "jobs": Provocation(
        wrong=job_hangs, stage=Stage(limits={"services.monitoring.process_conditions:NO_PROGRESS_S": 12.0})
    ),
    "broadcast": Provocation(
        wrong=broadcast_stands_still,
        stage=Stage(times={"services.broadcasts.spreading:STUCK_AFTER": timedelta(seconds=1)}),
    ),
    "updates": Provocation(wrong=updates_wait),
    "waiting updates": Provocation(wrong=updates_wait),
    "access": Provocation(wrong=host_denies, stage=Stage(limits={"managers.feed.past:GAP_RETRY_S": 1.0})),
    "clock": Provocation(wrong=clock_wrong),
    "processes": Provocation(wrong=roles_missing, stage=Stage(role="gateway")),
}
