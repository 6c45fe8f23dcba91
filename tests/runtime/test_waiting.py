"""Whoever waits for a reason reports progress meanwhile: what it waits for may take longer than the watchdog bears."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from managers.redis.client import RedisManager
from managers.telegram.rate_limiter import Lane
from runtime.cancellation import end
from runtime.lock import Gate
from runtime.pace import pace
from runtime.waiting import REPORT_EVERY_S, pause, reporting, turn
from services.calls.call_stream import CallStream
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES, Members
from services.cluster.ownership import Share
from services.cluster.partition_owner import PartitionOwner
from services.delivery import delivery
from tests.cluster.kit import call
from tests.delivery.kit import call_of, claim_of, whole_way

REPORTS = 4
"""More than whoever begins to wait makes."""


class Beats:
    """Counts reports."""

    def __init__(self) -> None:
        self.count = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._news.set()

    async def more(self) -> None:
        """Wait for more of them; `TimeoutError` when nobody reports any more."""
        wanted = self.count + REPORTS
        async with asyncio.timeout(10):
            while self.count < wanted:
                self._news.clear()
                await self._news.wait()


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    pace.factor = 100.0
    yield
    pace.factor = 1.0


@pytest.fixture
def beats() -> Beats:
    return Beats()


async def test_a_pause_is_reported_all_along(beats: Beats) -> None:
    await pause(REPORTS * REPORT_EVERY_S, beats)
    assert beats.count == REPORTS + 1


async def test_what_is_awaited_comes_back_as_it_is(beats: Beats) -> None:
    asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(reporting(asked, beats))
    await beats.more()
    asked.set_result(7)
    assert await waiting == 7
    failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    failed.set_exception(LookupError("as it is"))
    with pytest.raises(LookupError, match="as it is"):
        await reporting(failed, beats)


async def test_who_is_cancelled_leaves_nothing_behind(beats: Beats) -> None:
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    waiting = asyncio.create_task(reporting(long(), beats))
    await beats.more()
    await end([waiting])
    assert waiting.cancelled()
    assert ended.is_set()


async def test_for_a_turn(beats: Beats) -> None:
    lock = asyncio.Lock()

    async def take_it() -> None:
        async with turn(lock, beats):
            assert lock.locked()

    async with lock:
        waiting = asyncio.create_task(take_it())
        await beats.more()
        assert not waiting.done()
    await waiting
    assert not lock.locked()


async def test_for_the_gate_that_another_has_closed(beats: Beats) -> None:
    gate = Gate()

    async def close() -> None:
        async with gate.closed(beats):
            pass

    async with gate.closed():
        waiting = asyncio.create_task(close())
        await beats.more()
    await waiting


async def test_for_room_in_the_stream_of_calls(redis_manager: RedisManager, beats: Beats) -> None:
    """Nobody matches: the stream stays full for as long as nobody does."""
    stream = CallStream(redis_manager, longest=1)
    await stream.publish([call(1)], None)
    publishing = asyncio.create_task(stream.publish([call(2)], None, progress=beats))
    await beats.more()
    assert not publishing.done()
    await end([publishing])


async def test_for_room_among_the_held_alerts(redis_url: str, beats: Beats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram takes nothing, for as long as it likes."""
    monkeypatch.setattr(delivery, "MAX_HELD", 1)
    async with whole_way(redis_url) as way:
        ann = await way.person()
        await way.claim(*(claim_of(call_of(number), ann.id) for number in range(3)))
        async with way.manager.slot(ann.id, Lane.ALERT):
            delivering = asyncio.create_task(way.delivery.run(beats))
            await beats.more()
            await beats.more()
            assert way.delivery.held >= 1
        await way.delivery.drained()
        await end([delivering])


async def test_for_what_is_in_flight_of_a_partition_that_goes(redis_manager: RedisManager, beats: Beats) -> None:
    """It may wait for Redis, and Redis may be unavailable for hours."""
    settled, leaving = asyncio.Event(), asyncio.Event()

    async def gained(_partitions: frozenset[int]) -> None:
        owns.set()

    async def lost(_partitions: frozenset[int]) -> None:
        leaving.set()
        await settled.wait()

    owns = asyncio.Event()
    leases, members = Leases(redis_manager, "ada"), Members(redis_manager, "ada", ALL_ROLES)
    await members.join()
    owner = PartitionOwner(Share(leases, "send"), members, gained=gained, lost=lost)
    owning = asyncio.create_task(owner.run(beats))
    await owns.wait()
    leases.forget(f"send:{partition}" for partition in owner.share.owned)
    await leaving.wait()
    await beats.more()
    await beats.more()
    settled.set()
    await end([owning])
