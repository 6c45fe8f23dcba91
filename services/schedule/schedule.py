"""The one schedule: looks at what is due and lets each job do it, by the rule that the job has for being late.

Of a subscriber's jobs those are looked at whose partition is sent here; a job of no single subscriber is looked at by
the one process that holds the lease. Neither can keep two from seeing the same due time, nor a kill from leaving it
half done. So a job is told which due time it is, and whatever it does bears that as its unique key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from domain.schedule.misfires import Misfire, steps_of
from domain.schedule.triggers import Trigger
from domain.subscribers.partitions import ALL, Partition
from runtime.errors import FatalError, TransientError, UnreadableError
from runtime.retry import retry_until_done
from runtime.waiting import Progress, elapse
from services.schedule.due_times import EVERYBODY, Due, DueTimes, Place

log = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 5.0
LEASE: Final = "schedule"
REBUILT_AT_ONCE: Final = 1_000
TRY_AGAIN: Final = timedelta(minutes=5)
"""What failed for one subscriber, or whose document cannot be read, is left alone for so long; the others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the schedule."""

    name: str
    run: Callable[[Due], Awaitable[int]]
    """Does it, and returns how many things it did. May be called again for the same due time."""
    trigger: Callable[[str], Awaitable[Trigger | None]] | None = None
    """When it is due again, by subject; `None` for a subject: never again. A job without a trigger says in `run` when
    it is due next, or takes its due time away."""
    misfire: Misfire = "once"
    too_late: timedelta = timedelta(hours=1)
    """From when on a time was missed, for the rule `skip`; and how far back a job for everybody looks when its due time
    is not known, at first or in a Redis that was emptied."""
    for_everybody: bool = False
    """It is about no single subscriber."""
    room: Callable[[], int] | None = None
    """How many of them may be done at one look; the others stay due. `None`: all. Where very many are due at the same
    minute, what they put into the outbox would stand before the next alert."""
    all_due: Callable[[], AsyncIterator[tuple[int, datetime]]] | None = None
    """From what makes it due: for whom it is and when. Read when a Redis that was emptied is filled again; `None` where
    the due times come back otherwise."""


class Schedule:
    def __init__(
        self,
        jobs: Iterable[Job] = (),
        *,
        due_times: DueTimes,
        clock: Callable[[], datetime],
        partitions: Callable[[], Collection[Partition]] = lambda: ALL,
        leads: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`partitions`: whose jobs are done here. `leads`: whether jobs for everybody are; `None`: they are."""
        self._jobs: dict[str, Job] = {}
        self._due_times = due_times
        self._clock = clock
        self._partitions = partitions
        self._leads = leads
        self._left_alone: dict[tuple[str, str], datetime] = {}
        """What failed here, and until when it is not tried again."""
        for job in jobs:
            self.add(job)

    def add(self, job: Job) -> None:
        """`FatalError` when there is one of this name."""
        if job.name in self._jobs:
            raise FatalError(f"Two jobs of the schedule are called “{job.name}”.")
        self._jobs[job.name] = job

    async def run(self, progress: Progress) -> None:
        """Look again and again, until cancelled."""
        while True:
            await retry_until_done(partial(self.poll, progress), progress)
            await elapse(POLL_EVERY_S, progress)

    async def rebuild(self, progress: Progress = lambda: None) -> int:
        """Say anew when everything is due, for a Redis that was emptied; what stands already stays. Returns how many.

        `TransientError`: do it again.
        """
        count = 0
        for name, all_due in ((job.name, job.all_due) for job in self._jobs.values() if job.all_due):
            some: list[tuple[int, datetime]] = []
            async for one in all_due():
                some.append(one)
                if len(some) == REBUILT_AT_ONCE:
                    progress()
                    await self._due_times.set_many(name, some, unless_known=True)
                    count += len(some)
                    some.clear()
            await self._due_times.set_many(name, some, unless_known=True)
            count += len(some)
        return count

    async def poll(self, progress: Progress = lambda: None) -> int:
        """Do what is due now; return how many things the jobs did. `TransientError`: look again."""
        of_users = [job.name for job in self._jobs.values() if not job.for_everybody]
        places = [Place(name, partition) for name in of_users for partition in self._partitions()]
        places += await self._for_everybody()
        done, now = 0, self._clock()
        self._left_alone = {what: until for what, until in self._left_alone.items() if until > now}
        room = {job.name: job.room() for job in self._jobs.values() if job.room}
        for due in await self._due_times.due(places, now):
            if (due.job, due.subject) in self._left_alone or room.get(due.job, 1) <= 0:
                continue
            if due.job in room:
                room[due.job] -= 1
            progress()
            done += await self._do(due)
        return done

    async def _for_everybody(self) -> list[Place]:
        jobs = [job for job in self._jobs.values() if job.for_everybody]
        if not jobs or (self._leads is not None and not await self._leads()):
            return []
        for job in jobs:
            trigger = await job.trigger(EVERYBODY) if job.trigger else None
            if trigger is not None:
                at = trigger.next_after(self._clock() - job.too_late)
                await self._due_times.set_for_everybody(job.name, at, unless_known=True)
        return [Place(job.name, EVERYBODY) for job in jobs]

    async def _do(self, due: Due) -> int:
        """Do one thing; what goes wrong with it costs only itself."""
        try:
            return await self._steps(self._jobs[due.job], due)
        except (TransientError, FatalError):
            raise
        except UnreadableError:
            pass  # it was said, and stays due
        except Exception:
            log.exception("job_failed", job=due.job, subject=due.subject, due_at=due.at)
        self._left_alone[due.job, due.subject] = self._clock() + TRY_AGAIN
        return 0

    async def _steps(self, job: Job, due: Due) -> int:
        if job.trigger is None:
            return await job.run(due)
        trigger, done = await job.trigger(due.subject), 0

        def next_after(at: datetime) -> datetime | None:
            return trigger.next_after(at) if trigger else None

        stands = due.at
        for step in steps_of(due.at, self._clock(), job.misfire, job.too_late, next_after):
            if step.runs is not None:
                done += await job.run(Due(job=due.job, subject=due.subject, at=step.runs))
            else:
                log.info("job_skipped", job=due.job, subject=due.subject, due_at=stands)
            if not await self._due_times.advance(Due(job=due.job, subject=due.subject, at=stands), step.then):
                return done  # somebody else has done it, or changed when it is due
            if step.then is None:
                break
            stands = step.then
        return done
