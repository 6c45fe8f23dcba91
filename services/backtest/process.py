"""Starts the process that computes, listens to it, and sees to it that it is gone afterwards, whatever happens.

What it says is taken for what it promises to say or not at all: a line that is none of ours fails the request.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from domain.backtest.results import Archived, BacktestResult, Failed, Progressed, Report, Request
from runtime.errors import BotError, TransientError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ROOT: Final = Path(__file__).parents[2]
CHILD: Final = (sys.executable, "-m", "services.backtest.child")
ENVIRONMENT: Final = {"POLARS_MAX_THREADS": "1", "PYTHONUNBUFFERED": "1"}
"""All that it gets of ours: no token, no key. What it has to know comes with the request."""
MAX_LINE_BYTES: Final = 1 << 20
TERMINATED_WITHIN_S: Final = 2.0
_KEPT_STDERR_BYTES: Final = 2_000

_decode = msgspec.json.Decoder(Report).decode
Tell = Callable[[float], None]


class ComputingFailedError(BotError):
    """The process gave no answer, or none that can be read."""


class ComputingUnavailableError(TransientError):
    """It may work later: PostgreSQL was unavailable, the disk was full, it took too long."""


class Computing:
    def __init__(
        self, *, timeout_s: float, command: Sequence[str] = CHILD, ends_within_s: float = TERMINATED_WITHIN_S
    ) -> None:
        """`ends_within_s`: after so long it is ended by force."""
        self._ends_within_s = ends_within_s
        self._timeout_s = timeout_s
        self._command = command

    async def ask(self, request: Request, tell: Tell = lambda _: None) -> BacktestResult | Archived:
        """Return the answer; cancelled, it ends the process first. `tell` is given the share that is done.

        `ComputingFailedError`, or `ComputingUnavailableError` where it may work later.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(request, tell)
        except TimeoutError as error:
            raise ComputingUnavailableError(f"no answer within {self._timeout_s:g} s") from error
        except OSError as error:
            raise ComputingUnavailableError(f"the process cannot be started: {error}") from error

    async def _ask(self, request: Request, tell: Tell) -> BacktestResult | Archived:
        async with self._running() as process:
            stdin, stdout, stderr = _pipes(process)
            complaint = asyncio.ensure_future(_tail_of(stderr))
            try:
                with suppress(ConnectionError):  # it is gone already; its exit code says more
                    await _write(stdin, request)
                answer = await _answer(stdout, tell)
                if answer is None:
                    code = await process.wait()
                    raise ComputingFailedError(f"exit code {code}: {await complaint}")
                return answer
            finally:
                complaint.cancel()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[Process]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=ROOT,
            env=ENVIRONMENT,
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for the bot, which ends this process itself
        )
        try:
            yield process
        finally:
            await asyncio.shield(_end(process, self._ends_within_s))


def _pipes(process: Process) -> tuple[StreamWriter, StreamReader, StreamReader]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ComputingFailedError("the process has no pipes")
    return process.stdin, process.stdout, process.stderr


async def _end(process: Process, within_s: float) -> None:
    """Let it end, by force if it has to be."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _write(stream: StreamWriter, request: Request) -> None:
    """Give it the request; standard input stays open, for its end says that nobody wants the answer any more."""
    stream.write(msgspec.json.encode(request) + b"\n")
    await stream.drain()


async def _answer(stream: StreamReader, tell: Tell) -> BacktestResult | Archived | None:
    while line := await _line(stream):
        match report := _read(line):
            case Progressed(share=share):
                tell(min(1.0, max(0.0, share)))
            case Failed(passes=True, reason=reason):
                raise ComputingUnavailableError(reason)
            case Failed(reason=reason):
                raise ComputingFailedError(reason)
            case BacktestResult() | Archived():
                return report
    return None


async def _line(stream: StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError as error:
        raise ComputingFailedError(f"a line of more than {MAX_LINE_BYTES:,} bytes") from error


def _read(line: bytes) -> Report:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ComputingFailedError(f"unreadable: {line[:80]!r}: {error}") from error


async def _tail_of(stream: StreamReader) -> str:
    """Read what it complains of, so that it never waits for a reader; return the end of it."""
    kept = b""
    while some := await stream.read(1 << 16):
        kept = (kept + some)[-_KEPT_STDERR_BYTES:]
    return kept.decode("utf-8", "replace").strip()
