"""Reports that an admin sends now: to one person at once, to many as the sender has room.

To many it is a due time for each, so it goes on after a restart and nobody gets it twice; whoever has neither plan nor
chat, or of whom there is nothing to tell, gets none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal, LiteralString, get_args

import msgspec
import structlog

from domain.delivery.policy import why_no_alerts
from domain.schedule.triggers import Trigger
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import REPORTS, Preferences, ReportName
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.claims.putting import Putting
from services.reports.composing import REPORT, ReportNotice
from services.reports.figures import ReportFigures, window_of
from services.reports.schedule import ReportLaterError
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Segment = Literal["wanting", "everybody"]
SEGMENTS: Final[tuple[Segment, ...]] = get_args(Segment)
"""`wanting`: who gets this report by itself; `everybody`: whoever has a plan."""
TOO_LATE: Final = timedelta(hours=6)
_BATCH: Final = 1_000
_DOCUMENTS: Final[LiteralString] = "SELECT user_id, document -> 'preferences' AS preferences FROM subscribers"


class ReportSending:
    def __init__(
        self,
        *,
        figures: ReportFigures,
        subscribers: Subscribers,
        putting: Putting,
        due_times: DueTimes,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
        room: Callable[[], int],
    ) -> None:
        """`room`: how many reports may be put now."""
        self._figures = figures
        self._subscribers = subscribers
        self._putting = putting
        self._due_times = due_times
        self._postgres = postgres
        self._clock = clock
        self._room = room

    def jobs(self) -> list[Job]:
        return [
            Job(
                name=_job_of(report),
                run=partial(self._run, report),
                trigger=_never_again,
                misfire="skip",
                too_late=TOO_LATE,
                room=self._room,
            )
            for report in REPORTS
        ]

    async def to_person(self, report: ReportName, user_id: int) -> bool:
        """Put it into their outbox; `False`: they get none, or there is nothing to tell. `TransientError`."""
        now = self._clock()
        return await self._put(report, user_id, now, str(int(now.timestamp() * 1_000)))

    async def count(self, report: ReportName, segment: Segment) -> int:
        """Return how many it would be due for. `TransientError`."""
        count = 0
        async for some in self._chosen(report, segment):
            count += len(some)
        return count

    async def to_many(self, report: ReportName, segment: Segment) -> int:
        """Make it due for everybody of these; returns for how many. `TransientError`: for some of them, perhaps."""
        now, count = self._clock(), 0
        async for some in self._chosen(report, segment):
            await self._due_times.set_many(_job_of(report), [(user_id, now) for user_id in some])
            count += len(some)
        log.info("report_ordered", report=report, segment=segment, count=count)
        return count

    async def _chosen(self, report: ReportName, segment: Segment) -> AsyncIterator[list[int]]:
        async for rows in self._postgres.stream(_DOCUMENTS, batch=_BATCH):
            yield [row["user_id"] for row in rows if segment == "everybody" or _wants(report, row["preferences"])]

    async def _run(self, report: ReportName, due: Due) -> int:
        try:
            return int(await self._put(report, due.user_id, due.at, due.moment))
        except TransientError as error:
            raise ReportLaterError(f"{report}: {error}") from error

    async def _put(self, report: ReportName, user_id: int, at: datetime, subject: str) -> bool:
        subscriber, now = await self._subscribers.find(user_id), self._clock()
        if subscriber is None or subscriber.unreachable or why_no_alerts(subscriber, now) is not None:
            return False
        window = window_of(report, at)
        figures = await self._figures.of(report, user_id, window)
        if figures is None:
            return False
        notice = ReportNotice(report=report, due_at=now, figures=figures, window=window)
        named = Envelope.of(REPORT, notice, user_id=user_id, subject=f"now {subject}", step=report, decided_at=now)
        return await self._putting.put(named) is not False


def _wants(report: ReportName, stored: str | bytes | None) -> bool:
    try:
        preferences = msgspec.json.decode(stored, type=Preferences) if stored else Preferences()
    except msgspec.MsgspecError:
        return False  # costs one person this report, and nobody else
    return preferences.wants_report(report)


def _job_of(report: ReportName) -> str:
    return f"report_now_{report}"


async def _never_again(subject: str) -> Trigger | None:
    del subject
    return None
