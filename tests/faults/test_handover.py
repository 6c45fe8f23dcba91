"""One process hands over to another under load: Telegram, which counts on, refuses nothing.

Some get every call, some in a group, and some talk to the bot meanwhile, so that each of Telegram's limits is used up
when the other one takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from msgspec.structs import replace

from domain.subscribers.subscriber import Destination, Preferences
from sandbox.telegram.people import SandboxUser
from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.market import FIRST_USER_ID, taker
from tests.faults.process import Bot
from tests.faults.stage import Stage

GREEDY = 10
"""People who take everything."""
GROUP_WAITS_S = 90.0
"""A group that has had its twenty messages gets no more for a minute."""
ASKED_EACH_S = 0.4


async def enrol_the_greedy(stage: Stage) -> list[SandboxUser]:
    """Add people who take every call; the last two of them in a group."""
    takers = [taker(FIRST_USER_ID + 300_000 + number) for number in range(GREEDY)]
    people = [stage.person(one.user_id) for one in takers]
    for number in (GREEDY - 2, GREEDY - 1):
        group = stage.telegram.group(f"group {number}", [people[number]])
        chosen = Destination(chat_id=group.chat_id, title=group.title)
        takers[number] = replace(takers[number], preferences=Preferences(destination=chosen))
        stage.ledger.user_of[group.chat_id] = takers[number].user_id
    await stage.enrol(takers)
    stage.workload.subscribers.extend(takers)
    return people


@asynccontextmanager
async def talking(people: list[SandboxUser]) -> AsyncGenerator[None]:
    """Ask the bot something again and again."""

    async def ask(person: SandboxUser) -> None:
        while True:
            await person.send("/status")
            await asyncio.sleep(ASKED_EACH_S)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(person)) for person in people]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def finish(stage: Stage, *bots: Bot) -> None:
    await stage.ledger.complete(patience_s=GROUP_WAITS_S)
    await asyncio.gather(*(stage.end(bot) for bot in bots))


@pytest.mark.thorough
@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_bot_hands_over_to_one_that_stands_by(end: str, stage: Stage, verdict: Verdict) -> None:
    people = await enrol_the_greedy(stage)
    async with AsyncExitStack() as stack:
        async with stage.bot() as first:
            await stage.warm_up()
            second = await stage.role(stack, "all")
            await second.says("standing by")
            async with talking(people[:4]), stage.playing(over_s=10):
                await stage.ledger.more(len(stage.ledger.missing) // 2)
                if end == "killed":
                    await first.kill()
                else:
                    await stage.end(first)
        await finish(stage, second)
        counts = stage.ledger.counts()
    assert stage.telegram.stats.refusals_429 == 0
    verdict(f"The bot {end}, another one takes over", counts, repeats=IN_FLIGHT if end == "killed" else 0)


@pytest.mark.thorough
@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_bot_is_started_again_at_once(end: str, stage: Stage, verdict: Verdict) -> None:
    """What a group got in the last second before a kill is not known, so then nobody here gets more than it may."""
    people = await enrol_the_greedy(stage)
    async with AsyncExitStack() as stack:
        async with stage.bot() as first:
            await stage.warm_up()
            await stack.enter_async_context(talking(people[:4]))
            await stack.enter_async_context(stage.playing(over_s=12))
            await stage.ledger.more(len(stage.ledger.missing) // 3)
            if end == "killed":
                await first.kill()
            else:
                await stage.end(first)
        second = await stack.enter_async_context(stage.bot())
        await finish(stage, second)
        counts = stage.ledger.counts()
    assert stage.telegram.stats.refusals_429 == 0
    verdict(f"The bot {end} and started again at once", counts, repeats=IN_FLIGHT if end == "killed" else 0)


@pytest.mark.thorough
async def test_senders_hand_partitions_to_each_other(stage: Stage, verdict: Verdict) -> None:
    """Nobody talks to the bot: replies come from another process, which knows of the alerts a second later."""
    await enrol_the_greedy(stage)
    async with AsyncExitStack() as stack:
        bots = {role: await stage.role(stack, role) for role in ("gateway", "ingest", "match", "send", "track")}
        await bots["match"].says(r"Matching .* subscribers")
        await stage.feed.someone_listens.wait()
        await stage.warm_up()
        async with stage.playing(over_s=20):
            bots["added"] = await stage.role(stack, "send")
            await stage.ledger.more(len(stage.ledger.missing) // 2)
            await stage.end(bots.pop("send"))
        await finish(stage, *bots.values())
        counts = stage.ledger.counts()
    assert stage.telegram.stats.refusals_429 == 0
    verdict("A sender added, another one stopped under load", counts)
