"""The program under test as a process of its own, started the way a person starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pytest

ROOT = Path(__file__).parents[2]
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "DOUBLE_TAP_S")


class BotProcess:
    """`main.py` with nothing in its environment but what is given."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, before: Sequence[str] = ()) -> None:
        """`before`: a command that ends by executing what follows it."""
        self._before = tuple(before)
        self._environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(environment)
        self._arguments = arguments or ("run",)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._ended = False
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._before,
            sys.executable,
            "-u",
            "-X",
            "faulthandler",
            "main.py",
            *self._arguments,
            cwd=ROOT,
            env=self._environment | {"COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        assert self._reader
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(40):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._process.wait()
        await self._reader

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    async def says(self, pattern: str, *, timeout_s: float = 60) -> re.Match[str]:
        """Wait for a line that matches; fails with everything printed when the process ends before."""
        found: re.Match[str] | None = None

        def seen() -> bool:
            nonlocal found
            found = next((m for line in self.lines if (m := re.search(pattern, line))), None)
            return found is not None or self._ended

        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(seen)
        except TimeoutError:
            await self._abort(f"did not say {pattern!r} within {timeout_s:g} s")
        assert found, f"the process ended without saying {pattern!r}:\n{self.output}"
        return found

    async def exit_code(self, *, timeout_s: float = 60) -> int:
        assert self._process
        assert self._reader
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            await self._abort(f"did not end within {timeout_s:g} s")
        await self._reader
        assert self._process.returncode is not None
        return self._process.returncode

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        assert self._process
        self._process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Ask it to end, as systemd does."""
        assert self._process
        self._process.terminate()

    async def kill(self) -> None:
        """`kill -9`, and wait until the process is gone."""
        assert self._process
        assert self._reader
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def _abort(self, complaint: str) -> NoReturn:
        """Fail, with the stack of every thread of the stuck process in the message."""
        assert self._process
        assert self._reader
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGABRT)
            await self._process.wait()
        await self._reader
        pytest.fail(f"The bot {complaint}:\n{self.output}")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            async with self._news:
                self.lines.append(line.decode(errors="replace").rstrip())
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()
