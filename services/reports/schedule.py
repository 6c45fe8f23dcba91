"""When reports come by themselves: a due time for each that somebody wants, on their clock.

A due time follows what they choose and where they are. What it puts bears the report and the day on their calendar, so
a second process, a kill in between or a change of the zone on the same day sends nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, LiteralString
from zoneinfo import ZoneInfo

import msgspec
import structlog

from domain.delivery.policy import why_no_alerts
from domain.delivery.quiet import zone_of
from domain.reports.times import TIMES, day_of, is_due_at
from domain.schedule.triggers import Trigger
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import REPORTS, Preferences, ReportName, Subscriber
from managers.storage.postgres import PostgresManager
from runtime.errors import BotError, TransientError
from runtime.fault_points import fault_point
from services.claims.putting import Putting
from services.reports.composing import REPORT, ReportNotice
from services.reports.figures import ReportFigures, window_of
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SWEEP: Final = "report_times"
"""The job that gives a due time to whoever lacks one."""
SWEPT_AT: Final = Trigger(minute=4 * 60, zone=ZoneInfo("UTC"))
AT_ONCE: Final = 200
"""Reports that are put at one look."""
MAX_HELD: Final = 500
"""Messages that may be in hand when more are put: reports must never fill what alerts are taken from."""
AWAY_FOR: Final = timedelta(seconds=30)
_BATCH: Final = 1_000
_DOCUMENTS: Final[LiteralString] = "SELECT user_id, document -> 'preferences' AS preferences FROM subscribers"


class ReportLaterError(BotError):
    """What it is made of cannot be read now."""


class ReportSchedule:
    def __init__(
        self,
        *,
        figures: ReportFigures,
        subscribers: Subscribers,
        putting: Putting,
        due_times: DueTimes,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
        held: Callable[[], int],
    ) -> None:
        """`held`: how many messages are in the sender's hands."""
        self._figures = figures
        self._subscribers = subscribers
        self._putting = putting
        self._due_times = due_times
        self._postgres = postgres
        self._clock = clock
        self._held = held
        self.is_off: Callable[[], bool] = lambda: False
        """Whether none comes by itself: what is due meanwhile is left out."""
        self._away_until: datetime | None = None
        self.put: dict[str, int] = {}
        """By report, since the start."""
        self.empty = 0
        """That had nothing to tell."""

    def jobs(self) -> list[Job]:
        reports = [
            Job(
                name=job_of(report),
                run=partial(self._run, report),
                trigger=partial(self._trigger, report),
                misfire="skip",
                too_late=times.too_late,
                all_due=partial(self._all_due, report),
                room=self.room,
            )
            for report, times in TIMES.items()
        ]
        sweep = Job(name=SWEEP, run=self._sweep, trigger=_swept_at, too_late=timedelta(days=1), for_everybody=True)
        return [*reports, sweep]

    async def changed(self, saved: Subscriber, before: Subscriber | None) -> None:
        """Let due times follow what somebody chose and where they are. `TransientError`: nothing is known to be set."""
        preferences = saved.preferences
        known = None if before is None else before.preferences
        has_moved = known is None or known.time_zone != preferences.time_zone
        for report in REPORTS:
            wants = preferences.wants_report(report)
            if wants and (has_moved or known is None or not known.wants_report(report)):
                await self._due_times.set(job_of(report), saved.user_id, self._next(report, preferences))
            elif not wants and known is not None and known.wants_report(report):
                await self._due_times.remove(job_of(report), saved.user_id)

    def _next(self, report: ReportName, preferences: Preferences, after: datetime | None = None) -> datetime:
        return TIMES[report].trigger(zone_of(preferences.time_zone)).next_after(after or self._clock())

    def room(self) -> int:
        """Return how many reports may be put now."""
        if self._away_until and self._clock() < self._away_until:
            return 0
        return min(AT_ONCE, MAX_HELD - self._held())

    async def _trigger(self, report: ReportName, subject: str) -> Trigger | None:
        subscriber = await self._subscribers.find(int(subject))
        if subscriber is None or not subscriber.preferences.wants_report(report):
            return None
        return TIMES[report].trigger(zone_of(subscriber.preferences.time_zone))

    async def _run(self, report: ReportName, due: Due) -> int:
        subscriber, now = await self._subscribers.find(due.user_id), self._clock()
        if subscriber is None or not self._is_wanted(report, subscriber, due.at, now):
            return 0
        window = window_of(report, due.at)
        try:
            figures = await self._figures.of(report, due.user_id, window)
        except TransientError as error:
            self._away_until = now + AWAY_FOR
            raise ReportLaterError(f"{report}: {error}") from error
        if figures is None:
            self.empty += 1
            return 0
        fault_point("report_made")
        notice = ReportNotice(report=report, due_at=due.at, figures=figures, window=window)
        day = day_of(zone_of(subscriber.preferences.time_zone), due.at)
        envelope = Envelope.of(REPORT, notice, user_id=due.user_id, subject=day, step=report, decided_at=now)
        put = await self._putting.put(envelope)
        fault_point("report_put")
        if put is False:
            return 0
        self.put[report] = self.put.get(report, 0) + 1
        return 1

    def _is_wanted(self, report: ReportName, subscriber: Subscriber, at: datetime, now: datetime) -> bool:
        """Whether it goes to somebody who still wants it, and still is where it is due at this time."""
        preferences = subscriber.preferences
        if not preferences.wants_report(report) or not is_due_at(report, zone_of(preferences.time_zone), at):
            return False
        return not self.is_off() and why_no_alerts(subscriber, now) is None and not subscriber.unreachable

    async def _all_due(self, report: ReportName) -> AsyncIterator[tuple[int, datetime]]:
        """What was due lately may not have been put before Redis was emptied."""
        since = self._clock() - TIMES[report].too_late
        async for user_id, preferences in self._everybody():
            if preferences.wants_report(report):
                yield user_id, self._next(report, preferences, since)

    async def _sweep(self, due: Due) -> int:
        """Give everybody the due times that they lack: of before reports were there, or that could not be set."""
        del due
        try:
            return await self._give_missing()
        except TransientError as error:
            raise ReportLaterError(f"due times: {error}") from error

    async def _give_missing(self) -> int:
        missing: dict[ReportName, list[tuple[int, datetime]]] = {report: [] for report in REPORTS}
        count = 0
        async for user_id, preferences in self._everybody():
            for report in REPORTS:
                if preferences.wants_report(report):
                    missing[report].append((user_id, self._next(report, preferences)))
                    count += 1
                if len(missing[report]) >= _BATCH:
                    await self._set(report, missing[report])
        for report, some in missing.items():
            await self._set(report, some)
        return count

    async def _set(self, report: ReportName, some: list[tuple[int, datetime]]) -> None:
        await self._due_times.set_many(job_of(report), some, unless_known=True)
        some.clear()

    async def _everybody(self) -> AsyncIterator[tuple[int, Preferences]]:
        async for rows in self._postgres.stream(_DOCUMENTS, batch=_BATCH):
            for row in rows:
                stored = row["preferences"]
                try:
                    preferences = msgspec.json.decode(stored, type=Preferences) if stored else Preferences()
                except msgspec.MsgspecError as error:
                    log.warning("preferences_unreadable", user_id=row["user_id"], reason=str(error))
                    continue
                yield row["user_id"], preferences


def job_of(report: ReportName) -> str:
    return f"report_{report}"


async def _swept_at(subject: str) -> Trigger:
    del subject
    return SWEPT_AT
