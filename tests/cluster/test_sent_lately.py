"""Telegram's windows do not end with a process: whoever sends next knows what counts still."""

from __future__ import annotations

import asyncio
import time

import pytest

from managers.redis.client import RedisManager
from managers.telegram.send_lanes import Lane
from managers.telegram.send_slots import SlotScheduler
from managers.telegram.send_windows import GROUP, OVERALL
from runtime.errors import NotSentError
from runtime.limit import Limit
from services.cluster.sent_lately import SentBefore
from tests.faults.proxy import FaultProxy

PRIVATE = Limit(3, 3.0)
ANN, BEN, FRIENDS = 7, 8, -7


class Process:
    """A sender whose monotonic clock began at another time than everybody else's."""

    def __init__(self, redis: RedisManager, owner: str, *, booted_s: float = 0.0, whole: bool = True) -> None:
        self.scheduler = SlotScheduler(
            overall=OVERALL,
            private=PRIVATE,
            group=GROUP,
            lost_after_s=35.0,
            clock=lambda: time.monotonic() + booted_s,
        )
        self.before = SentBefore(redis, self.scheduler, owner, is_whole=whole)

    async def send(self, chat_id: int, times: int) -> None:
        for _ in range(times):
            slot = await self.scheduler.acquire(chat_id, Lane.ALERT)
            slot.sent_at = slot.answered_at = self.scheduler.clock()
            self.scheduler.release(slot)

    async def may_send(self, chat_id: int) -> bool:
        """Whether a message could leave at this moment."""
        asking = asyncio.create_task(self.scheduler.acquire(chat_id, Lane.ALERT))
        await asyncio.sleep(0)
        may = asking.done()
        if may:
            self.scheduler.release(asking.result())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return may

    @property
    def used(self) -> tuple[int, dict[int, int]]:
        """Slots that are not free: in all, and of each chat."""
        return self.scheduler.held - self.scheduler.spare, {
            chat_id: self.scheduler.used(chat_id) for chat_id in (ANN, BEN, FRIENDS)
        }

    def stop(self) -> None:
        self.scheduler.stop_timer()


async def test_a_successor_goes_on_where_the_first_one_stopped(redis_manager: RedisManager) -> None:
    first, second = Process(redis_manager, "a"), Process(redis_manager, "b", booted_s=50_000)
    await first.before.take_up()
    await first.send(ANN, 3)
    await first.send(FRIENDS, 20)
    await first.before.leave()
    await second.before.take_up()
    assert second.used == (23, {ANN: 3, FRIENDS: 20, BEN: 0})
    assert not await second.may_send(ANN)
    assert not await second.may_send(FRIENDS)
    assert await second.may_send(BEN)
    await second.before.exchange()
    await first.before.exchange()  # it has sent nothing since
    await second.before.exchange()
    assert second.used == (23, {ANN: 3, FRIENDS: 20, BEN: 0}), "counted once, however often it is told"
    assert second.scheduler.sent() == ([], {}), "nobody is told of it a second time"
    first.stop()
    second.stop()


@pytest.mark.parametrize("owner", ["a", "b"])
async def test_after_a_kill_nothing_leaves_for_a_while(redis_manager: RedisManager, owner: str) -> None:
    """What was sent since the last word of the dead one is in no document."""
    first, second = Process(redis_manager, "a"), Process(redis_manager, owner)
    await first.before.take_up()
    await first.send(ANN, 1)
    await first.before.exchange()
    await second.before.take_up()
    assert second.used[1] == {ANN: 1, BEN: 0, FRIENDS: 0}
    assert not await second.may_send(BEN)
    first.stop()
    second.stop()


async def test_what_a_group_got_is_known_through_several_restarts(redis_manager: RedisManager) -> None:
    for _ in range(4):
        process = Process(redis_manager, "a")
        await process.before.take_up()
        await process.send(FRIENDS, 5)
        await process.before.leave()
        process.stop()
    last = Process(redis_manager, "a")
    await last.before.take_up()
    assert last.used[1][FRIENDS] == 20
    assert not await last.may_send(FRIENDS)
    last.stop()


async def test_after_an_orderly_end_nobody_waits(redis_manager: RedisManager) -> None:
    first, second = Process(redis_manager, "a"), Process(redis_manager, "a")
    await first.before.take_up()
    await first.before.leave()
    await second.before.take_up()
    assert await second.may_send(BEN)
    first.stop()
    second.stop()


async def test_those_who_share_the_overall_window_tell_each_other_of_chats_alone(redis_manager: RedisManager) -> None:
    """The overall window is shared by leases; what a whole bot has used of it before counts for each of them."""
    whole = Process(redis_manager, "all")
    await whole.before.take_up()
    await whole.send(BEN, 2)
    await whole.before.leave()
    one, other = (Process(redis_manager, name, whole=False) for name in ("one", "other"))
    await one.before.take_up()
    await other.before.take_up()
    assert one.used == other.used == (2, {ANN: 0, BEN: 2, FRIENDS: 0})
    await one.send(ANN, 3)
    await one.before.exchange()
    await other.before.exchange()
    assert other.used == (2, {ANN: 3, BEN: 2, FRIENDS: 0})
    assert not await other.may_send(ANN)
    for process in (whole, one, other):
        process.stop()


async def test_without_redis_it_goes_on_by_what_it_knows(redis_url: str) -> None:
    async with FaultProxy(redis_url, seed=1) as proxy, RedisManager(proxy.redis_url) as redis:
        process = Process(redis, "a")
        await process.before.take_up()
        await process.send(ANN, 3)
        await proxy.refuse()
        await process.before.exchange()
        await process.before.leave()
        assert process.used == (3, {ANN: 3, BEN: 0, FRIENDS: 0})
        process.stop()


async def test_who_has_left_sends_nothing_more(redis_manager: RedisManager) -> None:
    """Somebody may be waiting for an answer still: by now another process has the chat."""
    process = Process(redis_manager, "a")
    await process.before.take_up()
    await process.send(ANN, 3)
    unsent = await process.scheduler.acquire(BEN, Lane.REPLY)
    waiting = asyncio.create_task(process.scheduler.acquire(ANN, Lane.REPLY))
    await asyncio.sleep(0)
    process.scheduler.release(unsent)
    await process.before.leave()
    with pytest.raises(NotSentError):
        await waiting
    with pytest.raises(NotSentError):
        await process.scheduler.acquire(BEN, Lane.REPLY)
    assert not process.scheduler.may_send(unsent)
    assert process.scheduler.waiting[Lane.REPLY] == 0
    process.stop()
