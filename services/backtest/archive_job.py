"""Lets the archive be brought up to date every hour; most times there is nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from domain.backtest.results import Archived, ArchiveRequest
from runtime.waiting import Progress, pause, reporting
from services.backtest.process import Computing, ComputingFailedError, ComputingUnavailableError
from services.monitoring.conditions import Reason, because

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 3600.0
FIRST_AFTER_S: Final = 60.0
"""A start has enough to do."""
ALARM_AFTER_S: Final = 2 * 86_400.0
"""PostgreSQL keeps calls for two weeks: enough time to mend what is wrong."""


class ArchiveJob:
    def __init__(
        self,
        *,
        computing: Computing,
        directory: Path,
        database_url: str,
        tracked_for_days: float,
        kept_for_days: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._computing = computing
        self._directory = directory
        self._database_url = database_url
        self._tracked_for_days = tracked_for_days
        self._kept_for_days = kept_for_days
        self._clock = clock
        self._failing_since: datetime | None = None
        self._reason = ""

    async def run(self, progress: Progress) -> None:
        await pause(FIRST_AFTER_S, progress)
        while True:
            try:
                await reporting(self.archive(), progress)
            except (ComputingFailedError, ComputingUnavailableError) as error:
                self._failing_since = self._failing_since or self._clock()
                self._reason = str(error)
                log.warning("not_archived", reason=self._reason)
            await pause(EVERY_S, progress)

    async def archive(self) -> Archived:
        request = ArchiveRequest(
            archive=str(self._directory),
            database_url=self._database_url,
            now=self._clock(),
            tracked_for_days=self._tracked_for_days,
            kept_for_days=self._kept_for_days,
        )
        archived = await self._computing.ask(request)
        if not isinstance(archived, Archived):
            raise ComputingFailedError("it answered something else")
        self._failing_since = None
        if archived.days:
            log.info("archived", days=archived.days, calls=archived.calls)
        return archived

    def problem(self) -> Reason | None:
        """Whether it has failed for so long that calls may be lost to it."""
        if self._failing_since is None:
            return None
        failing_s = (self._clock() - self._failing_since).total_seconds()
        if failing_s < ALARM_AFTER_S:
            return None
        return because("alarm.archive_behind", days=f"{failing_s / 86_400:.0f}", reason=self._reason)
