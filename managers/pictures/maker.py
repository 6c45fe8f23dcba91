"""The bot's end of the process that draws.

It is started by the first picture, ends when nobody has wanted one for a while, and is started again when it has died.
It knows nothing of the bot's settings. One picture is drawn at a time; whoever wants one waits only so long, and a
picture that takes too long is given up with the process.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from domain.reports.pictures import Order, Picture
from runtime.errors import TransientError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_ROOT: Final = Path(__file__).parents[2]
_HEAD: Final = struct.Struct(">I")
_ANSWER: Final = struct.Struct(">BI")
_MAX_PICTURE: Final = 8 * 1024 * 1024
_TRIES: Final = 2


class PictureError(TransientError):
    """There is no picture now: too many are wanted, it took too long, or it could not be drawn."""


class _DiedError(Exception):
    """The process ended before it answered."""


class PictureMaker:
    def __init__(self, *, deadline_s: float = 30.0, idle_s: float = 60.0, max_waiting: int = 20) -> None:
        """`deadline_s`: how long one picture may take, the start of the process included."""
        self.deadline_s = deadline_s
        self._idle_s = idle_s
        self._max_waiting = max_waiting
        self._alone = asyncio.Lock()
        self._process: Process | None = None
        self._leaving: Process | None = None
        """It has nothing to do any more, and ends."""
        self._idle: asyncio.TimerHandle | None = None
        self._directory = ""
        self._stack = AsyncExitStack()
        self.waiting = 0
        """Pictures that are wanted now."""
        self.counts: Counter[str] = Counter()
        """`drawn`, `refused`, `late`, `busy`, `died` and `started`."""
        self.drawn_s = 0.0
        """What drawing took, in all."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kill()
        await self._stack.aclose()

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def draw(self, picture: Picture, *, dark: bool) -> bytes:
        """Return a PNG. `PictureError`: without it, then."""
        if self.waiting >= self._max_waiting:
            self.counts["busy"] += 1
            raise PictureError(f"{self.waiting} pictures are waited for already")
        order = msgspec.json.encode(Order(picture=picture, dark=dark))
        self.waiting += 1
        try:
            async with self._alone:
                return await self._drawn(order, type(picture).__name__)
        finally:
            self.waiting -= 1

    async def _drawn(self, order: bytes, kind: str) -> bytes:
        self._stay()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.deadline_s):
                is_drawn, content = await self._tried(order)
        except TimeoutError as error:
            self.counts["late"] += 1
            log.warning("picture_late", kind=kind, after_s=self.deadline_s)
            await self._kill()
            raise PictureError("the picture took too long") from error
        except asyncio.CancelledError:
            await self._kill()  # what it answers now nobody would read
            raise
        finally:
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._end)
        if not is_drawn:
            self.counts["refused"] += 1
            log.warning("picture_refused", kind=kind, reason=content.decode(errors="replace"))
            raise PictureError("the picture could not be drawn")
        self.counts["drawn"] += 1
        self.drawn_s += time.monotonic() - began
        log.info("picture_drawn", kind=kind, bytes=len(content), ms=round(1000 * (time.monotonic() - began)))
        return content

    async def _tried(self, order: bytes) -> tuple[bool, bytes]:
        for _ in range(_TRIES):
            process = await self._running()
            try:
                return await _asked(process, order)
            except (_DiedError, OSError, asyncio.IncompleteReadError) as error:
                self.counts["died"] += 1
                log.warning("picture_process_died", pid=process.pid, reason=repr(error))
                await self._kill()
        raise PictureError("the process that draws dies")

    async def _running(self) -> Process:
        if self._process and self._process.returncode is None:
            return self._process
        await self._kill()
        if not self._directory:
            self._directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pictures-"))
        environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": self._directory}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "managers.pictures.process"),
            cwd=_ROOT,
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        self.counts["started"] += 1
        log.info("picture_process_started", pid=self._process.pid)
        return self._process

    def _stay(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _end(self) -> None:
        """Let the process end: it does when nothing can be asked any more."""
        self._idle = None
        if self._process and self._process.stdin and not self._alone.locked():
            log.info("picture_process_ends", pid=self._process.pid)
            self._process.stdin.close()
            self._leaving, self._process = self._process, None

    async def _kill(self) -> None:
        self._stay()
        processes = [one for one in (self._process, self._leaving) if one]
        self._process = self._leaving = None
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _asked(process: Process, order: bytes) -> tuple[bool, bytes]:
    if process.stdin is None or process.stdout is None:
        raise _DiedError("there is no pipe")
    process.stdin.write(_HEAD.pack(len(order)) + order)
    await process.stdin.drain()
    is_drawn, length = _ANSWER.unpack(await process.stdout.readexactly(_ANSWER.size))
    if length > _MAX_PICTURE:
        raise _DiedError("the answer cannot be read")
    return bool(is_drawn), await process.stdout.readexactly(length)
