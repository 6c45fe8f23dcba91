"""Each daily and weekly report comes once, at its local hour, whatever dies between making and sending it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.faults.reports.conftest import ReportVerdict
from tests.faults.reports.evenings import Evenings
from tests.faults.stage import STARTS_WITHIN_S

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]

POINTS = {
    "report_made": "it was made, and nothing put",
    "report_put": "it is in the outbox, and its next time is not set",
    "begun": "its sending has begun",
    "sent": "Telegram has taken it, and nobody wrote it down",
    "settled": "it is settled, and its entry is not gone",
}
SENDING = {"begun", "sent", "settled"}


ROLES = ("gateway", "ingest", "match", "track")


async def test_nothing_is_broken(evenings: Evenings, verdict: ReportVerdict) -> None:
    async with evenings.stage.bot(**evenings.settings()) as bot:
        await evenings.play(evenings.ends)
        await evenings.stage.end(bot)
    verdict("Nothing", evenings.counts())


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(point: str, evenings: Evenings, verdict: ReportVerdict) -> None:
    """Another process is started afterwards."""
    stage, settings = evenings.stage, evenings.settings()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(stage.bot(**settings))
        await evenings.play(evenings.after_the_change)
        await stage.end(first)
        second = await stack.enter_async_context(stage.bot(**settings, FAULT_POINT=point))
        async with asyncio.TaskGroup() as group:
            group.create_task(evenings.play(evenings.ends))
            await second.dies(timeout_s=60)
            third = await stack.enter_async_context(stage.bot(**settings))
        await stage.end(third)
    verdict(f"`kill -9` of the bot at “{point}”: {POINTS[point]}", evenings.counts(), repeats=int(point in SENDING))


@pytest.mark.parametrize("point", ["report_made", "report_put", "sent"])
async def test_killed_at_with_a_standby(point: str, evenings: Evenings, verdict: ReportVerdict) -> None:
    stage, settings = evenings.stage, evenings.settings()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(stage.bot(**settings))
        await evenings.play(evenings.after_the_change)
        await stage.end(first)
        second = await stack.enter_async_context(stage.bot(**settings, FAULT_POINT=point))
        standby = await stage.role(stack, "all", **settings)
        async with asyncio.TaskGroup() as group:
            group.create_task(evenings.play(evenings.ends))
            await second.dies(timeout_s=60)
        await stage.end(standby)
    what = f"`kill -9` of the bot at “{point}”, a stand-by takes over: {POINTS[point]}"
    verdict(what, evenings.counts(), repeats=int(point in SENDING))


@pytest.mark.parametrize("point", ["report_made", "sent"])
async def test_one_of_two_that_send_is_killed_at(point: str, evenings: Evenings, verdict: ReportVerdict) -> None:
    """The work is divided among processes; the other one takes over what the dead one had."""
    stage, settings = evenings.stage, evenings.settings()
    async with AsyncExitStack() as stack:
        bots = [await stage.role(stack, role, **settings) for role in (*ROLES, "send")]
        await bots[2].says(r"Matching .* subscribers", timeout_s=STARTS_WITHIN_S)
        await stage.feed.someone_listens.wait()
        await evenings.play(evenings.after_the_change)
        second = await stage.role(stack, "send", **settings, FAULT_POINT=point)
        async with asyncio.TaskGroup() as group:
            group.create_task(evenings.play(evenings.ends))
            await second.dies(timeout_s=90)
        await asyncio.gather(*map(stage.end, bots))
    what = f"`kill -9` at “{point}” of one of two processes of the role send: {POINTS[point]}"
    verdict(what, evenings.counts(), repeats=int(point in SENDING))
