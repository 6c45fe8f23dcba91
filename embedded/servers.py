"""What the embedded servers have in common: one owner per data directory, and a process that outlives nobody.

A server runs in its own session, so that Ctrl-C in the terminal reaches the bot alone and the bot can drain
before its stores go; one that ends all the same is started again (`embedded.keeper`). When the bot dies
without a word (`kill -9`), a guardian (a shell that reads from a pipe which only the bot holds open) asks the
server to shut down cleanly; the next start waits for that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from runtime.errors import FatalError

SOCKET_PATH_MAX_BYTES = 100
"""The kernel takes 108 on Linux and 104 on macOS, the closing zero included."""

_SHORT_PREFIX = "bot-socket-"
_GUARDIAN = 'trap "" HUP INT TERM; read -r _; kill -s "$1" "$2"'
"""Whoever asks a whole group of processes to end does not mean it: it goes with its server."""
_PRIVATE = 0o077


class DirectoryLock:
    """One process at a time may run a server in a directory; the kernel frees the lock of a dead one."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: IO[bytes] | None = None

    def take(self) -> None:
        """Raise `FatalError` when another process holds the directory."""
        file = self._path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise FatalError(
                f"A bot is running already on {self._path.parent}: end it first, or give this one another DATA_DIR."
            ) from error
        self._file = file

    def free(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ServerProcess:
    """A child in its own session, its output in a log file, with a guardian beside it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        user: str | None,
        stop: signal.Signals,
        gives_way: bool = False,
        again: bool = False,
    ) -> None:
        """`stop` is the signal that makes the server shut down cleanly.

        `gives_way`: where a processor is short, it may run when nobody else wants to, and interrupts nobody.
        `again`: what the log says of the one before is kept.
        """
        self.log = log
        self._stop_signal = stop
        with log.open("ab" if again else "wb") as output:
            self._log_begins_at = output.tell()
            # An environment of its own: nothing in the caller's may steer the server (PGOPTIONS, LD_PRELOAD
            # …).
            self._server = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=server_environment(),
                user=user,
                group=None if user is None else _group_of(user),
                extra_groups=None if user is None else [],
                umask=_PRIVATE,
            )
        if gives_way and sys.platform == "linux":
            with contextlib.suppress(OSError):  # it has ended, or may not be told: then it competes as everybody does
                os.sched_setscheduler(self._server.pid, os.SCHED_BATCH, os.sched_param(0))
        self._guardian = subprocess.Popen(  # noqa: S603 - a constant script and two arguments of ours
            ["/bin/sh", "-c", _GUARDIAN, "sh", stop.name.removeprefix("SIG"), str(self._server.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._server.pid

    def exited(self) -> bool:
        return self._server.poll() is not None

    @property
    def end(self) -> str | None:
        """How it ended; `None` while it runs."""
        code = self._server.poll()
        if code is None:
            return None
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    def stop(self, *, timeout_s: float = 30.0) -> bool:
        """Shut down cleanly; kill what does not follow in time. Returns whether it ended well. Safe to call twice."""
        # The guardian goes first: the pid it knows may belong to somebody else once the server is gone.
        self._guardian.kill()
        self._guardian.communicate()
        if not self.exited():
            self._server.send_signal(self._stop_signal)
        try:
            self._server.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        return self._server.returncode == 0

    def log_tail(self, lines: int = 8) -> str:
        with contextlib.suppress(FileNotFoundError):
            said = self.log.read_bytes()[self._log_begins_at :].decode(errors="replace")
            return " / ".join(said.splitlines()[-lines:])
        return "no log was written"


def server_environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def boot_id() -> str:
    """Name the machine's life since it was last switched on; where it has no name, no two asked for are the same."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return uuid.uuid4().hex


def socket_directory(data_dir: Path, socket_name: str) -> Path:
    """Return a directory short enough for a socket: the data directory, or a temporary one."""
    if len(os.fsencode(data_dir / socket_name)) <= SOCKET_PATH_MAX_BYTES:
        return data_dir
    short = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX))
    if len(os.fsencode(short / socket_name)) > SOCKET_PATH_MAX_BYTES:
        short.rmdir()
        raise FatalError(f"the paths of {data_dir} and of the temporary directory are too long for a Unix socket")
    return short


def remove_socket_directory(directory: Path, data_dir: Path) -> None:
    """Remove what `socket_directory` made; the data directory itself stays."""
    if directory != data_dir and directory.name.startswith(_SHORT_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)


def accepts(path: Path) -> bool:
    """Whether somebody listens on this Unix socket (a frozen server does, too)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
        return True


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
