"""The listener dies, stays away, loses what it writes to, or is there twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.channels.conftest import Ahead, ChannelVerdict
from tests.faults.channels.listening import Listening

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(400)]

POINTS = {
    "posts_understood": "posts are understood, and nothing is written down",
    "posts_written": "they are written down with their calls, and nobody was told",
}
HOUR_S = 3_600.0


async def test_nothing_is_broken(listening: Listening, verdict: ChannelVerdict) -> None:
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(200, over_s=10)
    verdict("Nothing", await listening.finish(bot))


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(point: str, listening: Listening, verdict: ChannelVerdict) -> None:
    """Three times, early and late; each time another one is started."""
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(30, over_s=2, is_free=False)
    await listening.stage.end(bot)
    for times in (1, 6, 15):
        bot = await listening.start(FAULT_POINT=f"{point}:{times}")
        async with asyncio.TaskGroup() as group:
            group.create_task(listening.posts.play(60, over_s=5, is_free=False))
            await bot.dies(timeout_s=60)
    bot = await listening.start()
    verdict(f"`kill -9` of the listener at “{point}”, three times: {POINTS[point]}", await listening.finish(bot))


async def test_away_for_an_hour(listening: Listening, ahead: Ahead, verdict: ChannelVerdict) -> None:
    first = await listening.start(FAULT_CLOCK_FILE=ahead.path)
    await listening.first_look()
    await listening.posts.play(40, over_s=2, is_free=False)
    await first.kill()
    for minute in range(60):
        ahead.step(60.0 * minute)
        listening.posts.post(20, is_free=False)
    ahead.step(HOUR_S)
    second = await listening.start(FAULT_CLOCK_FILE=ahead.path)
    counts = await listening.finish(second, ahead_s=HOUR_S)
    verdict("The listener killed and away for an hour, in which channels post on", counts)
    assert counts.late > counts.calls / 2


async def test_two_at_once(listening: Listening, verdict: ChannelVerdict) -> None:
    """One holds the lease; it is frozen until the other one has it, and goes on as if nothing had happened."""
    first = await listening.start()
    await listening.first_look()
    second = await listening.start()
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(listening.posts.play(300, over_s=40, is_free=False))
        for _ in range(2):
            await asyncio.sleep(3)
            for bot in (first, second):
                bot.freeze()
                await asyncio.sleep(16)
                bot.thaw()
        await playing
    verdict("Two listeners, frozen in turn for longer than the lease lasts", await listening.finish(first, second))


async def test_postgres_away(listening: Listening, verdict: ChannelVerdict) -> None:
    away_s = listening.stage.size.away_s
    bot = await listening.start()
    await listening.first_look()
    await listening.posts.play(20, over_s=1, is_free=False)
    await listening.stage.postgres_proxy.refuse()
    await listening.posts.play(100, over_s=away_s, is_free=False)
    await listening.stage.postgres_proxy.repair()
    verdict(f"PostgreSQL away for {away_s:g} s while channels post", await listening.finish(bot))


async def test_postgres_killed(listening: Listening, verdict: ChannelVerdict) -> None:
    bot = await listening.start()
    await listening.first_look()
    async with asyncio.TaskGroup() as group:
        group.create_task(listening.posts.play(100, over_s=8, is_free=False))
        for _ in range(2):
            await asyncio.sleep(2)
            await listening.stage.postgres.kill()
            await listening.stage.postgres.restart()
    verdict("PostgreSQL killed twice (`-m immediate`) while channels post", await listening.finish(bot))
