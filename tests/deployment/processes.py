"""All processes that a service has started, whoever their parents are: what its control group is to systemd."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from pathlib import Path
from typing import Final

import psutil

_HIERARCHIES: Final = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
"""Of the first version, and of the second."""


class ControlGroup:
    """A group of the kernel's, with a limit on memory; `available` says whether this machine lets us make one."""

    def __init__(self, memory_max: int) -> None:
        self._path = self._made()
        limit = "memory.limit_in_bytes" if (self._path / "memory.limit_in_bytes").exists() else "memory.max"
        (self._path / limit).write_text(str(memory_max))

    @classmethod
    def available(cls) -> bool:
        try:
            cls._made().rmdir()
        except OSError:
            return False
        return True

    @staticmethod
    def _made() -> Path:
        for hierarchy in _HIERARCHIES:
            path = hierarchy / f"token-filter-bot-{uuid.uuid4().hex[:8]}"
            with contextlib.suppress(OSError):
                path.mkdir()
                if any((path / name).exists() for name in ("memory.limit_in_bytes", "memory.max")):
                    return path
                path.rmdir()
        raise OSError("no control group with a limit on memory can be made here")

    def enter(self) -> None:
        """Put the calling process into it: for the moment between `fork` and `exec`."""
        (self._path / "cgroup.procs").write_text(str(os.getpid()))

    def members(self) -> list[int]:
        return [int(line) for line in (self._path / "cgroup.procs").read_text().split()]

    def kills(self) -> int:
        """Return how often the kernel ended something in it for its memory."""
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                words = (self._path / name).read_text().split()
                return int(words[words.index("oom_kill") + 1])
        return 0

    def remove(self) -> None:
        self._path.rmdir()


class Descendants:
    """The same without a control group: children and theirs, as long as their parents are there to name them."""

    def __init__(self) -> None:
        self._seen: dict[int, psutil.Process] = {}

    def look(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(pid)
            self._seen |= {process.pid: process for process in (main, *main.children(recursive=True))}

    def members(self) -> list[int]:
        return [pid for pid, process in self._seen.items() if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
