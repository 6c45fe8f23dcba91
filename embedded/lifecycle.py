"""The life of an embedded server: one owner, a clean start over whatever an earlier run left, a clean end."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from embedded.servers import DirectoryLock, ServerProcess, remove_socket_directory, socket_directory
from runtime.errors import FatalError

READY_WITHIN_S: Final = 60.0
SHUTDOWN_WITHIN_S: Final = 30.0


class EmbeddedServer(ABC):
    """A server on a Unix socket whose data survive in `data_dir`, alive inside `async with`."""

    name: ClassVar[str]
    socket_name: ClassVar[str]

    def __init__(self, data_dir: Path, home: Path) -> None:
        """`home`: where its files and, if the path is short enough, its socket are."""
        self._data_dir = data_dir
        self._home = home
        self._socket_dir = home
        self._process: ServerProcess | None = None
        self._lock: DirectoryLock | None = None
        self._one_change = threading.RLock()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def socket(self) -> Path:
        return self._socket_dir / self.socket_name

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Block until the server serves. `FatalError` when it cannot start."""
        with self._one_change:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(self._data_dir)
            lock.take()
            self._lock = lock
            try:
                self._prepare()
                self._socket_dir = socket_directory(self._home, self.socket_name)
                self._socket_chosen()
                self._run()
            except BaseException:
                self.stop()
                raise

    def is_run_by_another(self) -> bool:
        """Whether another process runs the server on these data; `socket` is then its own. Nothing is started."""
        lock = DirectoryLock(self._data_dir)
        try:
            lock.take()
        except FileNotFoundError:
            return False
        except FatalError:
            found = self._noted_socket_directory()
            self._socket_dir = found or self._socket_dir
            return found is not None
        lock.free()
        return False

    def stop(self) -> None:
        """Block until the server has written everything and gone. Safe to call twice."""
        with self._one_change:
            if self._process is not None:
                self._stopped(cleanly=self._process.stop(timeout_s=SHUTDOWN_WITHIN_S))
                self._process = None
            remove_socket_directory(self._socket_dir, self._home)
            if self._lock is not None:
                self._lock.free()
                self._lock = None

    def ended(self) -> str | None:
        """Return how the server ended; `None` while it runs, and after `stop`."""
        return None if self._process is None else self._process.end

    def restart(self) -> None:
        """Start it where it was, on the data it had; nothing after `stop`. `FatalError` when it does not start."""
        with self._one_change:
            if self._process is not None:
                self._process.stop(timeout_s=SHUTDOWN_WITHIN_S)
                self._run(again=True)

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the server needs, and stop one that a killed bot left behind. `FatalError` when it stays."""

    @abstractmethod
    def _noted_socket_directory(self) -> Path | None:
        """Where the socket of the last start is, if it says."""

    @abstractmethod
    def _socket_chosen(self) -> None:
        """`socket` is known from now on."""

    @abstractmethod
    def _run(self, *, again: bool = False) -> None:
        """Set `_process` to a server that serves. `again`: it did before, in this life. `FatalError`."""

    def _stopped(self, *, cleanly: bool) -> None:  # noqa: B027 - not every server has something to note
        """It is gone; `cleanly`: and has written everything."""
