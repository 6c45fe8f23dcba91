"""What becomes of calls is not followed, or people are not told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from yarl import URL

from domain.prices.readings import TokenRef
from runtime.errors import TransientError
from sandbox.providers.jupiter import SOL_MINT
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


@asynccontextmanager
async def nobody_tells_prices(scene: Scene) -> AsyncGenerator[None]:
    """Every request is answered with an error; asked as the bot does that wants a price."""
    (jupiter, *_), mint = scene.bot.connections.price_providers, TokenRef(SOL_MINT)

    async def ask() -> None:
        with suppress(TransientError):
            await jupiter.read([mint])

    scene.prices.status = 500
    for _ in range(4):
        await ask()
        await asyncio.sleep(0.1)
    yield
    scene.prices.status = 200
    scene.bot.connections.api.let_in(URL(scene.prices.url).host_port_subcomponent or "")
    await ask()


PROVOKED = {
    "providers": Provocation(
        wrong=nobody_tells_prices, stage=Stage(limits={"services.providers.asked:FAILING_AFTER_S": 0.2})
    ),
    "tracking": Provocation(wrong=tracking_stands, stage=Stage(limits={"services.tracking.figures:BEHIND_S": 2.0})),
    "milestones": Provocation(wrong=milestone_untold),
    "watches": Provocation(wrong=firing_untold),
}
