"""A parent that plays systemd for one unit where systemd itself does not run.

It reads our unit and does what that says: the environment and its files, credentials, the notify socket that believes
the main process alone, the watchdog, who is asked to end and who is killed, when it is started again and when no more.
It changes neither the user nor what the process sees of the machine; `test_machine.py` has the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from runtime.cancellation import end
from tests.deployment.processes import ControlGroup, Descendants, kill_all
from tests.deployment.units import Unit

State = Literal["inactive", "activating", "active", "deactivating", "failed"]
Result = Literal["success", "exit-code", "signal", "watchdog", "timeout", "oom-kill", "start-limit-hit"]

LOOK_S: Final = 0.05
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass
class Told:
    """What came by the notify socket of one run."""

    states: list[str] = field(default_factory=list[str])
    refused: int = 0
    """From processes that are not the main one."""
    pinged_at: float = 0.0
    longest_silence_s: float = 0.0


class Service:
    """One unit. `pace`: what it waits for is so many times shorter, as with FAULT_PACE in the bot."""

    def __init__(self, unit: Unit, runtime: Path, *, instance: str = "", pace: float = 1.0) -> None:
        self.unit = unit
        self.state: State = "inactive"
        self.result: Result = "success"
        self.exit_code: int | None = None
        self.restarts = 0
        self.told = Told()
        self.pid = 0
        self.output = runtime / "output"
        self._runtime = runtime
        self._instance = instance
        self._pace = pace
        self._forced: Result | None = None
        """Why this run was ended, when it was not by itself."""
        self._starts: deque[float] = deque()
        self._group = ControlGroup(unit.bytes("MemoryMax")) if ControlGroup.available() else None
        self._descendants = Descendants()
        self._stop = asyncio.Event()
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    # what `systemctl` says

    def start(self) -> None:
        if self._running is None or self._running.done():
            self._stop.clear()
            self.state = "activating"
            self._running = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        self._stop.set()
        if self._running is not None:
            await self._running

    async def until(self, condition: Callable[[], bool], *, within_s: float = 60) -> None:
        """Wait for something that changes with a state or a word of the service; `TimeoutError`."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def becomes(self, state: State, *, within_s: float = 60) -> None:
        await self.until(lambda: self.state == state, within_s=within_s)

    def members(self) -> list[int]:
        """Return the processes that belong to it."""
        return self._group.members() if self._group else self._descendants.members()

    async def close(self) -> None:
        await self.stop()
        if self._group:
            self._group.remove()

    # what systemd does

    async def _keep(self) -> None:
        while True:
            if not self._may_start():
                self._set("failed", "start-limit-hit")
                return
            result = await self._run()
            if self._stop.is_set() or self._value("Restart") != "always":
                self._set("inactive" if result == "success" else "failed", result)
                return
            self._set("activating", result)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds("RestartSec")):
                    await self._stop.wait()
                    self._set("inactive", result)
                    return
            self.restarts += 1

    def _may_start(self) -> bool:
        """Count the starts within `StartLimitIntervalSec=`."""
        now, interval_s = time.monotonic(), float(self._value("StartLimitIntervalSec"))
        while self._starts and now - self._starts[0] > interval_s:
            self._starts.popleft()
        if len(self._starts) >= float(self._value("StartLimitBurst", "5")):
            return False
        self._starts.append(now)
        return True

    async def _run(self) -> Result:
        kills_before = self._group.kills() if self._group else 0
        self.told, self._forced = Told(), None
        with self._notify_socket() as notify, self.output.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                cwd=self._value("WorkingDirectory"),
                env=self._environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=self._group.enter if self._group else None,
            )
            self.pid = process.pid
            listening = asyncio.create_task(self._listen(notify))
            watching = asyncio.create_task(self._watch(process))
            stopping = asyncio.create_task(self._ask_to_end(process))
            try:
                code = await process.wait()
            finally:
                await end([listening, watching, stopping])
                self._descendants.look(self.pid)
                kill_all([pid for pid in self.members() if pid != self.pid])
                await self._all_gone()
        self.exit_code = code
        if self._group and code == -signal.SIGKILL and self._group.kills() > kills_before:
            return "oom-kill"
        return self._forced or ("success" if code == 0 else "exit-code" if code > 0 else "signal")

    async def _all_gone(self) -> None:
        async with asyncio.timeout(10):
            while self.members():  # noqa: ASYNC110 - processes end, and no event tells of it
                await asyncio.sleep(LOOK_S)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """End a service that has been silent for too long: SIGABRT to the main process, then SIGKILL to all."""
        limit_s = self._seconds("WatchdogSec") if self._value("WatchdogSec", "") else float("inf")
        while True:
            await asyncio.sleep(LOOK_S)
            self._descendants.look(process.pid)
            if self.told.pinged_at and time.monotonic() - self.told.pinged_at > limit_s:
                break
        self._forced = "watchdog"
        process.send_signal(signal.SIGABRT)
        if not await self._ends(process):
            kill_all(self.members())

    async def _ask_to_end(self, process: asyncio.subprocess.Process) -> None:
        """After `stop`: the signal to whom `KillMode=` names, then SIGKILL to all."""
        await self._stop.wait()
        self._set("deactivating", self.result)
        assert self._value("KillMode") == "mixed", "only the main process is asked"
        process.send_signal(signal.Signals[self._value("KillSignal")])
        if not await self._ends(process):
            self._forced = "timeout"
            kill_all(self.members())

    async def _ends(self, process: asyncio.subprocess.Process) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(self._value("TimeoutStopSec"))):
                await process.wait()
                return True
        return False

    @contextlib.contextmanager
    def _notify_socket(self) -> Generator[socket.socket]:
        path = self._runtime / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
            bound.bind(str(path))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            bound.setblocking(False)
            try:
                yield bound
            finally:
                path.unlink()

    async def _listen(self, notify: socket.socket) -> None:
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(notify, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self._hear(*notify.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))[:2])
        finally:
            loop.remove_reader(notify)

    def _hear(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        """Believe the main process alone (`NotifyAccess=main`); the kernel says who it is."""
        sender = next(_CREDENTIALS.unpack(said)[0] for _, kind, said in ancillary if kind == socket.SCM_CREDENTIALS)
        if sender != self.pid:
            self.told.refused += 1
            return
        for state in data.decode().splitlines():
            self.told.states.append(state)
            now = time.monotonic()
            if state == "READY=1":
                self._set("active", self.result)
                self.told.pinged_at = now
            elif state == "WATCHDOG=1":
                self.told.longest_silence_s = max(self.told.longest_silence_s, now - self.told.pinged_at)
                self.told.pinged_at = now
        self._news.set()

    def _set(self, state: State, result: Result) -> None:
        self.state, self.result = state, result
        self._news.set()

    # what the unit says

    def _value(self, name: str, otherwise: str | None = None) -> str:
        found = self.unit.each(name)
        if not found and otherwise is not None:
            return otherwise
        return found[-1].replace("%i", self._instance)

    def _seconds(self, name: str) -> float:
        return float(self._value(name)) / self._pace

    def _command(self) -> list[str]:
        given = self._environment()
        words: list[str] = []
        for word in shlex.split(self._value("ExecStart")):
            whole = re.fullmatch(r"\$(\w+)", word)
            words += given.get(whole[1], "").split() if whole else [word]
        return words

    def _environment(self) -> dict[str, str]:
        """What `Environment=` and its files say, and what systemd adds; nothing of ours but where programs are."""
        given = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "200"}
        given |= {name: value.replace("%i", self._instance) for name, value in self.unit.environment().items()}
        for path in self.unit.each("EnvironmentFile"):
            given |= read_environment(path.replace("%i", self._instance))
        if self._value("Type") == "notify":
            given["NOTIFY_SOCKET"] = str(self._runtime / "notify")
            given["WATCHDOG_USEC"] = f"{self._seconds('WatchdogSec') * 1e6:.0f}"
        given["CREDENTIALS_DIRECTORY"] = str(self._credentials())
        if self._pace != 1:
            given["FAULT_PACE"] = str(self._pace)
        return given

    def _credentials(self) -> Path:
        """Copy what `LoadCredential=` names: each file of a directory, its name after that of the whole."""
        name, _, source = self._value("LoadCredential").partition(":")
        here = self._runtime / "credentials"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir(mode=0o700)
        for path in Path(source).iterdir():
            shutil.copyfile(path, here / f"{name}_{path.name}")
        return here


def read_environment(path: str) -> Mapping[str, str]:
    """Read lines of NAME=VALUE; a file that begins with `-` may be missing."""
    try:
        lines = Path(path.removeprefix("-")).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        if path.startswith("-"):
            return {}
        raise
    return dict(line.split("=", 1) for line in lines if line and line[0] not in "#;")


def of_this_tree(unit: Unit, root: Path) -> Unit:
    """The unit with everything below `root` but the code, which is this tree, on this Python."""
    moved = unit.moved({"/opt/token-filter-bot/current/.venv/bin/python": sys.executable})
    moved = moved.moved({"/opt/token-filter-bot/current": str(Path.cwd())})
    return moved.moved({path: f"{root}{path}" for path in ("/etc/token-filter-bot", "/var/lib/token-filter-bot")})
