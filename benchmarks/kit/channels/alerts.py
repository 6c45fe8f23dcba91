"""From a post on a channel's page to the alert at Telegram, through the whole program in the sandbox's world."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
from msgspec import Struct

from benchmarks.kit.bot import running_bot
from benchmarks.kit.report import Row, for_comparison

CALLS_PER_MINUTE: Final = 120
STARTS_WITHIN_S: Final = 120.0
LONGEST_S: Final = 300.0


class Pace(Struct, frozen=True):
    name: str
    requests_per_minute: int
    pause_s: float


PACES: Final = (Pace("as in the sandbox", 1_200, 1.0), Pace("as by default", 120, 10.0))


def rows(least: int) -> list[Row]:
    """Measure until at least so many alerts have come, at each pace, and for five minutes at most."""
    found: list[Row] = []
    for pace in PACES:
        stats = asyncio.run(_measure(pace, least))
        what = f"post → alert, {pace.name} ({pace.requests_per_minute} pages/min, ≥ {pace.pause_s:g} s)"
        found += [
            for_comparison(f"{what}: p50", stats["latency_p50_ms"] / 1e3, "s"),
            *([for_comparison(f"{what}: p99", p99_ms / 1e3, "s")] if (p99_ms := stats.get("latency_p99_ms")) else []),
            for_comparison(f"{what}: alerts", stats["alerts"], ""),
        ]
    return found


async def _measure(pace: Pace, least: int) -> dict[str, Any]:
    """Return what the chat page shows beside the chat, once so many alerts have come."""
    with tempfile.TemporaryDirectory(prefix="bot-posted-") as directory:
        environment = {
            "FEED_SOURCE": "channels",
            "SANDBOX_CALLS_PER_MINUTE": str(CALLS_PER_MINUTE),
            "CHANNEL_REQUESTS_PER_MINUTE": str(pace.requests_per_minute),
            "CHANNEL_PAUSE_S": str(pace.pause_s),
        }
        async with running_bot(Path(directory), seconds=STARTS_WITHIN_S + LONGEST_S, **environment) as bot:
            page = ""
            async for line in bot.output:
                text = line.decode()
                if found := re.search(r"Chat page: (http://\S+?)/?$", text.strip()):
                    page = found[1]
                if "→ demo" in text:
                    break
            bot.ignore_output()
            ends = time.monotonic() + LONGEST_S
            async with aiohttp.ClientSession() as session:
                while True:
                    async with session.get(f"{page}/sandbox/api/stats") as answer:
                        stats: dict[str, Any] = await answer.json()
                    if stats["alerts"] >= least or time.monotonic() > ends:
                        return stats
                    await asyncio.sleep(1)
