"""`kill -9` of the bot at every step from the price that crosses a rung to the message that tells of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.faults.ledger import IN_FLIGHT
from tests.faults.tracking.conftest import TrackingVerdict
from tests.faults.tracking.exchange import Exchange
from tests.faults.tracking.lives import DAY_S, Span

RISES = Span(tokens=40, called_within_s=0.25 * DAY_S, lasts_s=1.0 * DAY_S, tracked_for_s=1.2 * DAY_S)
LASTS_S = 1.6 * DAY_S
CALLED_S = 0.3 * DAY_S
"""By then every token was called."""

POINTS = {
    "crossed": "a rung is crossed, and not written down",
    "reached": "it is written down, and nobody was told",
    "fanned_out": "messages are in the outbox, and the row does not say so",
    "snapshot": "a part of the tracker was written",
}
SENDING = ("begun", "sent", "settled")


@pytest.mark.thorough
@pytest.mark.parametrize("point", [*POINTS, *SENDING])
@pytest.mark.parametrize("exchange", [RISES], indirect=True, ids=["rises"])
async def test_killed_at(point: str, exchange: Exchange, verdict: TrackingVerdict) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(exchange.bot())
        await exchange.play(CALLED_S)
        await exchange.stage.end(first)
        # What is told from here on is told of milestones.
        second = await stack.enter_async_context(exchange.bot(FAULT_POINT=f"{point}:3"))
        async with asyncio.TaskGroup() as group:
            group.create_task(exchange.play(LASTS_S - CALLED_S))
            await second.dies(timeout_s=120)
            third = await stack.enter_async_context(exchange.bot())
        counts = await exchange.finish(third)
    why = f": {POINTS[point]}" if point in POINTS else ", a milestone's message"
    verdict(f"`kill -9` of the bot at “{point}”{why}", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
@pytest.mark.parametrize("exchange", [RISES], indirect=True, ids=["rises"])
async def test_killed_again_and_again(exchange: Exchange, verdict: TrackingVerdict) -> None:
    kills = 6
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(exchange.bot())
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(exchange.play(LASTS_S))
            for kill in range(1, kills + 1):
                while exchange.at_s < LASTS_S * kill / (kills + 1):  # noqa: ASYNC110 - a clock
                    await asyncio.sleep(0.05)
                await bot.kill()
                bot = await stack.enter_async_context(exchange.bot())
            await playing
        counts = await exchange.finish(bot)
    verdict(f"`kill -9` of the bot while prices move, {kills} times", counts, repeats=IN_FLIGHT * kills)
