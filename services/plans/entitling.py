"""What a person was given, brought into their document: always from all of it, so that any repetition changes nothing.

A credit leaves the person among those who were `entitled`; whatever ends the process before the document shows it, the
next look finds them there. When what they have ends, a due time of the one schedule has the document written anew.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, LiteralString

import structlog
from msgspec.structs import replace

from domain.payments.entitlements import Entitlement, PlanStanding, end_of, standing_of
from domain.payments.plans import FREE, TRIAL, Plans
from domain.subscribers.limits import fitted
from domain.subscribers.subscriber import Subscriber
from managers.storage.postgres import PostgresManager
from runtime.errors import FatalError, TransientError, UnreadableError
from runtime.fault_points import fault_point
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.waiting import Progress
from services.claims.putting import Putting
from services.payments.ledger import Ledger
from services.plans.notices import changed_notice, ended_notice
from services.plans.reminders import REMINDER, next_reminder
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PLAN_END: Final = "plan_end"
LOOK_EVERY_S: Final = 5.0
_DAY: Final = timedelta(days=1)
TOLD_FOR: Final = timedelta(days=7)
"""Whose plan ended longer ago is not told any more."""

_ENDING: Final[LiteralString] = """
    SELECT user_id, plan, paid_until FROM subscribers WHERE paid_until IS NOT NULL AND plan <> 'free'
"""


def has_ended(plan: str | None, until: datetime | None, now: datetime) -> bool:
    ends_at = end_of(plan, until)
    return ends_at is not None and ends_at <= now


def shown_in(subscriber: Subscriber, standing: PlanStanding, plans: Plans, now: datetime) -> Subscriber:
    """Return the document as it shows what the person has: plan, end, and as many filter sets on as that holds."""
    if standing.plan is None:
        return subscriber
    is_over = has_ended(standing.plan, standing.until, now)
    plan = FREE if is_over and plans.free else standing.plan
    shown = replace(subscriber, plan=plan, paid_until=standing.until)
    if is_over and not plans.free:
        return shown
    return replace(shown, filter_sets=fitted(shown.filter_sets, plans.of(plan).filter_sets))


def _has_shown(subscriber: Subscriber, given: Sequence[Entitlement]) -> bool:
    """Whether a document says what some of this made of it, the earliest first."""
    earliest_first = sorted(given, key=lambda one: one.at)
    made = (standing_of(earliest_first[:count]) for count in range(1, len(given) + 1))
    return any((one.plan, one.until) == (subscriber.plan, subscriber.paid_until) for one in made)


class EntitlingService:
    def __init__(
        self,
        *,
        ledger: Ledger,
        subscribers: Subscribers,
        plans: Plans,
        putting: Putting,
        due_times: DueTimes,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._subscribers = subscribers
        self._plans = plans
        self._putting = putting
        self._due_times = due_times
        self._postgres = postgres
        self._clock = clock
        self._woken = asyncio.Event()
        self.gives_trials: Callable[[], bool] = lambda: True
        """Whether newcomers get one."""

    async def welcome(self, user_id: int) -> PlanStanding:
        """Give somebody new their trial, once per person for ever; return what they have now.

        `RedisUnavailableError`: nothing was given, or the next call finds it.
        """
        now = self._clock()
        trial = Entitlement(key=TRIAL, plan=TRIAL, days=self._plans.trial_days, at=now)
        if self.gives_trials() and await self._ledger.give(user_id, trial):
            log.info("trial_granted", user_id=user_id, days=trial.days)
        standing = await self.standing(user_id)
        if self._plans.free and (standing.plan is None or has_ended(standing.plan, standing.until, now)):
            return PlanStanding(plan=FREE, until=standing.until)
        return standing

    async def standing(self, user_id: int) -> PlanStanding:
        """Return what somebody has by the ledger. `TransientError`: it cannot be read."""
        return standing_of(await self._ledger.entitlements(user_id))

    async def apply(self, user_id: int) -> Subscriber | None:
        """Let the document show what the person has; `None` while they have none: /start makes it. May be repeated."""
        while True:
            before = await self._subscribers.find(user_id)
            if before is None:
                return None
            given, now = await self._given(before), self._clock()
            standing = standing_of(given)
            await self._tell(before, standing, now)
            fault_point("plan told")
            after = await self._subscribers.change(
                user_id, partial(shown_in, standing=standing, plans=self._plans, now=now)
            )
            fault_point("plan shown")
            await self._schedule(after, now)
            if await self._ledger.shown(user_id, len(given)):
                return after

    async def _given(self, subscriber: Subscriber) -> list[Entitlement]:
        """Return what somebody was given. A trial from before there was a ledger is written down first."""
        given = await self._ledger.entitlements(subscriber.user_id)
        until = subscriber.paid_until
        if until is None or any(one.key == TRIAL for one in given) or subscriber.plan == FREE:
            return given
        if _has_shown(subscriber, given):
            return given  # all that it says was given here
        days = max(1, math.ceil((until - subscriber.created_at) / _DAY))
        trial = Entitlement(key=TRIAL, plan=subscriber.plan, days=days, at=until - days * _DAY)
        await self._ledger.give(subscriber.user_id, trial)
        return await self._ledger.entitlements(subscriber.user_id)

    async def run(self, progress: Progress) -> None:
        """Look for whoever was given something: at once when woken, and for whom a kill left between the two."""
        while True:
            self._woken.clear()
            await retry_until_done(partial(self.heal, progress), progress)
            with suppress(TimeoutError):
                async with asyncio.timeout(pace.seconds(LOOK_EVERY_S)):
                    await self._woken.wait()

    def wake(self) -> None:
        """Somebody was just given something."""
        self._woken.set()

    async def heal(self, progress: Progress = lambda: None) -> int:
        """Return for how many people something was given that their document may not have shown."""
        entitled = await self._ledger.entitled()
        for user_id in entitled:
            progress()
            await self._heal_one(user_id)
        return len(entitled)

    async def _heal_one(self, user_id: int) -> None:
        try:
            await self.apply(user_id)
        except (TransientError, FatalError):
            raise
        except UnreadableError:
            return  # they stay among the entitled
        except Exception:
            log.exception("entitlements_not_applied", user_id=user_id)

    def job(self) -> Job:
        return Job(name=PLAN_END, run=self.end, all_due=self._ends)

    async def end(self, due: Due) -> int:
        """What somebody has may have ended: their document says so, and they are told."""
        if await self.apply(due.user_id) is None:
            await self._due_times.remove(PLAN_END, due.user_id)
            return 0
        return 1

    async def _tell(self, before: Subscriber, standing: PlanStanding, now: datetime) -> None:
        """Put the notice before the document says it: its unique key keeps it from coming twice."""
        after = shown_in(before, standing, self._plans, now)
        ends_at = end_of(standing.plan, standing.until)
        notice = changed_notice(before, after, now)
        if standing.plan and standing.until and ends_at and ends_at <= now and before.plan != FREE:
            is_news = now - ends_at < TOLD_FOR
            notice = ended_notice(before, after, standing.plan, standing.until, now) if is_news else None
        if notice is not None:
            await self._putting.put(notice)

    async def _schedule(self, subscriber: Subscriber, now: datetime) -> None:
        times = {PLAN_END: subscriber.ends_at, REMINDER: next_reminder(subscriber.plan, subscriber.paid_until, now)}
        for job, at in times.items():
            if at is not None and at > now:
                await self._due_times.set(job, subscriber.user_id, at)
            else:
                await self._due_times.remove(job, subscriber.user_id)

    async def _ends(self) -> AsyncIterator[tuple[int, datetime]]:
        async for rows in self._postgres.stream(_ENDING):
            for row in rows:
                ends_at = end_of(row["plan"], row["paid_until"])
                if ends_at is not None:
                    yield row["user_id"], ends_at
