"""TokenFilterBot: the lifetime of every job and of the process, in each role."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from bot.jobs import JobRow, Phase
from bot.lifecycle import Lifecycle, Step, Steps
from bot.roles import Role
from handlers.conversation.base import BotBase, Services
from runtime.cancellation import end
from runtime.errors import FatalError
from runtime.supervision import STUCK_AFTER_S, Job, Pulse, notify_systemd, supervise, watch
from services.cluster.leases import Leases

log = structlog.get_logger(__name__)


class TokenFilterBot(BotBase):
    def __init__(
        self,
        services: Services,
        *,
        jobs: Iterable[JobRow],
        steps: Sequence[Steps],
        lifecycle: Lifecycle,
        leases: Leases,
        role: Role = "all",
        notify_socket: str | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        """`jobs`: of every role; those of this one are run. `FatalError` when two of them have the same name."""
        self.services = services
        self.pulse = pulse or Pulse()
        self._jobs: dict[str, JobRow] = {}
        for job in jobs:
            if role in job.spec.roles:
                if job.spec.name in self._jobs:
                    raise FatalError(f"Two jobs are called “{job.spec.name}”.")
                self._jobs[job.spec.name] = job
        self._steps = steps
        self.lifecycle = lifecycle
        self._leases = leases
        self._role: Role = role
        self._notify_socket = notify_socket

    async def run(self, stop: asyncio.Event, *, drain_s: float) -> None:
        """Work until `stop`, then stop the intake, finish what is in flight within `drain_s`, and return."""
        async with asyncio.TaskGroup() as group:

            def start(phase: Phase) -> list[asyncio.Task[None]]:
                jobs = {name: self._job(row) for name, row in self._jobs.items() if row.spec.phase == phase}
                return [group.create_task(supervise(name, job, self.pulse), name=name) for name, job in jobs.items()]

            connections = start("connection")
            if await self._is_prepared(stop):
                self.lifecycle.state = "working"
                reading, working = start("intake"), start("working")
                working.append(group.create_task(self.load(), name="load"))
                watching = watch(self.pulse, self.watched_jobs(), self._notify_socket, self._excused)
                working.append(group.create_task(watching, name="watchdog"))
                await stop.wait()
                self.lifecycle.state = "ending"
                notify_systemd("STOPPING=1", self._notify_socket)
                await end(reading)
                await self._drain(drain_s)
                await end(working)
                await _in_turn([steps.finish for steps in self._steps])
            await end(connections)
            await _in_turn([steps.leave for steps in self._steps])

    def watched_jobs(self) -> frozenset[str]:
        """What the watchdog believes to hang when it reports no progress for too long."""
        return frozenset(name for name, row in self._jobs.items() if row.spec.watched)

    def stuck(self, after_s: float = STUCK_AFTER_S) -> dict[str, float]:
        """For how long watched jobs have reported no progress, if that is longer; as the watchdog sees it."""
        return self.pulse.stuck(self.watched_jobs() - self._excused(), after_s)

    async def load(self) -> None:
        """Load what is kept in memory, while calls already flow."""
        await _in_turn([steps.load for steps in self._steps])

    def _job(self, row: JobRow) -> Job:
        if row.spec.lease is None or self._role == "all":
            return row.run
        return partial(self._leases.lead, row.spec.lease, row.run)

    async def _is_prepared(self, stop: asyncio.Event) -> bool:
        """Do what comes before the work; `False` when it was to stop meanwhile."""
        checks, preparations = [one.check for one in self._steps], [one.prepare for one in self._steps]
        preparing = asyncio.create_task(_in_turn([*checks, *preparations]), name="prepare")
        stopping = asyncio.create_task(_until(stop), name="stop")
        try:
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_prepared = preparing.done()
            await end([preparing, stopping])
        if is_prepared:
            preparing.result()
        return is_prepared

    async def _drain(self, drain_s: float) -> None:
        try:
            async with asyncio.timeout(drain_s), asyncio.TaskGroup() as group:
                for steps in self._steps:
                    group.create_task(_in_turn([steps.drain]), name="drain")
        except TimeoutError:
            left = [steps.left() for steps in self._steps if steps.left]
            log.warning("drain_timed_out", **{what: count for counts in left for what, count in counts.items()})

    def _excused(self) -> frozenset[str]:
        """Who waits while the stores are completed: all but those who do that."""
        if not any(steps.holds_up() for steps in self._steps if steps.holds_up):
            return frozenset()
        return frozenset(name for name, row in self._jobs.items() if not row.spec.completes_stores)


async def _in_turn(steps: Sequence[Step | None]) -> None:
    for step in steps:
        if step is not None:
            await step()


async def _until(event: asyncio.Event) -> None:
    await event.wait()
