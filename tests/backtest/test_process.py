"""The process that computes: whatever it says or does, the bot goes on, and nothing of it is left."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from domain.backtest.results import Archived, ArchiveRequest, Failed, Progressed
from services.backtest import child
from services.backtest.process import (
    CHILD,
    ENVIRONMENT,
    ROOT,
    Computing,
    ComputingFailedError,
    ComputingUnavailableError,
)
from tests.backtest.past import computing_processes

REQUEST = ArchiveRequest(
    archive="/nowhere",
    database_url="postgresql://nobody@127.0.0.1:9/none",
    now=datetime.now(UTC),
    tracked_for_days=1,
    kept_for_days=1,
)
DONE = msgspec.json.encode(Archived(days=1, calls=2)).decode()
HALF = msgspec.json.encode(Progressed(share=0.5)).decode()


def computing(script: str, timeout_s: float = 20.0) -> Computing:
    """One whose process executes this instead."""
    return Computing(timeout_s=timeout_s, ends_within_s=0.2, command=(sys.executable, "-c", "import sys\n" + script))


async def test_it_answers_after_telling_how_far_it_is() -> None:
    told: list[float] = []
    script = f"sys.stdin.readline(); print('{HALF}'); print('{DONE}')"
    assert await computing(script).ask(REQUEST, told.append) == Archived(days=1, calls=2)
    assert told == [0.5]


@pytest.mark.parametrize(
    "script",
    [
        "",
        "sys.exit(3)",
        "print('Traceback')",
        "print('{}')",
        """print('{"type":"result"}')""",
        "sys.stdout.buffer.write(bytes(range(256)))",
        "print('x' * (1 << 22))",
        "sys.stderr.write('no memory ' * 100_000); sys.exit(137)",
        f"print('{msgspec.json.encode(Failed(passes=False, reason='no')).decode()}')",
    ],
    ids=lambda script: script[:24] or "nothing",
)
async def test_what_is_no_answer_fails_the_request_alone(script: str) -> None:
    with pytest.raises(ComputingFailedError):
        await computing(script).ask(REQUEST)
    assert not computing_processes()


@pytest.mark.parametrize("script", ["import time; time.sleep(60)", "while True: print('" + HALF + "')"])
async def test_its_time_is_bounded(script: str) -> None:
    with pytest.raises(ComputingUnavailableError, match="no answer within"):
        await computing(script, timeout_s=0.3).ask(REQUEST)
    assert not computing_processes()


async def test_cancelled_it_is_ended_by_force_if_need_be() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    told = asyncio.Event()
    asking = asyncio.create_task(
        computing(deaf + f"print('{HALF}', flush=True)\nsys.stdin.read()\nimport time; time.sleep(60)").ask(
            REQUEST, lambda _: told.set()
        )
    )
    await told.wait()
    [process] = computing_processes()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not process.is_running()


async def test_without_an_interpreter_it_may_work_later() -> None:
    with pytest.raises(ComputingUnavailableError, match="cannot be started"):
        await Computing(timeout_s=5, command=("/nowhere/python",)).ask(REQUEST)


async def test_the_real_one_gives_way_says_what_is_unavailable_and_ends_with_its_parent() -> None:
    with pytest.raises(ComputingUnavailableError, match="PostgreSQL is unavailable"):
        await Computing(timeout_s=20).ask(REQUEST)
    frozen = (
        "import socket, threading; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    )
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{frozen}; threading.Event().wait()", stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    request = msgspec.structs.replace(REQUEST, database_url=f"postgresql://nobody@127.0.0.1:{port}/none")
    process = await asyncio.create_subprocess_exec(
        *CHILD, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(request) + b"\n")
    process.stdin.close()
    assert await process.wait() == 1
    server.kill()
    await server.wait()


def test_it_lies_where_it_is_started() -> None:
    assert Path(child.__file__).relative_to(ROOT) == Path("services/backtest/child.py")
