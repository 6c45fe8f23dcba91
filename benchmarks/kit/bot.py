"""The bot as a process of its own, for benchmarks that time the whole program."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.core import Sample
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
METRICS_TIMEOUT = aiohttp.ClientTimeout(total=10)


class RunningBot:
    """What a started bot says, counts and uses."""

    def __init__(self, process: asyncio.subprocess.Process, output: asyncio.StreamReader) -> None:
        self.output = output
        self._usage = psutil.Process(process.pid)
        self._http = ""
        self._draining: asyncio.Task[None] | None = None

    async def wait_for(self, pattern: str) -> None:
        """Read its output until a line fits. `RuntimeError` when it ends before."""
        async for line in self.output:
            text = line.decode()
            if found := re.search(r"Health: (\S+)/healthz", text):
                self._http = found[1]
            if re.search(pattern, text):
                return
        raise RuntimeError(f"the bot ended before it said {pattern!r}: try `make run`")

    def ignore_output(self) -> None:
        """Read whatever else it says, or the pipe would fill and stop it."""
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        async for _ in self.output:
            pass

    async def close(self) -> None:
        """Let go of the output."""
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)

    def keep_to(self, core: int) -> None:
        """Run on this core alone; to be called before it has begun to work."""
        self._usage.cpu_affinity([core])

    def cpu_s(self) -> float:
        """Processor time it has used so far."""
        used = self._usage.cpu_times()
        return used.user + used.system

    def rss_mb(self) -> float:
        return self._usage.memory_info().rss / 1e6

    async def metrics(self) -> dict[str, float]:
        """What `/metrics` shows without labels, by name. Known once it has said where its health is."""
        return {sample.name: sample.value for sample in await self._samples() if not sample.labels}

    async def labelled(self, label: str) -> dict[tuple[str, str], float]:
        """What it shows with this label, by name and value of the label."""
        shown = await self._samples()
        return {(sample.name, sample.labels[label]): sample.value for sample in shown if label in sample.labels}

    async def _samples(self) -> list[Sample]:
        async with (
            aiohttp.ClientSession(timeout=METRICS_TIMEOUT) as session,
            session.get(f"{self._http}/metrics") as response,
        ):
            text = await response.text()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


@asynccontextmanager
async def running_bot(data_dir: Path, *, seconds: float, **environment: str) -> AsyncGenerator[RunningBot]:
    """`main.py run` on `data_dir`, with the sandbox for everything `environment` does not name.

    It is stopped at the end of the block, and stops by itself after `seconds`.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "main.py",
        "run",
        "--seconds",
        str(seconds),
        cwd=ROOT,
        env={
            "PATH": os.defpath,
            "PYTHONIOENCODING": "utf-8",
            "DATA_DIR": str(data_dir),
            "HTTP_PORT": "0",
            "SANDBOX_PORT": "0",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if process.stdout is None:
        raise AssertionError("the pipe was asked for")
    bot = RunningBot(process, process.stdout)
    try:
        yield bot
    finally:
        await bot.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()
