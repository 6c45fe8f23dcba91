"""A disk of some megabytes that outlives the processes on it, mounted where only they see it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.e2e.bot_process import ROOT

SIZE_BYTES: Final = 48 << 20
_CHUNK: Final = b"\0" * 65_536
_MOUNT: Final = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat'


class SmallDisk:
    """`async with SmallDisk(directory) as disk:` mounts it there, for whatever is executed behind `disk.before`."""

    def __init__(self, directory: Path, *, size_bytes: int = SIZE_BYTES) -> None:
        self._directory = directory
        self._size_bytes = size_bytes
        self._holder: asyncio.subprocess.Process | None = None

    @staticmethod
    def is_possible() -> bool:
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            return False
        tried = ("unshare", "-rm", "/bin/sh", "-c", _MOUNT, "sh", "4096", "/mnt")
        return subprocess.run(tried, check=False, capture_output=True, input=b"").returncode == 0

    async def __aenter__(self) -> Self:
        self._holder = await asyncio.create_subprocess_exec(
            *("unshare", "-rm", "/bin/sh", "-c", _MOUNT, "sh", str(self._size_bytes), str(self._directory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._holder.stdout
        assert await self._holder.stdout.readline() == b"mounted\n"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go; the disk is gone when the last process on it is."""
        holder = self._the_holder
        assert holder.stdin
        holder.stdin.close()
        await holder.wait()

    @property
    def before(self) -> tuple[str, ...]:
        """What to execute a process with that is to see it."""
        into = ("nsenter", "--target", str(self._the_holder.pid), "--user", "--mount", "--preserve-credentials")
        return (*into, f"--wd={ROOT}")

    @property
    def path(self) -> Path:
        """Where it is seen from here."""
        return Path(f"/proc/{self._the_holder.pid}/root{self._directory}")

    def fill(self) -> None:
        """Take every byte that is left."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            chunk = _CHUNK
            while chunk:
                try:
                    ballast.write(chunk)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    chunk = chunk[: len(chunk) // 2]

    def free(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.path / "ballast").unlink()

    @property
    def _the_holder(self) -> asyncio.subprocess.Process:
        if self._holder is None:
            raise RuntimeError("the disk is not mounted")
        return self._holder
