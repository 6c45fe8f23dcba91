"""The feed is cut, says nothing, repeats itself, talks nonsense and shouts."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import Verdict
from tests.faults.market import made_again
from tests.faults.stage import Stage

SILENT_S = 30.0
"""Longer than the bot believes a silent socket."""


async def test_cut_repeating_and_malformed(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            for _ in range(5):
                stage.feed.send_malformed(50)
                stage.feed.repeat_events(20)
                stage.feed.drop_connections()
                await asyncio.sleep(0.2)
        stage.feed.repeat_events(len(stage.published))
        counts = await stage.finish(bot)
    verdict("The feed cut five times, repeating and malformed", counts)


@pytest.mark.thorough
async def test_silent_while_open(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            stage.feed.go_silent(True)
            await asyncio.sleep(SILENT_S)
            stage.feed.go_silent(False)
        counts = await stage.finish(bot)
    verdict(f"The feed open and silent for {SILENT_S:g} s", counts)


@pytest.mark.thorough
async def test_flooding(stage: Stage, verdict: Verdict) -> None:
    """Fifty times as many calls as have to be told of, all at once: the socket waits, no call is dropped."""
    async with stage.bot() as bot:
        await stage.warm_up()
        left = len(stage.workload.calls) - len(stage.published)
        for number in range(left):
            await stage.play(1, over_s=0)
            for again in range(50):
                call = stage.published[(number * 7 + again) % len(stage.published)]
                stage.publish(made_again(call, number * 50 + again))
        counts = await stage.finish(bot)
    verdict(f"The feed flooding: {len(stage.published):,} calls at once", counts)


@pytest.mark.thorough
async def test_cut_while_the_bot_is_killed(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            stage.feed.drop_connections()
            await bot.kill()
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    verdict("The feed cut and the bot killed at once", counts, repeats=5)
