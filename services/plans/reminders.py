"""Reminders before a plan ends: one at a time, each once, none for who has renewed meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

from msgspec import Struct

from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.delivery.quiet import zone_of
from domain.payments.entitlements import GRACE
from domain.payments.plans import FREE, TRIAL
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from domain.subscribers.zones import show_zone
from managers.storage.postgres import PostgresManager
from managers.telegram.rate_limiter import Lane
from services.claims.putting import Putting
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers
from texts.renderer import Texts

REMINDER: Final = "reminder"
"""The job, and the kind of message."""
DAYS_BEFORE: Final = (7, 3, 1, 0)
FRESH_FOR: Final = timedelta(hours=12)
_DAY: Final = timedelta(days=1)

_ENDING: Final[LiteralString] = """
    SELECT user_id, plan, paid_until FROM subscribers WHERE paid_until > $1 AND plan <> 'free'
"""


def steps_of(plan: str, until: datetime | None) -> list[tuple[datetime, int]]:
    """Return when somebody is reminded, and how many days before the end that is; the earliest first.

    The end of a trial has no grace, and is told by the notice that it has ended.
    """
    if until is None or plan == FREE:
        return []
    return [(until - days * _DAY, days) for days in DAYS_BEFORE if days or plan != TRIAL]


def next_reminder(plan: str, until: datetime | None, after: datetime) -> datetime | None:
    return next((at for at, _ in steps_of(plan, until) if at > after), None)


class Reminder(Struct, frozen=True, kw_only=True):
    plan: str
    until: datetime
    days: int
    """Before the end, as it was due."""
    renews_at: datetime | None = None
    """A subscription renews by itself then."""


class RemindersService:
    def __init__(
        self,
        *,
        subscribers: Subscribers,
        putting: Putting,
        due_times: DueTimes,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
    ) -> None:
        self._subscribers = subscribers
        self._putting = putting
        self._due_times = due_times
        self._postgres = postgres
        self._clock = clock
        self.renews_at: Callable[[int], Awaitable[datetime | None]] = _never
        """When somebody's subscription renews by itself. Raises a `TransientError`."""

    def job(self) -> Job:
        return Job(name=REMINDER, run=self.remind, all_due=self._all_due)

    async def remind(self, due: Due) -> int:
        """Put the latest reminder that was due into the outbox, and say when the next one is."""
        now = self._clock()
        subscriber = await self._subscribers.find(due.user_id)
        put = await self._put(subscriber, now) if subscriber else False
        then = next_reminder(subscriber.plan, subscriber.paid_until, now) if subscriber else None
        if then is None:
            await self._due_times.remove(REMINDER, due.user_id)
        else:
            await self._due_times.set(REMINDER, due.user_id, then)
        return int(put)

    async def _put(self, subscriber: Subscriber, now: datetime) -> bool:
        until = subscriber.paid_until
        passed = [days for at, days in steps_of(subscriber.plan, until) if at <= now]
        if until is None or not passed or not subscriber.has_plan_at(now):
            return False
        renews_at = await self.renews_at(subscriber.user_id)
        reminder = Reminder(plan=subscriber.plan, until=until, days=passed[-1], renews_at=renews_at)
        envelope = Envelope.of(
            REMINDER,
            reminder,
            user_id=subscriber.user_id,
            subject=until.isoformat(),
            step=str(reminder.days),
            decided_at=now,
        )
        return await self._putting.put(envelope) is True

    async def _all_due(self) -> AsyncIterator[tuple[int, datetime]]:
        """What was due lately may not have been put before Redis was emptied."""
        since = self._clock() - FRESH_FOR
        async for rows in self._postgres.stream(_ENDING, since):
            for row in rows:
                at = next_reminder(row["plan"], row["paid_until"], since)
                if at is not None:
                    yield row["user_id"], at


async def _never(_user_id: int) -> datetime | None:
    return None


class ReminderComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        rules = Rules(needs_plan=False, fresh_for=FRESH_FOR, when_stale="drop")
        return Kind(name=REMINDER, lane=Lane.FOLLOW_UP, rules=rules, composer=self, payload=Reminder)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        first = together[0]
        reminder, zone = first.payload_as(Reminder), subscriber.preferences.time_zone
        arguments = {
            "plan": self._texts.label("plan", reminder.plan, subscriber.language),
            "until": shown_time(reminder.until, zone),
            "days": reminder.days,
            "grace": shown_time(reminder.until + GRACE, zone),
            "at": shown_time(reminder.renews_at or reminder.until, zone),
        }
        key = "reminder.over" if not reminder.days else "reminder.soon" if reminder.days > 1 else "reminder.tomorrow"
        key = "reminder.renews" if reminder.days and reminder.renews_at else key
        return Composed(Message(html=str(self._texts.render(key, subscriber.language, **arguments))), (first,))


def shown_time(at: datetime, zone: str) -> str:
    """`24 Dec 2026, 18:00 (Europe/Berlin)`."""
    try:
        local = at.astimezone(zone_of(zone))
    except OverflowError:  # the last day that a calendar has
        return f"{at:%d %b %Y, %H:%M} (UTC)"
    return f"{local:%d %b %Y, %H:%M} ({show_zone(zone)})"
