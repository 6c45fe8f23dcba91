"""How much memory the bot uses, and how much it may use.

The limit is MEMORY_LIMIT_MIB, or what the control group of the process allows (`MemoryMax=` of systemd, a container's
limit). What the embedded servers use counts: they are our children, in our group.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from msgspec import Struct

READ_EVERY_S: Final = 30.0
_GROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_MIB: Final = 1 << 20


class MemoryUse(Struct, frozen=True, kw_only=True):
    used_bytes: int
    limit_bytes: int
    kind: str
    """Whose limit it is, for people."""


class MemoryReader:
    """Reads at most every `READ_EVERY_S`: to find our children is not for nothing."""

    def __init__(
        self,
        limit_mib: int | None,
        *,
        groups: Path = _GROUPS,
        membership: Path = _MEMBERSHIP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit_mib = limit_mib
        self.read_every_s = READ_EVERY_S
        self._groups = groups
        self._membership = membership
        self._clock = clock
        self._read_at: float | None = None
        self.use: MemoryUse | None = None
        """As last read; `None` where nothing limits it."""

    async def read(self) -> MemoryUse | None:
        now = self._clock()
        if self._read_at is None or now - self._read_at >= self.read_every_s:
            self._read_at = now
            self.use = await asyncio.to_thread(self._read)
        return self.use

    def _read(self) -> MemoryUse | None:
        if self.limit_mib is not None:
            return MemoryUse(used_bytes=resident_bytes(), limit_bytes=self.limit_mib * _MIB, kind="MEMORY_LIMIT_MIB")
        group = self._group()
        if group is None:
            return None
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is None or used is None:
            return None
        return MemoryUse(used_bytes=used - _reclaimable(group), limit_bytes=limit, kind="control group")

    def _group(self) -> Path | None:
        """The nearest control group above us that has a limit (version 2)."""
        with suppress(OSError):
            line = next((one for one in self._membership.read_text("utf-8").splitlines() if one[:3] == "0::"), None)
            if line is None:
                return None
            group = self._groups / line[3:].lstrip("/")
            while True:
                if _number(group / "memory.max") is not None:
                    return group
                if group == self._groups:
                    return None
                group = group.parent
        return None


def resident_bytes() -> int:
    """What this process and its children hold in memory."""
    own, total = psutil.Process(), 0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def own_bytes() -> int:
    """What this process holds in memory."""
    return psutil.Process().memory_info().rss


def _number(path: Path) -> int | None:
    """Return what stands in a file of the control group; `None` for `max`, and where there is no such file."""
    try:
        text = path.read_text("utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _reclaimable(group: Path) -> int:
    """Files that the kernel keeps in memory as long as nobody needs the room."""
    with suppress(OSError):
        for line in (group / "memory.stat").read_text("utf-8").splitlines():
            name, _, value = line.partition(" ")
            if name == "inactive_file" and value.isdecimal():
                return int(value)
    return 0
