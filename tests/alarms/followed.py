"""What becomes of calls is not followed, or people are not told of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.alarms.kit import Provocation, Scene, Stage


@asynccontextmanager
async def tracking_stands(scene: Scene) -> AsyncGenerator[None]:
    """Nothing can be read of PostgreSQL, and nothing written."""
    await scene.postgres_proxy.refuse()
    yield
    await scene.postgres_proxy.repair()


@asynccontextmanager
async def milestone_untold(scene: Scene) -> AsyncGenerator[None]:
    """Its call is gone: nobody can be told of it."""
    async with scene.database() as connection:
        await connection.execute(
            "INSERT INTO milestones"
            " (call_id, rung, number, multiple, reached_at, confirmed_at, late, verified, look_at)"
            " SELECT 'gone', 2, 1, 2.1, at, at, false, true, at FROM (SELECT now() - interval '1 hour' AS at) AS t"
        )
        yield
        await connection.execute("DELETE FROM milestones")


@asynccontextmanager
async def firing_untold(scene: Scene) -> AsyncGenerator[None]:
    async with scene.database() as connection:
        await connection.execute(
            "INSERT INTO watch_firings (watch_id, crossing, price_usd, reached_at, confirmed_at, look_at)"
            " SELECT 99, 1, 1.0, at, at, at FROM (SELECT now() - interval '1 hour' AS at) AS t"
        )
        yield
        await connection.execute("DELETE FROM watch_firings")


PROVOKED = {
    "tracking": Provocation(wrong=tracking_stands, stage=Stage(limits={"services.tracking.figures:BEHIND_S": 2.0})),
    "milestones": Provocation(wrong=milestone_untold),
    "watches": Provocation(wrong=firing_untold),
}
