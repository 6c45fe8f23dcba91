"""The bot as a process of its own, for benchmarks that time the whole program."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


@asynccontextmanager
async def running_bot(data_dir: Path, *, seconds: float, **environment: str) -> AsyncGenerator[asyncio.StreamReader]:
    """`main.py run` on `data_dir`, with the sandbox for everything `environment` does not name; gives its output.

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
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()
