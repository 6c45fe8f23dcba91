"""`kill -9` at every step from the frame on the wire to the row in PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.stage import Stage

DIES_WITHIN_S = 30
THOROUGH = pytest.mark.thorough

POINTS = [
    pytest.param("received", 10, id="received", marks=THOROUGH),
    pytest.param("decided", 4, id="decided", marks=THOROUGH),
    pytest.param("claiming", 4, id="claiming", marks=THOROUGH),
    pytest.param("claimed", 4, id="claimed", marks=THOROUGH),
    pytest.param("begun", 5, id="begun", marks=THOROUGH),
    pytest.param("sent", 5, id="sent"),
    pytest.param("settled", 5, id="settled", marks=THOROUGH),
    pytest.param("journaled", 2, id="journaled", marks=THOROUGH),
]


@pytest.mark.parametrize(("point", "time"), POINTS)
async def test_killed_at(point: str, time: int, stage: Stage, verdict: Verdict) -> None:
    async with stage.bot(FAULT_POINT=f"{point}:{time}") as bot, asyncio.TaskGroup() as group:
        group.create_task(stage.play(stage.size.calls // 2))
        await bot.dies(timeout_s=DIES_WITHIN_S)
    await stage.play(over_s=0.2)
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    verdict(f"`kill -9` of the bot at “{point}”", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_killed_in_a_burst(stage: Stage, verdict: Verdict) -> None:
    stage.telegram.faults.latency_s = (0.03, 0.06)
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=0.5):
            await bot.kill()
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    verdict("`kill -9` of the bot while messages are under way", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_killed_again_and_again(stage: Stage, verdict: Verdict) -> None:
    kills = 6
    stage.telegram.faults.latency_s = (0.01, 0.03)
    async with stage.bot():
        await stage.warm_up()
    for _ in range(kills):
        async with stage.bot() as bot, asyncio.TaskGroup() as group:
            group.create_task(stage.play(stage.size.calls // (kills + 1)))
            await stage.ledger.more(3)
            await bot.kill()
    await stage.play()
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    verdict(f"`kill -9` of the bot, {kills} times", counts, repeats=IN_FLIGHT * kills)
