"""The wall clock jumps: what waits, what expires and who was told must not depend on it."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import Verdict
from tests.faults.process import FaultClock
from tests.faults.stage import Stage

PAST_FRESHNESS_S = 11 * 60


@pytest.mark.thorough
@pytest.mark.parametrize(
    "steps_s",
    [
        pytest.param((120, -120, 0), id="minutes"),
        pytest.param((-3600, 0), id="hour-back-and-forth"),
    ],
)
async def test_stepped(steps_s: tuple[int, ...], stage: Stage, verdict: Verdict) -> None:
    clock = FaultClock(stage.data_dir)
    async with stage.bot(FAULT_CLOCK_FILE=str(clock.path)) as bot:
        await stage.warm_up()
        async with stage.playing(over_s=2):
            for step_s in steps_s:
                clock.step(step_s)
                await stage.ledger.more(3)
        counts = await stage.finish(bot)
    steps = ", ".join(f"{step_s:+d} s" for step_s in steps_s)
    verdict(f"The wall clock stepped: {steps}", counts)


@pytest.mark.thorough
async def test_what_waited_too_long_comes_in_a_digest(stage: Stage, verdict: Verdict) -> None:
    """Telegram is away until alerts are no news any more: nothing is sent as if it were new, nothing is lost."""
    clock = FaultClock(stage.data_dir)
    async with stage.bot(FAULT_CLOCK_FILE=str(clock.path)) as bot:
        await stage.warm_up()
        stage.telegram.faults.storm(4)
        await stage.play(over_s=1)
        await asyncio.sleep(1)  # everything is claimed by now, nothing is sent
        clock.step(PAST_FRESHNESS_S)
        counts = await stage.finish(bot)
    verdict("Telegram away for longer than an alert is fresh", counts)
    assert counts.in_digests
