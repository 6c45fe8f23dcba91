"""Statistics for admins: computed by PostgreSQL when somebody asks, one answer at a time, and kept for a minute.

Who asks anew gets what was counted moments ago at the oldest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeVar, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from domain.payments.entitlements import GRACE, REFUND
from domain.payments.plans import Plans
from managers.storage.postgres import PostgresManager, Row
from runtime.latencies import ENOUGH_FOR_P99
from services.statistics import statements
from services.subscribers.counted import BY_PLAN

T = TypeVar("T")
What = Literal["people", "revenue", "alerts", "latency"]
"""What there is by day."""
WHATS: Final[tuple[What, ...]] = get_args(What)
WINDOWS: Final = (1, 7, 30)
"""Days of which revenue is told."""
DAYS: Final = 30
"""That a picture shows."""
KEPT_FOR: Final = timedelta(minutes=1)
COUNTED_ANEW_AFTER: Final = timedelta(seconds=5)
"""So often at most everything is counted, however often somebody asks anew."""


class People(Struct, frozen=True, kw_only=True):
    total: int
    active: int
    """They get alerts: a plan that stands, a filter that is on, and nothing that holds all of them back."""
    paying: int
    """A payment of theirs was not refunded and still runs."""
    paused: int
    blocked: int
    """They have blocked the bot."""
    banned: int
    new_day: int
    new_week: int
    new_month: int
    deleted_month: int


class PlanPeople(Struct, frozen=True, kw_only=True):
    plan: str
    people: int
    active: int


class Revenue(Struct, frozen=True, kw_only=True):
    """Of one way of payment within so many days; what was refunded or dismissed is not in it."""

    days: int
    method: str
    payments: int
    usd: Decimal
    """By the prices at which it was sold, also of Stars."""
    stars: int


class Renewals(Struct, frozen=True, kw_only=True):
    """Within 30 days."""

    first: int
    """People who paid for the first time."""
    renewed: int
    """Payments of those who had paid before."""
    refunded: int
    lapsed: int
    """People who had paid and whose time ended, grace included, and who have not paid since."""


class Delivered(Struct, frozen=True, kw_only=True):
    """Within a day."""

    sent: int
    in_digests: int
    withheld: int
    dead: int
    measured: int
    """Of so many of those that were sent it is known how long they took: of plans without a delay."""
    p50_s: float | None
    """From the frame to Telegram's answer."""
    p99_s: float | None
    """`None` where there are too few."""


class Summary(Struct, frozen=True, kw_only=True):
    at: datetime
    """When it was counted."""
    people: People
    plans: Sequence[PlanPeople]
    revenue: Sequence[Revenue]
    renewals: Renewals
    delivered: Delivered

    @property
    def churn(self) -> float | None:
        """Share of those who were paying 30 days ago and lapsed since; `None` where nobody was."""
        before = self.people.paying + self.renewals.lapsed - self.renewals.first
        return self.renewals.lapsed / before if before > 0 else None


class ByDay(Struct, frozen=True, kw_only=True):
    """Something by day, in parts: the same days in each, those without anything as well."""

    days: tuple[date, ...]
    parts: Mapping[str, tuple[float | None, ...]]
    """`None`: not known of that day."""


class StatisticsService:
    """`TransientError` while PostgreSQL is unavailable."""

    def __init__(self, postgres: PostgresManager, plans: Plans, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._clock = clock
        known = (*plans.sold, plans.trial, *((plans.free,) if plans.free else ()))
        self._delayed = [one.key for one in known if one.delay]
        self._alone = asyncio.Lock()
        self._kept: dict[str, tuple[datetime, object]] = {}

    async def summary(self, *, anew: bool = False) -> Summary:
        return await self._once("summary", self._summary, COUNTED_ANEW_AFTER if anew else KEPT_FOR)

    async def by_day(self, what: What) -> ByDay:
        """Return the last 30 days, today included."""
        return await self._once(what, lambda: self._by_day(what))

    async def _once(self, name: str, compute: Callable[[], Awaitable[T]], kept_for: timedelta = KEPT_FOR) -> T:
        async with self._alone:
            at, known = self._kept.get(name, (None, None))
            if at is None or not timedelta(0) <= self._clock() - at < kept_for:
                known = await compute()
                self._kept[name] = (self._clock(), known)
        return cast("T", known)

    async def _summary(self) -> Summary:
        now = self._clock()
        active = (now, now - GRACE)
        people = await self._postgres.fetch_row(statements.PEOPLE, *active)
        renewals = await self._postgres.fetch_row(statements.RENEWALS, *active, REFUND)
        plans = await self._postgres.fetch(BY_PLAN, *active)
        revenue = await self._postgres.fetch(statements.REVENUE, now, list(WINDOWS))
        row = await self._postgres.fetch_row(statements.DELIVERED, now - timedelta(days=1), self._delayed)
        return Summary(
            at=now,
            people=People(**dict(people or {})),
            plans=[PlanPeople(**dict(one)) for one in plans],
            revenue=[_revenue(one) for one in revenue],
            renewals=Renewals(**dict(renewals or {})),
            delivered=_delivered(row),
        )

    async def _by_day(self, what: What) -> ByDay:
        today = self._clock().date()
        days = tuple(today - timedelta(days=DAYS - 1 - number) for number in range(DAYS))
        since = self._clock().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
        if what == "latency":
            rows = await self._postgres.fetch(statements.LATENCY_BY_DAY, since, self._delayed)
            found = [(row["day"], part, value) for row in rows for part, value in _percentiles(row)]
        else:
            rows = await self._rows(what, since)
            found = [(row["day"], row["part"], float(row["value"])) for row in rows]
        parts: dict[str, dict[date, float]] = {}
        for day, part, value in found:
            parts.setdefault(part, {})[day] = value
        nothing = None if what == "latency" else 0.0
        filled = {part: tuple(its.get(day, nothing) for day in days) for part, its in sorted(parts.items())}
        return ByDay(days=days, parts=filled)

    async def _rows(self, what: What, since: datetime) -> list[Row]:
        match what:
            case "people":
                return await self._postgres.fetch(statements.NEW_BY_DAY, since)
            case "revenue":
                return await self._postgres.fetch(statements.REVENUE_BY_DAY, since, [DAYS])
            case _:
                return await self._postgres.fetch(statements.ALERTS_BY_DAY, since)


def _delivered(row: Row | None) -> Delivered:
    counts: dict[str, object] = dict(row or {})
    p50_s, p99_s = cast("list[float] | None", counts.pop("latency", None)) or (None, None)
    found = Delivered(**cast("dict[str, int]", counts), p50_s=p50_s, p99_s=p99_s)
    return found if found.measured >= ENOUGH_FOR_P99 else replace(found, p99_s=None)


def _percentiles(row: Row) -> Iterator[tuple[str, float]]:
    """A day's p50, and its p99 where there were enough."""
    p50, p99 = row["values"]
    yield "p50", p50
    if row["measured"] >= ENOUGH_FOR_P99:
        yield "p99", p99


def _revenue(row: Row) -> Revenue:
    return Revenue(
        days=row["days"], method=row["method"], payments=row["payments"], usd=row["usd"], stars=int(row["stars"])
    )
