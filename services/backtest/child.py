"""The process that computes: reads one request from standard input, writes reports to standard output, one a line.

It is started by `process.py`, gives way to everything else on the machine, and ends with whoever started it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from domain.backtest.columns import FORMATS
from domain.backtest.results import ArchiveRequest, BacktestRequest, Failed, Progressed, Report, Request
from managers.archive.parquet import Archive
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.backtest.archiving import Archiving
from services.backtest.stored import StoredHistory
from services.backtest.trying import Trying

NICENESS: Final = 19
OOM_SCORE: Final = 600
"""Where memory runs out, this process goes, not the bot."""
STATEMENT_TIMEOUT_S: Final = 120.0


def main() -> int:
    give_way()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        say(asyncio.run(answer(request)))
    except TransientError as error:
        say(Failed(passes=True, reason=str(error)))
    return 0


def give_way() -> None:
    """Take what of the processor nobody else wants."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # whoever wakes up goes first at once
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")


def say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


async def answer(request: Request) -> Report:
    postgres = PostgresManager(
        request.database_url, min_connections=1, max_connections=1, statement_timeout_s=STATEMENT_TIMEOUT_S
    )
    async with postgres:
        history = StoredHistory(postgres)
        match request:
            case BacktestRequest():
                archive = None if request.archive is None else Archive(Path(request.archive), FORMATS)
                return await Trying(request, archive, history, lambda share: say(Progressed(share))).run()
            case ArchiveRequest():
                archive = Archive(Path(request.archive), FORMATS)
                archiving = Archiving(
                    archive,
                    history,
                    tracked_for=timedelta(days=request.tracked_for_days),
                    kept_for=timedelta(days=request.kept_for_days),
                )
                return await archiving.run(request.now)


def _end_with_parent() -> None:
    """Nothing more comes on standard input: when it ends, so has whoever wanted the answer."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
