"""Whether Redis has written down what it answered, as far as this process can tell; a kill does not erase it.

Unless it runs with `appendfsync always`, Redis answers the commands of a turn of its event loop although writing them
to its file has failed (the disk is full), and says MISCONF to writes from then on. It keeps trying: once there is
room, nothing is missing. When it ends before, what it answered in that turn is gone, and nothing in its data says so.
So it is noted here, in a file whose bytes are there from the beginning: a full disk takes their change.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_RUN_ID_LENGTH: Final = 40
_TRUSTED, _DOUBTED = b"+", b"?"


class ServerRun(Struct, frozen=True, kw_only=True):
    """A server from its start to its end, and whether it can write at this moment."""

    run_id: str
    writes: bool


class WrittenNote:
    """Without a path it is known until this process ends."""

    def __init__(self, path: Path | None = None) -> None:
        self.in_doubt = False
        """The server of `run_id` may not have written everything that it has answered."""
        self.run_id = ""
        """The run of the server that was trusted last; empty: none yet."""
        self.doubts = 0
        """How often it was doubted by this process: what was asked before the last time says nothing."""
        self._path = path
        self._file: int | None = None
        if path is not None:
            self._open(path)

    def doubt(self, reason: str) -> None:
        self.doubts += 1
        if self.in_doubt:
            return
        self.in_doubt = True
        log.error("redis_does_not_write", reason=reason)
        self._write(_DOUBTED)

    def trust(self, run_id: str, *, as_of: int) -> None:
        """Everything answered is written down, or was put back; unless it was doubted since (`doubts` then)."""
        if as_of != self.doubts or (run_id == self.run_id and not self.in_doubt):
            return
        if self.in_doubt:
            log.info("redis_writes_again")
        self.in_doubt, self.run_id = False, run_id
        self._write(_TRUSTED + run_id.encode()[:_RUN_ID_LENGTH].ljust(_RUN_ID_LENGTH))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            found = os.pread(self._file, 1 + _RUN_ID_LENGTH, 0)
            if len(found) <= _RUN_ID_LENGTH:
                self._write(_TRUSTED.ljust(1 + _RUN_ID_LENGTH))
                return
        except OSError as error:
            log.warning("redis_note_not_kept", path=str(path), reason=str(error))
            return
        self.in_doubt = found[:1] == _DOUBTED
        self.run_id = found[1:].decode(errors="replace").strip()

    def _write(self, content: bytes) -> None:
        if self._file is None:
            return
        try:
            os.pwrite(self._file, content, 0)
        except OSError as error:
            log.warning("redis_note_not_kept", path=str(self._path), reason=str(error))
