"""How often the caches have what they are asked for, in steady state: `main.py run` beside the sandbox.

People who have taken a preset get what passes while the market goes on, and some of them look at their settings. The
bot has a minute to get warm; what is counted is what it is asked after that. What is asked for the first time is
a miss, so a bot that serves more people, or that runs longer, does better.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.kit.bot import RunningBot, running_bot
from benchmarks.kit.report import Row, at_least, for_comparison
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox

PEOPLE = 50
CALLS_PER_S = 2.0
WARM_S, SECONDS = 60.0, 120.0
QUICK_S = 10.0
AT_LEAST = 95.0
"""Percent."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="twenty seconds, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    warm_s, seconds = (QUICK_S, QUICK_S) if arguments.quick else (WARM_S, SECONDS)
    return asyncio.run(_measured(warm_s, seconds))


async def _measured(warm_s: float, seconds: float) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with (
            TelegramSandbox(limits=FloodLimits.off()) as telegram,
            FeedSandbox(Market(seed=1), calls_per_s=CALLS_PER_S, ticks_per_s=10.0) as feed,
            running_bot(
                Path(directory),
                seconds=warm_s + seconds + 120,
                TELEGRAM_BOT_TOKEN=telegram.token,
                TELEGRAM_API_BASE=telegram.url,
                FEED_SOURCE="native",
                FEED_URL=feed.ws_url,
                FEED_API_URL=feed.http_url,
                FEED_TOKEN=feed.token,
            ) as bot,
        ):
            await bot.wait_for("Ready after")
            bot.ignore_output()
            people = [telegram.user(f"Person {number}") for number in range(PEOPLE)]
            await asyncio.gather(*(_subscribed(user) for user in people))
            looking = asyncio.create_task(_looking(people))
            try:
                await asyncio.sleep(warm_s)
                before = await _looked_up(bot)
                await asyncio.sleep(seconds)
                after = await _looked_up(bot)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
    return _rows({key: count - before.get(key, 0.0) for key, count in after.items()})


def _rows(counted: Mapping[tuple[str, str], float]) -> list[Row]:
    """`counted`: look-ups by cache, and by whether they were answered."""
    rows: list[Row] = []
    for cache in sorted({cache for cache, _ in counted}):
        hits, misses = counted[cache, "hits"], counted[cache, "misses"]
        if hits + misses:
            rows.append(for_comparison(f"{cache}: {hits + misses:,.0f} look-ups", 100 * hits / (hits + misses), "%"))
    hits = sum(count for (_, kind), count in counted.items() if kind == "hits")
    return [at_least("all caches, hit rate", 100 * hits / sum(counted.values()), "%", AT_LEAST), *rows]


async def _looked_up(bot: RunningBot) -> dict[tuple[str, str], float]:
    numbers = await bot.labelled("cache")
    return {
        (cache, kind): numbers[f"cache_{kind}_total", cache]
        for name, cache in numbers
        for kind in ("hits", "misses")
        if name == f"cache_{kind}_total"
    }


async def _subscribed(user: SandboxUser) -> None:
    await user.send("/start")
    offer = await user.next_message(where=lambda message: "reply_markup" in message)
    await user.tap_data(offer, "preset:everything")


async def _looking(people: list[SandboxUser]) -> None:
    """Somebody looks at their settings every second."""
    while True:
        for user in people:
            await user.send("/settings")
            await asyncio.sleep(1.0)
