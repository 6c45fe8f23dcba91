"""Channels that cannot be read, write otherwise, or are not read; calls of which nobody knows what they mean."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from managers.channels.base import BlockedError, ChannelClosedError
from services.channels.taking import TakingService
from services.monitoring.alarms import AlarmsService
from tests.alarms.kit import Provocation, Scene, Stage
from tests.channels.support import ALPHA, mint


async def first_look(scene: Scene) -> None:
    await scene.until(lambda: scene.book.asked[ALPHA] >= 2)


async def post(scene: Scene, *texts: str) -> None:
    """Post, and wait until it was read."""
    taking = scene.bot.of(TakingService)
    before = taking.verdicts.total()
    for text in texts:
        scene.book.post(ALPHA, text, datetime.now(UTC))
    await scene.until(lambda: taking.verdicts.total() == before + len(texts))


@asynccontextmanager
async def refused(scene: Scene) -> AsyncGenerator[None]:
    """The other side answers nobody from here."""
    scene.bot.of(AlarmsService)._alarms["channels blocked"].after_s = 20.0
    await first_look(scene)
    scene.book.problem = BlockedError("429 Too Many Requests", for_s=0.2)
    yield
    scene.book.problem = None


@asynccontextmanager
async def renamed(scene: Scene) -> AsyncGenerator[None]:
    """A channel has another name by now."""
    scene.book.problems[ALPHA] = ChannelClosedError(ALPHA, "not_found")
    yield
    del scene.book.problems[ALPHA]


@asynccontextmanager
async def written_otherwise(scene: Scene) -> AsyncGenerator[None]:
    """It used to give addresses, and gives symbols now."""
    await first_look(scene)
    await post(scene, *(f"CA: {mint(number)}" for number in range(12)))
    await post(scene, *(f"$FROG{number} at 45k looks spicy" for number in range(12)))
    yield
    await post(scene, f"CA: {mint(99)}")


@asynccontextmanager
async def unanswered(scene: Scene) -> AsyncGenerator[None]:
    """Connections stay open and bring nothing."""
    await first_look(scene)
    scene.book.answers.clear()
    yield
    scene.book.answers.set()


@asynccontextmanager
async def nobody_knows(scene: Scene) -> AsyncGenerator[None]:
    """No provider knows these pools."""
    await first_look(scene)
    await post(scene, *(f"https://dexscreener.com/solana/{mint(number)}" for number in range(25)))
    yield
    async with scene.database() as connection:
        await connection.execute("DELETE FROM unresolved_calls")


LISTENS = Stage(channels=True)
PROVOKED = {
    "channels blocked": Provocation(wrong=refused, stage=LISTENS),
    "channels closed": Provocation(
        wrong=renamed, stage=Stage(channels=True, limits={"domain.channels.patience:FIRST_CLOSED_S": 1.0})
    ),
    "channels without calls": Provocation(wrong=written_otherwise, stage=LISTENS),
    "channels unread": Provocation(
        wrong=unanswered, stage=Stage(channels=True, limits={"services.channels.conditions:SILENT_S": 3.0})
    ),
    "unresolved calls": Provocation(
        wrong=nobody_knows,
        stage=Stage(channels=True, times={"services.channels.conditions:WAITS": timedelta(seconds=1)}),
    ),
}
