"""Reports come by themselves: at their hour on somebody's clock, once, and only who wants one gets it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import QuietHours
from managers.storage.postgres import PostgresManager
from runtime.errors import FatalError
from services.reports.schedule import AT_ONCE, MAX_HELD, job_of
from services.schedule.due_times import Due
from services.schedule.schedule import Schedule
from tests.delivery.kit import NOWHERE, texts_of, way_of
from tests.reports.kit import EVENING, PRESET, Reports, reports_on

DAY = timedelta(days=1)
SUNDAY = datetime(2026, 11, 29, 19, tzinfo=UTC)


class KilledError(FatalError):
    """The process ends here."""


async def test_the_day_is_told_at_eight_and_says_how_sure_it_is(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id)
    assert await reports.send() == 0
    reports.way.clock.now = EVENING
    assert await reports.send() == 1
    [told] = texts_of(ann)[-1:]
    assert told.startswith("📊 Your alerts · 24 hours to 27 Nov, 20:00")
    assert "Tokens: 6 · calls in your alerts and digests: 6 · still open: 6" in told
    assert "50% reached 2x (95% interval 19% to 81%) · all tracked tokens in the same time: 50%" in told
    assert "median 2x, mean 3.62x" in told
    assert "1. T5 ≥ 12.4x in 40m · @\u2060alpha" in told
    assert await reports.send() == 0


async def test_somebody_new_gets_the_week_and_nothing_else(reports: Reports) -> None:
    ann = await reports.person()
    await reports.shelf.some(ann.id, at=SUNDAY - DAY)
    reports.way.clock.now = SUNDAY - timedelta(seconds=1)
    assert await reports.send() == 0
    reports.way.clock.now = SUNDAY
    assert await reports.send() == 1
    assert texts_of(ann)[-1].startswith("📊 Your alerts · 7 days to 29 Nov, 19:00")


async def test_who_got_no_alert_is_left_alone(reports: Reports) -> None:
    ann = await reports.person(reports=("daily", "best", "channels"))
    reports.way.clock.now = EVENING + timedelta(hours=1)
    assert await reports.send() == 0
    assert texts_of(ann) == []
    assert reports.schedule.empty


async def test_it_comes_on_the_clock_of_the_reader(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",), time_zone="America/New_York")
    await reports.shelf.some(ann.id)
    reports.way.clock.now = EVENING + timedelta(hours=4, minutes=59)
    assert await reports.send() == 0
    reports.way.clock.now = EVENING + timedelta(hours=5)
    assert await reports.send() == 1
    assert "24 hours to 27 Nov, 20:00" in texts_of(ann)[-1]


async def test_who_moves_on_the_same_day_gets_no_second_one(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",), time_zone="Europe/Berlin")
    await reports.shelf.some(ann.id)
    await reports.shelf.some(ann.id, at=EVENING + timedelta(hours=6))
    reports.way.clock.now = EVENING - timedelta(hours=1)  # 20:00 in Berlin
    assert await reports.send() == 1
    await reports.choose(ann, time_zone="America/New_York")
    reports.way.clock.now = EVENING + timedelta(hours=5)
    assert await reports.send() == 0
    reports.way.clock.now += DAY
    assert await reports.send() == 1


async def test_what_was_missed_comes_late_once_and_not_a_day_later(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id, at=EVENING + 2 * DAY - timedelta(hours=3))
    reports.way.clock.now = EVENING + 2 * DAY + timedelta(hours=3)
    assert await reports.send() == 1
    [told] = texts_of(ann)
    assert "24 hours to 29 Nov, 20:00" in told
    assert "⏱ Late: this was due at 29 Nov, 20:00." in told
    reports.way.clock.now += timedelta(hours=13)
    assert await reports.send() == 0


async def test_what_is_turned_off_comes_no_more_and_what_is_turned_on_comes_next_time(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id)
    await reports.choose(ann, reports=())
    reports.way.clock.now = EVENING
    assert await reports.send() == 0
    await reports.choose(ann, reports=("best",))
    reports.way.clock.now = EVENING + timedelta(hours=1)
    assert await reports.send() == 1
    assert texts_of(ann)[-1].startswith("🏆 Best calls · 24 hours to 27 Nov, 21:00")


async def test_it_comes_at_night_too_and_who_pauses_gets_none(reports: Reports) -> None:
    night = QuietHours(start_minute=19 * 60, end_minute=7 * 60)
    ann = await reports.person(reports=("daily",), quiet=night)
    ben = await reports.person(reports=("daily",))
    await reports.way.users.subscribers.change(ben.id, lambda s: replace(s, paused=True))
    for person in (ann, ben):
        await reports.shelf.some(person.id)
    reports.way.clock.now = EVENING
    assert await reports.send() == 1
    assert len(texts_of(ann)) == 1
    assert texts_of(ben) == []


async def test_the_best_of_the_day_is_drawn_once_and_then_sent_by_its_id(reports: Reports) -> None:
    people = [await reports.person(reports=("best",)) for _ in range(4)]
    for peak in (2.5, 12.4, 3.0):
        await reports.shelf.call(peak)
    await reports.shelf.call(50, token=f"{2:044}", at=EVENING - timedelta(hours=1))  # a repost of the second
    reports.way.clock.now = EVENING + timedelta(hours=1)
    assert await reports.send() == 4
    assert len(reports.pictures.asked) == 1
    assert len({person.messages[-1]["photo"][-1]["file_id"] for person in people}) == 1
    for person in people:
        [told] = texts_of(person)
        assert "1. T2 ≥ 12.4x" in told
        assert "50x" not in told


async def test_channels_stand_by_what_they_reach_at_least(reports: Reports) -> None:
    ann = await reports.person(reports=("channels",))
    for peak in (3, 3, 3, 1, 1):
        await reports.shelf.call(peak, at=SUNDAY - DAY, channel="@few")
    for peak in (3,) * 12 + (1,) * 10:
        await reports.shelf.call(peak, at=SUNDAY - DAY, channel="@many")
    await reports.shelf.call(99, at=SUNDAY - DAY, channel="@lucky")
    reports.way.clock.now = SUNDAY + timedelta(hours=2, minutes=30)
    assert await reports.send() == 1
    [told] = texts_of(ann)
    assert told.index("many") < told.index("few")
    assert "lucky" not in told
    assert "55% of 22" in told


async def test_presets_are_counted_from_those_who_follow_them(reports: Reports) -> None:
    ann = await reports.person(reports=("presets",))
    subscriber = await reports.way.users.subscribers.require(ann.id)
    follows = FilterSet(user_id=ann.id, number=1, name=PRESET, follows=PRESET)
    saved = replace(subscriber, filter_sets=(follows,))
    await reports.shelf.put("subscriber", replace(saved, revision=9))
    await reports.shelf.some(ann.id)
    reports.way.clock.now = EVENING + timedelta(minutes=30)
    assert await reports.send() == 1
    assert "Early gems · tokens: 6, the best ≥ 12.4x (T5)" in texts_of(ann)[-1]


async def test_two_processes_send_it_once(reports: Reports, postgres_manager: PostgresManager) -> None:
    other = reports_on(way_of(reports.way.redis, reports.way.telegram, reports.way.manager), postgres_manager)
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id)
    reports.way.clock.now = other.way.clock.now = EVENING
    due = Due(job=job_of("daily"), subject=str(ann.id), at=EVENING)
    counts = [await one.schedule.jobs()[0].run(due) for one in (reports, other)]
    assert counts == [1, 0]
    assert await other.rows.poll() == 0
    await reports.way.deliver()
    assert len(texts_of(ann)) == 1


async def test_a_kill_between_making_and_sending_sends_it_once(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id)
    reports.way.clock.now = EVENING
    for point in ("report_made", "report_put"):

        def die(passed: str, at: str = point) -> None:
            if passed == at:
                raise KilledError

        monkeypatch.setattr("services.reports.schedule.fault_point", die)
        with pytest.raises(KilledError):
            await reports.rows.poll()
    monkeypatch.undo()
    assert await reports.send() == 0
    assert len(texts_of(ann)) == 1


async def test_a_hundred_thousand_at_once_never_stand_before_an_alert(reports: Reports) -> None:
    await reports.way.due_times.set_many(job_of("daily"), [(number, EVENING) for number in range(1, 2_001)])
    reports.way.clock.now = EVENING
    done: list[int] = []

    async def run(due: Due) -> int:
        done.append(due.user_id)
        return 1

    async def never_again(subject: str) -> None:
        del subject

    job = dataclasses.replace(reports.schedule.jobs()[0], run=run, trigger=never_again)
    rows = Schedule([job], due_times=reports.way.due_times, clock=reports.way.clock)
    assert [await rows.poll(), await rows.poll()] == [AT_ONCE, AT_ONCE]
    assert len(set(done)) == 2 * AT_ONCE
    assert AT_ONCE < MAX_HELD


async def test_while_postgresql_is_away_others_are_done_and_it_comes_when_it_is_back(
    reports: Reports, postgres_manager: PostgresManager
) -> None:
    ann = await reports.person(reports=("daily",))
    await reports.shelf.some(ann.id)
    away = reports_on(way_of(reports.way.redis, reports.way.telegram, reports.way.manager), NOWHERE)
    away.way.clock.now = EVENING
    assert await away.rows.poll() == 0
    assert await away.rows.poll() == 0
    reports.way.clock.now = EVENING + timedelta(minutes=6)
    assert await reports.send() == 1
    assert len(texts_of(ann)) == 1


async def test_who_was_there_before_reports_is_given_times_and_so_is_an_emptied_redis(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",))
    subscriber = await reports.way.users.subscribers.require(ann.id)
    await reports.shelf.put("subscriber", subscriber)
    await reports.shelf.postgres.execute(
        "INSERT INTO subscribers (user_id, chat_id, name, plan, paused, unreachable, document, revision, updated_at)"
        " SELECT 1, 1, name, plan, paused, unreachable, jsonb_set(document, '{preferences}', '5'), revision, updated_at"
        " FROM subscribers WHERE user_id = $1",
        ann.id,
    )  # cannot be read, and costs itself
    await reports.way.due_times.remove(job_of("daily"), ann.id)
    await reports.rows.poll()  # the sweep runs at the first look
    await reports.shelf.some(ann.id)
    reports.way.clock.now = EVENING
    assert await reports.send() == 1
    await reports.way.due_times.remove(job_of("daily"), ann.id)
    assert await reports.rows.rebuild() >= 1
    assert await reports.send() == 0
    reports.way.clock.now = EVENING + DAY
    await reports.shelf.some(ann.id, at=EVENING + timedelta(hours=9))
    assert await reports.send() == 1


async def test_calls_of_one_name_are_told_apart_by_their_addresses(reports: Reports) -> None:
    ann = await reports.person(reports=("daily",))
    for peak, name, token in ((9.0, "CAT", "A" * 44), (8.0, "cat", "B" * 44), (7.0, "DOG", "C" * 44)):
        await reports.shelf.call(peak, ann.id, name=name, token=token)
    reports.way.clock.now = EVENING
    assert await reports.send() == 1
    [told] = texts_of(ann)[-1:]
    assert [line.split(" ≥")[0] for line in told.splitlines() if line[:2] in {"1.", "2.", "3."}] == [
        "1. CAT AAAAAA…",
        "2. cat BBBBBB…",
        "3. DOG",
    ]
