"""Start with many filter sets: how long until calls are decided, and until everybody is loaded.

Subscribers lie in a PostgreSQL of their own, written there in bulk; the bot starts on it as it always does.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.kit.bot import running_bot
from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.subscribers import fill
from domain.filters.registry import FilterSet, Range
from embedded.postgres import EmbeddedPostgres
from migrations import migrate

TIMEOUT_S = 240
READY_TARGET_S = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscribers", type=int, nargs="+", default=[100_000], help="how many; one set each")


def run(arguments: argparse.Namespace) -> list[Row]:
    return [row for count in arguments.subscribers for row in asyncio.run(_measure(count))]


async def _measure(count: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bot-load-") as directory:
        async with EmbeddedPostgres(Path(directory) / "postgres") as postgres:
            await migrate(postgres.dsn)
            await fill(postgres.dsn, _filter_sets(count))
            ready_s, alert_s, loaded_s = await _start(postgres.dsn, Path(directory))
    what = f"{count:,} sets: command to"
    ready = (
        at_most(f"{what} ready", ready_s, "s", READY_TARGET_S)
        if count <= 100_000  # noqa: PLR2004 - what was promised
        else for_comparison(f"{what} ready", ready_s, "s")
    )
    return [
        ready,
        for_comparison(f"{what} first alert", alert_s, "s"),
        for_comparison(f"{what} everybody loaded", loaded_s, "s"),
    ]


def _filter_sets(count: int) -> Iterator[FilterSet]:
    random = Random(7)
    for user_id in range(10_000_000, 10_000_000 + count):
        minimum = float(random.choice((5_000, 20_000, 50_000, 100_000)))
        rules = {
            "market_cap_usd": Range(minimum=minimum, maximum=minimum * random.choice((2, 5, 10))),
            "liquidity_usd": Range(minimum=float(random.randrange(5_000, 90_000))),
            "channel_win_rate": Range(minimum=float(random.randrange(70, 100))),
        }
        yield FilterSet(user_id=user_id, number=1, name="Mine", rules=dict(rules))


async def _start(dsn: str, data_dir: Path) -> tuple[float, float, float]:
    """Seconds from the command to "Ready", to the first alert, and to the last subscriber loaded."""
    seen = {b"Ready after": 0.0, b"\xe2\x86\x92 ": 0.0, b"Loaded after": 0.0}
    more = {"DATABASE_URL": dsn, "SANDBOX_CALLS_PER_MINUTE": "120"}
    async with running_bot(data_dir, seconds=TIMEOUT_S, **more) as bot:
        started_at = time.perf_counter()
        async for line in bot.output:
            for mark, at in seen.items():
                if not at and re.search(mark, line):
                    seen[mark] = time.perf_counter() - started_at
            if all(seen.values()):
                ready_s, alert_s, loaded_s = seen.values()
                return ready_s, alert_s, loaded_s
    raise RuntimeError("the bot ended before everybody was loaded and somebody got an alert")
