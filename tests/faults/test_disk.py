"""The disk of the bot is full when it needs it most: Redis is away, and what it writes down by itself does not fit."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.process import FileSizeLimit, TinyDisk
from tests.faults.stage import Stage


@pytest.mark.thorough
async def test_full_while_redis_is_away(stage: Stage, verdict: Verdict) -> None:
    """Nothing is promised that cannot be written down: the feed waits until Redis is back."""
    disk = TinyDisk(stage.data_dir) if TinyDisk.is_possible() else FileSizeLimit()
    async with stage.bot(before=disk.before) as bot:
        await stage.warm_up()
        disk.fill(bot)
        async with stage.playing(over_s=stage.size.away_s):
            await stage.redis_proxy.refuse()
            await asyncio.sleep(stage.size.away_s)
            await stage.redis_proxy.mend()
        await stage.complete(bot)
        disk.free(bot)
        counts = await stage.finish(bot)
    verdict("The bot's disk full while Redis is away", counts, repeats=IN_FLIGHT)
