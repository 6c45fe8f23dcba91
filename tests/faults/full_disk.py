"""One round: the disk fills up under load, what lives on it is killed or stopped, there is room again, it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Literal, get_args

import psutil

from tests.faults.ledger import IN_FLIGHT, Counts
from tests.faults.process import Bot
from tests.faults.small_disk import SmallDisk
from tests.faults.stage import STARTS_WITHIN_S, Size, Stage

Ending = Literal["kill", "kill both", "stop"]
"""`kill`: the bot alone, and its Redis is told to end. `kill both`: its Redis dies in the same moment."""
Full = Literal["data", "redis"]
"""`data`: everything of the bot is on that disk. `redis`: only Redis is, and the bot can write down what it does."""

ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)
FULLS: Final[tuple[Full, ...]] = get_args(Full)
ROUND: Final = Size(full=False, users=40, calls=60, away_s=0.0, patience_s=20.0)
LOAD_S: Final = 1.5
REPEATS: Final = IN_FLIGHT
"""Messages of which nobody can know whether they arrived, as after any kill."""


async def play(stage: Stage, *, full: Full, ending: Ending, after_s: float) -> Counts:
    """`after_s`: from the moment in which the disk is full to the end."""
    directory = stage.data_dir if full == "data" else stage.data_dir / "redis"
    directory.mkdir(exist_ok=True)
    async with SmallDisk(directory) as disk, asyncio.TaskGroup() as group:
        async with started(stage, disk) as bot:
            await stage.warm_up()
            group.create_task(stage.play(over_s=LOAD_S))
            await stage.ledger.more(5)
            disk.fill()
            await asyncio.sleep(after_s)
            await end(bot, ending)
        disk.free()
        async with started(stage, disk) as bot:
            return await stage.finish(bot)


@asynccontextmanager
async def started(stage: Stage, disk: SmallDisk, **more: str) -> AsyncGenerator[Bot]:
    """Run the bot with a Redis of its own; `more` is for its environment."""
    environment = stage.environment(**more)
    del environment["REDIS_URL"]
    async with Bot(environment, "run", before=disk.before) as bot:
        await bot.says("Loaded after", timeout_s=STARTS_WITHIN_S)
        await asyncio.wait_for(stage.feed.someone_listens.wait(), STARTS_WITHIN_S)
        yield bot


async def end(bot: Bot, ending: Ending) -> None:
    if ending == "stop":
        bot.terminate()
        await bot.exit_code()
        return
    if ending == "kill both":
        for child in psutil.Process(bot.pid).children():
            if child.name().startswith("valkey"):
                child.kill()
    await bot.kill()
