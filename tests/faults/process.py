"""The bot as a process whose end, memory and disk the tests have a hand in."""

from __future__ import annotations

import asyncio
import errno
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from tests.e2e.bot_process import BotProcess

_TINY_DISK_BYTES: Final = 8 << 20
_CHUNK: Final = b"\0" * 65_536
_MOUNT: Final = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


class Bot(BotProcess):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._process is not None and self._process.returncode is None:
            self._process.kill()  # the test has failed: do not wait until it has drained
        await super().__aexit__(kind, error, trace)

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return psutil.Process(self.pid).memory_info().rss

    def freeze(self) -> None:
        """Let it stand still where it is, with all its connections (SIGSTOP)."""
        psutil.Process(self.pid).suspend()

    def thaw(self) -> None:
        psutil.Process(self.pid).resume()

    async def ends(self) -> None:
        """Wait until it is gone, for whatever reason, and all it said was read."""
        assert self._process
        assert self._reader
        await self._process.wait()
        await asyncio.shield(self._reader)

    async def dies(self, *, timeout_s: float) -> None:
        """Wait until it has killed itself at its fault point."""
        code = await self.exit_code(timeout_s=timeout_s)
        assert code == -signal.SIGKILL, f"ended with {code} instead of dying:\n{self.output}"


class TinyDisk:
    """A disk of some megabytes that only the bot sees, mounted in a namespace of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @staticmethod
    def is_possible() -> bool:
        unshare = shutil.which("unshare")
        if unshare is None:
            return False
        tried = subprocess.run(
            [unshare, "-rm", "/bin/sh", "-c", _MOUNT, "sh", "4096", "/mnt", "true"], check=False, capture_output=True
        )
        return tried.returncode == 0

    @property
    def before(self) -> tuple[str, ...]:
        """What to execute the bot with."""
        return ("unshare", "-rm", "/bin/sh", "-c", _MOUNT, "sh", str(_TINY_DISK_BYTES), str(self._directory))

    def fill(self, bot: Bot) -> None:
        """Take every byte that is left."""
        with self._ballast(bot).open("ab", buffering=0) as ballast:
            chunk = _CHUNK
            while chunk:
                try:
                    ballast.write(chunk)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    chunk = chunk[: len(chunk) // 2]

    def free(self, bot: Bot) -> None:
        self._ballast(bot).unlink(missing_ok=True)

    def _ballast(self, bot: Bot) -> Path:
        return Path(f"/proc/{bot.pid}/root{self._directory}/ballast")


class FileSizeLimit:
    """Where nothing can be mounted: no file of the bot may grow (EFBIG instead of ENOSPC)."""

    before: tuple[str, ...] = ()

    def fill(self, bot: Bot) -> None:
        _, hard = resource.prlimit(bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (1, hard))

    def free(self, bot: Bot) -> None:
        _, hard = resource.prlimit(bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (hard, hard))


class FaultClock:
    """The file that a bot with FAULT_CLOCK_FILE adds to its wall clock."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "clock-offset"
        self.step(0)

    def step(self, offset_s: float) -> None:
        """Let the clock show this much more than the truth; read whole or not at all."""
        new = self.path.with_suffix(".new")
        new.write_text(f"{offset_s}\n")
        new.replace(self.path)
