"""How long from the command to a bot that works, with servers of its own: on empty data, and on data that exist."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.kit.bot import ROOT, running_bot
from benchmarks.kit.report import Row, at_most, for_comparison
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis

RUNS = 3
SERVERS_TARGET_S = 2.0
READY_TARGET_S = 5.0
ALERT_TARGET_S = 60.0


def run(_arguments: argparse.Namespace) -> list[Row]:
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bot-startup-") as directory:
        data_dir = Path(directory)
        cold_ready_s, cold_alert_s = await _start(data_dir)
        warm = [await _start(data_dir) for _ in range(RUNS)]
        postgres_s = median([await _up(EmbeddedPostgres(data_dir / "postgres")) for _ in range(RUNS)])
        redis_s = median([await _up(EmbeddedRedis(data_dir / "redis")) for _ in range(RUNS)])
    return [
        for_comparison("import of main.py alone", await _import_s(), "s"),
        for_comparison("embedded PostgreSQL up, warm", postgres_s, "s"),
        for_comparison("embedded Redis up, warm", redis_s, "s"),
        at_most("both servers up, warm", postgres_s + redis_s, "s", SERVERS_TARGET_S),
        for_comparison("command to ready, empty data", cold_ready_s, "s"),
        for_comparison("command to first alert, empty data", cold_alert_s, "s"),
        at_most("command to ready, warm", median(ready_s for ready_s, _ in warm), "s", READY_TARGET_S),
        at_most("command to first alert, warm", median(alert_s for _, alert_s in warm), "s", ALERT_TARGET_S),
    ]


async def _up(server: EmbeddedPostgres | EmbeddedRedis) -> float:
    started_at = time.perf_counter()
    async with server:
        return time.perf_counter() - started_at


async def _import_s() -> float:
    started_at = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import main", cwd=ROOT)
    await process.wait()
    return time.perf_counter() - started_at


async def _start(data_dir: Path) -> tuple[float, float]:
    """Seconds from the command to "Ready" and to the first alert in the demo subscriber's chat."""
    async with running_bot(data_dir, seconds=ALERT_TARGET_S) as bot:
        started_at = time.perf_counter()
        ready_s = alert_s = 0.0
        async for line in bot.output:
            if b"Ready after" in line:
                ready_s = time.perf_counter() - started_at
            if re.search(rb"\xe2\x86\x92 demo", line):
                alert_s = time.perf_counter() - started_at
                return ready_s, alert_s
    raise RuntimeError("the bot ended without an alert: try `make run`")
