"""The work divided among processes: any of them may die, and another may join, in the middle of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT, Counts
from tests.faults.process import Bot
from tests.faults.stage import STARTS_WITHIN_S, Stage

pytestmark = pytest.mark.thorough

ROLES = ("gateway", "ingest", "match", "send", "track")


async def started(stage: Stage, stack: AsyncExitStack, *, match: tuple[str, ...] = ()) -> dict[str, Bot]:
    """Start one process of each role; `match` are more arguments of the matching one."""
    bots = {role: await stage.role(stack, role, *(match if role == "match" else ())) for role in ROLES}
    await bots["match"].says(r"Matching .* subscribers", timeout_s=STARTS_WITHIN_S)
    await stage.feed.someone_listens.wait()
    return bots


async def finish(stage: Stage, bots: list[Bot]) -> Counts:
    await stage.ledger.complete(patience_s=stage.size.patience_s)
    await asyncio.gather(*(stage.end(bot) for bot in bots))
    return stage.ledger.counts()


@pytest.mark.parametrize("role", ROLES)
async def test_killed(role: str, stage: Stage, verdict: Verdict) -> None:
    async with AsyncExitStack() as stack:
        bots = await started(stage, stack)
        await stage.warm_up()
        async with stage.playing(over_s=4):
            await bots[role].kill()
            bots[role] = await stage.role(stack, role)
        counts = await finish(stage, list(bots.values()))
    verdict(f"`kill -9` of the role {role}, started again", counts, repeats=IN_FLIGHT)


@pytest.mark.parametrize("role", ["match", "send"])
async def test_one_of_two_killed_and_never_started_again(role: str, stage: Stage, verdict: Verdict) -> None:
    """The other takes over what the dead one had."""
    async with AsyncExitStack() as stack:
        bots = await started(stage, stack)
        second = await stage.role(stack, role)
        await stage.warm_up()
        async with stage.playing(over_s=4):
            await second.kill()
        counts = await finish(stage, list(bots.values()))
    verdict(f"One of two processes of the role {role} killed for good", counts, repeats=IN_FLIGHT)


@pytest.mark.parametrize("role", ["match", "send"])
async def test_added(role: str, stage: Stage, verdict: Verdict) -> None:
    async with AsyncExitStack() as stack:
        bots = await started(stage, stack)
        await stage.warm_up()
        async with stage.playing(over_s=8):
            added = await stage.role(stack, role, "--shard", "2/2")
        counts = await finish(stage, [*bots.values(), added])
    verdict(f"A second process of the role {role} added under load", counts)


async def test_standby_of_the_feed_takes_over(stage: Stage, verdict: Verdict) -> None:
    async with AsyncExitStack() as stack:
        bots = await started(stage, stack)
        standby = await stage.role(stack, "ingest")
        await stage.warm_up()
        async with stage.playing(over_s=4):
            await bots.pop("ingest").kill()
        counts = await finish(stage, [standby, *bots.values()])
    verdict("The feed's reader killed, its stand-by takes over", counts)
