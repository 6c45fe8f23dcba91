"""Whoever looks, however often, and whatever is killed: a due time is carried out once, late ones by their rule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from domain.schedule.misfires import Misfire
from domain.schedule.triggers import Trigger
from domain.subscribers.partitions import ALL, partition_of
from managers.redis.client import RedisManager, RedisUnavailableError
from runtime.errors import FatalError
from services.claims.putting import Putting
from services.schedule.due_times import EVERYBODY, Due, DueTimes
from services.schedule.schedule import TRY_AGAIN, Job, Schedule
from services.stores import keys
from tests.delivery.kit import Way, texts_of, way_of, whole_way
from tests.delivery.notices import NoticeComposer, notice

EIGHT = datetime(2026, 11, 20, 19, tzinfo=UTC)
EVENING = Trigger(minute=20 * 60, zone=ZoneInfo("Europe/Berlin"))
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = EIGHT

    def __call__(self) -> datetime:
        return self.now


async def every_evening(subject: str) -> Trigger | None:
    del subject
    return EVENING


class Done:
    """A job that notes what it was told to do, and can be killed on the way."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, datetime]] = []
        self.killed = False

    async def __call__(self, due: Due) -> int:
        self.runs.append((due.subject, due.at))
        if self.killed:
            raise KilledError
        return 1


class KilledError(FatalError):
    """The process ends here."""


@pytest.fixture
def due_times(redis_manager: RedisManager) -> DueTimes:
    return DueTimes(redis_manager)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def job(run: Callable[[Due], Awaitable[int]], misfire: Misfire = "once", *, for_everybody: bool = False) -> Job:
    return Job(name="report", run=run, trigger=every_evening, misfire=misfire, for_everybody=for_everybody)


async def test_it_is_due_again_by_its_trigger(due_times: DueTimes, clock: Clock) -> None:
    done = Done()
    schedule = Schedule([job(done)], due_times=due_times, clock=clock)
    await due_times.set("report", 7, EIGHT)
    clock.now = EIGHT - timedelta(seconds=1)
    assert await schedule.poll() == 0
    for day in range(3):
        clock.now = EIGHT + day * DAY
        assert await schedule.poll() == 1
        assert await schedule.poll() == 0
    assert done.runs == [("7", EIGHT + day * DAY) for day in range(3)]


@pytest.mark.parametrize(
    ("misfire", "expected"),
    [("once", [3]), ("skip", []), ("catch up", [0, 1, 2, 3])],
)
async def test_what_was_missed_is_made_up_for_by_the_rule(
    due_times: DueTimes, clock: Clock, misfire: Misfire, expected: list[int]
) -> None:
    done = Done()
    schedule = Schedule([job(done, misfire)], due_times=due_times, clock=clock)
    await due_times.set("report", 7, EIGHT)
    clock.now = EIGHT + 3 * DAY + 2 * HOUR
    assert await schedule.poll() == len(expected)
    assert [at for _, at in done.runs] == [EIGHT + day * DAY for day in expected]
    clock.now = EIGHT + 4 * DAY
    assert await schedule.poll() == 1


async def test_what_was_killed_on_the_way_is_told_the_same_due_time_again(due_times: DueTimes, clock: Clock) -> None:
    done = Done()
    await due_times.set("report", 7, EIGHT)
    done.killed = True
    clock.now = EIGHT + 2 * DAY
    with pytest.raises(KilledError):
        await Schedule([job(done, "catch up")], due_times=due_times, clock=clock).poll()
    done.killed = False
    assert await Schedule([job(done, "catch up")], due_times=due_times, clock=clock).poll() == 3
    assert [(at - EIGHT) // DAY for _, at in done.runs] == [0, 0, 1, 2]


async def test_each_looks_at_its_own_partitions(due_times: DueTimes, clock: Clock) -> None:
    mine, others = Done(), Done()
    users = range(40)
    for user in users:
        await due_times.set("report", user, EIGHT)
    half = frozenset(partition for partition in ALL if partition % 2)
    assert await Schedule([job(mine)], due_times=due_times, clock=clock, partitions=lambda: half).poll() == 20
    assert await Schedule([job(others)], due_times=due_times, clock=clock, partitions=lambda: ALL - half).poll() == 20
    assert {int(subject) for subject, _ in mine.runs} == {user for user in users if partition_of(user) in half}
    assert not {subject for subject, _ in mine.runs} & {subject for subject, _ in others.runs}


async def test_what_is_about_nobody_in_particular_is_done_by_the_leader_alone(
    due_times: DueTimes, clock: Clock, redis_manager: RedisManager
) -> None:
    done, leads = Done(), False

    async def is_leader() -> bool:
        return leads

    schedule = Schedule([job(done, for_everybody=True)], due_times=due_times, clock=clock, leads=is_leader)
    clock.now = EIGHT - HOUR
    assert await schedule.poll() == 0
    leads = True
    assert await schedule.poll() == 0
    clock.now = EIGHT
    assert await schedule.poll() == 1
    # Redis is emptied: what was due within the hour is looked at once more, and bears the same key.
    await redis_manager.transaction([("FLUSHALL",)])
    clock.now = EIGHT + HOUR / 2
    assert await schedule.poll() == 1
    assert await schedule.poll() == 0
    assert done.runs == [(EVERYBODY, EIGHT)] * 2


async def test_what_goes_wrong_for_one_costs_nobody_else(due_times: DueTimes, clock: Clock) -> None:
    done: list[str] = []

    async def run(due: Due) -> int:
        if due.subject == "7" and clock.now < EIGHT + TRY_AGAIN:
            raise ValueError("a report that cannot be made")
        done.append(due.subject)
        return 1

    schedule = Schedule([job(run)], due_times=due_times, clock=clock)
    for user in (7, 8):
        await due_times.set("report", user, EIGHT)
    with capture_logs() as logs:
        assert await schedule.poll() == 1
        assert await schedule.poll() == 0
    assert [line["subject"] for line in logs if line["event"] == "job_failed"] == ["7"]
    clock.now = EIGHT + TRY_AGAIN
    assert await schedule.poll() == 1
    assert done == ["8", "7"]


async def test_a_time_that_was_changed_meanwhile_stands(due_times: DueTimes, clock: Clock) -> None:
    async def run(due: Due) -> int:
        await due_times.set("report", due.user_id, EIGHT + 5 * HOUR)
        return 1

    await due_times.set("report", 7, EIGHT)
    await due_times.set("report", 7, EIGHT + DAY, unless_known=True)
    schedule = Schedule([job(run)], due_times=due_times, clock=clock)
    assert await schedule.poll() == 1
    clock.now = EIGHT + 5 * HOUR
    assert await schedule.poll() == 1
    await due_times.remove("report", 7)
    clock.now = EIGHT + 9 * DAY
    assert await schedule.poll() == 0


async def test_an_emptied_redis_learns_again_when_what_is_due(
    due_times: DueTimes, clock: Clock, redis_manager: RedisManager
) -> None:
    async def all_due() -> AsyncIterator[tuple[int, datetime]]:
        for user in (7, 8):
            yield user, EIGHT

    done = Done()
    reports = replace(job(done), all_due=all_due)
    schedule = Schedule([reports, Job(name="other", run=done)], due_times=due_times, clock=clock)
    await redis_manager.transaction([("FLUSHALL",)])
    await due_times.set("report", 8, EIGHT + HOUR)
    assert await schedule.rebuild() == 2
    assert await schedule.poll() == 1
    assert done.runs == [("7", EIGHT)]


async def test_redis_being_away_is_the_looker_to_wait_for(clock: Clock) -> None:
    async with RedisManager("redis://127.0.0.1:1/0") as redis:
        with pytest.raises(RedisUnavailableError):
            await Schedule([job(Done())], due_times=DueTimes(redis), clock=clock).poll()


# a job that sends something


@pytest.fixture
async def way(redis_url: str) -> AsyncIterator[Way]:
    async with whole_way(redis_url) as way:
        yield way_of(way.redis, way.telegram, way.manager, [NoticeComposer().row()])


def reports(putting: Putting, *, killed: bool = False) -> Job:
    async def run(due: Due) -> int:
        put = await putting.put(notice(due.user_id, f"Report of {due.moment}", subject=due.moment, at=due.at))
        if killed:
            raise KilledError
        return bool(put)

    return job(run)


async def test_two_processes_that_see_the_same_due_time_and_a_kill_between_send_one_message(way: Way) -> None:
    ann = await way.person()
    way.clock.now = EIGHT
    await way.due_times.set("report", ann.id, EIGHT)
    seen = await way.redis.zrange_by_score(keys.DUE.of("report", partition_of(ann.id)))
    with pytest.raises(KilledError):
        await Schedule([reports(way.putting, killed=True)], due_times=way.due_times, clock=way.clock).poll()
    assert await way.redis.zrange_by_score(keys.DUE.of("report", partition_of(ann.id))) == seen
    first, second = (Schedule([reports(way.putting)], due_times=way.due_times, clock=way.clock) for _ in range(2))
    assert await first.poll() == 0, "it had been put"
    await way.due_times.set("report", ann.id, EIGHT)  # the other one has looked before it was moved on
    assert await second.poll() == 0
    await way.deliver()
    assert texts_of(ann) == [f"Report of {EIGHT.isoformat()}"]
    way.clock.now = EIGHT + DAY
    assert await second.poll() == 1
    await way.deliver()
    assert len(texts_of(ann)) == 2
