"""How much is logged, changed while the bot runs: by a signal, or by an admin for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from config.logging import LEVELS, current_level, set_level

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FILE: Final = "log_level"
"""In the directory of the process: a word that counts more than the settings, as of the next SIGHUP."""


class LogLevelService:
    """`configured`: reads from the settings which level is wanted. `directory`: where `log_level` may stand."""

    def __init__(self, configured: Callable[[], str], directory: Path | None = None) -> None:
        self._configured = configured
        self._directory = directory
        self._back: asyncio.TimerHandle | None = None

    @property
    def current(self) -> str:
        return current_level()

    def set(self, level: str, *, for_s: float | None = None) -> None:
        """Log from this level on; after `for_s` as configured again. `ValueError` for what is none of `LEVELS`."""
        if level not in LEVELS:
            raise ValueError(f"{level!r} is none of {', '.join(LEVELS)}")
        if self._back is not None:
            self._back.cancel()
            self._back = None
        former = current_level()
        set_level(level)
        log.warning("log_level_changed", former=former, current=level, for_s=for_s)
        if for_s is not None:
            self._back = asyncio.get_running_loop().call_later(for_s, self.reread)

    def reread(self) -> None:
        """Log as the file or the settings say now. What cannot be read leaves everything as it is."""
        try:
            self.set(self._wanted())
        except (OSError, ValueError) as error:
            log.warning("log_level_not_read", reason=str(error))

    def _wanted(self) -> str:
        path = self._directory / FILE if self._directory else None
        if path is not None and path.exists():
            return path.read_text("utf-8").strip().upper()
        return self._configured()
