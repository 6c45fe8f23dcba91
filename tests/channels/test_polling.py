from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from managers.channels.base import BlockedError, ChannelClosedError, ChannelReader, Page
from services.channels.polling import AT_MOST_TURNS, PollingService
from services.channels.turns import ChannelTurns
from tests.channels.support import ALPHA, NOW, Kit, mint

BETA = "@beta_calls"


@asynccontextmanager
async def polling(
    kit: Kit, *, reader: ChannelReader | None = None, turns: ChannelTurns | None = None, requests_per_s: float = 1_000
) -> AsyncGenerator[PollingService]:
    service = PollingService(
        reader=reader or kit.book,
        turns=turns or ChannelTurns(kit.taking),
        listed=kit.listed,
        requests_per_s=requests_per_s,
        at_least_s=0.01,
        clock=lambda: NOW,
    )
    kit.listed.changed = service.wake
    async with asyncio.timeout(10):
        task = asyncio.create_task(service.run(lambda: None))
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - what it waits for is somebody else's number
        await asyncio.sleep(0.005)


async def looked_at(kit: Kit, channel: str, times: int = 1) -> None:
    asked = kit.book.asked[channel]
    await until(lambda: kit.book.asked[channel] >= asked + times)


async def test_what_is_posted_is_called_once(kit: Kit) -> None:
    async with polling(kit):
        await looked_at(kit, ALPHA, 2)
        for n in range(5):
            kit.book.post(ALPHA, f"CA: {mint(n)}", NOW)
        await looked_at(kit, ALPHA, 3)
    assert [address for _, address in await kit.called()] == [mint(n) for n in range(5)]


async def test_what_was_posted_while_nobody_read_is_paged_back_to(kit: Kit) -> None:
    await kit.look()
    for n in range(57):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW - timedelta(hours=1))
    async with polling(kit) as service:
        await until(lambda: kit.taking.calls == 57)
        assert service.counts.paged_back == 2
    assert [address for _, address in await kit.called()] == [mint(n) for n in range(57)]


class Wayward:
    """Reads a book, and fails at one channel."""

    name = "wayward"

    def __init__(self, kit: Kit, error: Exception) -> None:
        self.kit = kit
        self.error: Exception | None = error

    async def newest(self, channel: str) -> Page:
        page = await self.kit.book.newest(channel)
        if channel == BETA and self.error is not None:
            raise self.error
        return page

    async def before(self, channel: str, number: int) -> Page:
        return await self.kit.book.before(channel, number)


async def test_a_channel_that_cannot_be_read_costs_itself_and_says_why(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    wayward = Wayward(kit, ChannelClosedError(BETA, "no_preview"))
    async with polling(kit, reader=wayward):
        await looked_at(kit, ALPHA, 3)
        found = None
        while found is None or found.problem is None:
            found = await kit.listed.find(BETA)
        assert (found.problem, found.problem_since) == ("no_preview", NOW)
        asked = kit.book.asked[BETA]
        await looked_at(kit, ALPHA, 3)
        assert kit.book.asked[BETA] == asked == 1


async def test_after_a_restart_the_first_page_says_how_often_a_channel_posts(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for n in range(20):
        kit.book.post(ALPHA, "gm", NOW - timedelta(minutes=20 - n))
    kit.book.post(BETA, "gm", NOW - timedelta(days=3))
    for name in (ALPHA, BETA):
        await kit.look(name)
    async with polling(kit, requests_per_s=20) as service:
        await looked_at(kit, ALPHA)
        await looked_at(kit, BETA)
        service.wake()
        await until(lambda: (service.interval_of(ALPHA) or 1) < (service.interval_of(BETA) or 0))
        assert service.interval_of(BETA) == pytest.approx(AT_MOST_TURNS * 2 / 20), "the quiet one waits little longer"


async def test_who_blocks_us_is_left_alone_and_nothing_is_lost(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for name in (ALPHA, BETA):
        await kit.look(name)
    async with polling(kit) as service:
        kit.book.problem = BlockedError("429", for_s=0.2)
        await until(lambda: service.blocked_since == NOW)
        for name in (ALPHA, BETA):
            kit.book.post(name, f"CA: {mint(len(name))}", NOW)
        kit.book.problem = None
        await until(lambda: kit.taking.calls == 2)
        assert service.blocked_since is None
    assert len(await kit.called()) == 2


async def test_one_channel_that_is_refused_waits_alone_while_others_are_answered(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    wayward = Wayward(kit, BlockedError("429", for_s=60))
    async with polling(kit, reader=wayward) as service:
        await until(lambda: service.counts.blocked > 0)
        await looked_at(kit, ALPHA, 5)
        assert service.blocked_since is None
        assert kit.book.asked[BETA] == 1


async def test_a_channel_is_read_as_soon_as_it_is_added_and_not_while_it_is_paused(kit: Kit) -> None:
    async with polling(kit):
        await looked_at(kit, ALPHA)
        await kit.listed.add("https://t.me/Beta_Calls", 1)
        await looked_at(kit, BETA)
        await kit.listed.change(BETA, "paused", of=("read",))
        await looked_at(kit, ALPHA, 3)
        asked = kit.book.asked[BETA]
        await looked_at(kit, ALPHA, 3)
        assert kit.book.asked[BETA] <= asked + 1
        await kit.listed.change(BETA, "read", of=("paused",))
        await looked_at(kit, BETA, 2)


async def test_a_long_way_back_in_one_channel_holds_nobody_up(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for name in (ALPHA, BETA):
        await kit.look(name)
    for n in range(400):
        kit.book.post(BETA, f"spam {n}", NOW)
    async with polling(kit, requests_per_s=20) as service:
        await until(lambda: service.counts.paged_back >= 8)
        assert kit.book.asked[ALPHA] >= 4
