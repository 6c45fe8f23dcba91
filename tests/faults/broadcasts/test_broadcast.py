"""A broadcast goes on where it was after `kill -9`, and alerts and answers overtake it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import msgspec
import pytest

from tests.faults.broadcasts.crowd import Crowd, Spread, Timed
from tests.faults.broadcasts.table import PROPERTY, BroadcastRow
from tests.faults.ledger import IN_FLIGHT
from tests.faults.market import Workload
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import SHORT, Stage

MANY = 10_000
SOME = 150
QUIET_S = 60.0
TELEGRAMS_LIMIT = 30
ROLES = ("gateway", "send")


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, fault_servers: tuple[BreakableRedis, BreakablePostgres]
) -> AsyncIterator[Stage]:
    """Without people and calls of its own; thorough at the pace that Telegram has."""
    redis, postgres = fault_servers
    per_s = TELEGRAMS_LIMIT if "ten_thousand" in request.node.name else 100
    size = replace(SHORT, messages_per_s=per_s)
    nobody = Workload(seed=1, users=0, calls=0)
    async with Stage(size=size, seed=1, redis=redis, postgres=postgres, workload=nobody) as stage:
        yield stage


Judge = Callable[..., None]


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    def judged(what: str, spread: Spread, *, kills: int, **times: tuple[Timed, Timed]) -> None:
        row = BroadcastRow(what=what, spread=spread, repeats=IN_FLIGHT * kills, **times)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        assert (spread.lost, spread.twice) == (0, 0), row.line
        assert spread.marked <= row.repeats, row.line

    return judged


@pytest.mark.thorough
async def test_killed_in_the_middle_it_goes_on_where_it_was(stage: Stage, judge: Judge) -> None:
    crowd = Crowd(stage, SOME)
    await crowd.enrol()
    async with stage.bot(**crowd.settings()) as bot:
        await crowd.begin()
        await crowd.reached(SOME // 3)
        await bot.kill()
    assert len(crowd.people) > SOME // 3
    async with stage.bot(**crowd.settings()) as bot:
        await crowd.reached(SOME)
        assert f"went to {SOME} of {SOME} people" in await crowd.over()
        await stage.end(bot)
    judge("The bot killed in the middle", crowd.spread(), kills=1)


@pytest.mark.thorough
@pytest.mark.parametrize("killed", ["gateway", "send"])
async def test_divided_among_processes_it_goes_on_where_one_of_them_was(
    stage: Stage, killed: str, judge: Judge
) -> None:
    """The gateway puts it, another process sends it."""
    crowd = Crowd(stage, SOME)
    await crowd.enrol()
    async with AsyncExitStack() as stack:
        bots = {role: await stage.role(stack, role, **crowd.settings()) for role in ROLES}
        await crowd.begin()
        await crowd.reached(SOME // 3)
        await bots[killed].kill()
        bots[killed] = await stage.role(stack, killed, **crowd.settings())
        await crowd.reached(SOME)
        assert f"went to {SOME} of {SOME} people" in await crowd.over()
        await asyncio.gather(*(stage.end(bot) for bot in bots.values()))
    judge(f"The process of the role {killed} killed in the middle", crowd.spread(), kills=1)


@pytest.mark.thorough
async def test_ten_thousand_get_it_though_the_bot_is_killed_and_alerts_and_answers_overtake_it(
    stage: Stage, judge: Judge
) -> None:
    crowd = Crowd(stage, MANY)
    await crowd.enrol()
    async with stage.bot(**crowd.settings()) as bot:
        async with crowd.busy():
            await asyncio.sleep(QUIET_S)
        without = crowd.times()
        await crowd.begin()
        async with crowd.busy():
            await crowd.reached(MANY // 2)
        beside = crowd.times()
        await bot.kill()
    async with stage.bot(**crowd.settings()) as bot:
        await crowd.reached(MANY)
        over = await crowd.over()
        await stage.end(bot)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"load of the machine: {load} on {os.cpu_count()} cores; {over}")  # noqa: T201
    judge(
        "The bot killed in the middle of ten thousand",
        crowd.spread(),
        kills=1,
        alerts=(without[0], beside[0]),
        answers=(without[1], beside[1]),
    )
    assert f"went to {MANY:,} of {MANY:,} people" in over
