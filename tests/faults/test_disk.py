"""The disk is full when it is needed most: Redis is down, or what is on it is killed or stopped in that moment."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import ADMIN, text_of
from tests.faults import full_disk
from tests.faults.conftest import Verdict
from tests.faults.full_disk import Ending, Full
from tests.faults.ledger import IN_FLIGHT
from tests.faults.process import FileSizeLimit, TinyDisk
from tests.faults.small_disk import SmallDisk
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
            await stage.redis_proxy.repair()
        await stage.complete(bot)
        disk.free(bot)
        counts = await stage.finish(bot)
    verdict("The bot's disk full while Redis is unavailable", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
@pytest.mark.skipif(not SmallDisk.is_possible(), reason="nothing can be mounted here")
@pytest.mark.parametrize(
    ("full", "ending"),
    [
        ("redis", "kill both"),
        pytest.param("redis", "stop", marks=pytest.mark.thorough),
        pytest.param("data", "kill", marks=pytest.mark.thorough),
        pytest.param("data", "kill both", marks=pytest.mark.thorough),
        pytest.param("data", "stop", marks=pytest.mark.thorough),
    ],
)
async def test_full_and_then_the_end(full: Full, ending: Ending, stage: Stage, verdict: Verdict) -> None:
    """Redis answers what its disk does not take; all of it is known again at the next start."""
    counts = await full_disk.play(stage, full=full, ending=ending, after_s=0.3)
    what = "The bot's disk" if full == "data" else "Redis's disk"
    verdict(f"{what} full, then: {ending}", counts, repeats=full_disk.REPEATS)


@pytest.mark.skipif(not SmallDisk.is_possible(), reason="nothing can be mounted here")
@pytest.mark.thorough
async def test_admins_are_told_while_the_disk_is_full(stage: Stage) -> None:
    """Neither Redis nor the bot can write anything, and the message goes out all the same."""
    admin = stage.person(ADMIN)
    admin.chat.is_started = True

    async def told(*names: str, well: bool, within_s: float) -> str:
        """Wait until admins were told of all of these, in any order and in any number of messages."""
        left, said = set(names), ""
        while left:
            one = text_of(await admin.next_message(timeout_s=within_s, where=lambda m: sign(well=well) in text_of(m)))
            left, said = {name for name in left if f"{name} " not in one}, said + one
        return said

    def sign(*, well: bool) -> str:
        return "🟢" if well else "🔴"

    async with (
        SmallDisk(stage.data_dir) as disk,
        full_disk.started(stage, disk, ADMIN_CHAT_IDS=str(ADMIN)) as bot,
    ):
        await stage.warm_up()
        disk.fill()
        said = await told("disk", "Redis", well=False, within_s=30)
        assert "MISCONF" in said
        assert "are left" in said
        disk.free()
        await told("disk", "Redis", well=True, within_s=60)
        await stage.play()
        await stage.finish(bot)
    assert not stage.ledger.missing
    assert not stage.complaints
