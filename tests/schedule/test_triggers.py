"""Once on each of the days, by the clock on the wall, whatever summer time does to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.schedule.triggers import Trigger

BERLIN = ZoneInfo("Europe/Berlin")
PLACES = "UTC Europe/Berlin America/New_York Australia/Lord_Howe Asia/Kathmandu America/Santiago"
ZONES = [ZoneInfo(name) for name in PLACES.split()]
DAY = timedelta(days=1)

instants = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
minutes = st.integers(0, 24 * 60 - 1)
zones = st.sampled_from(ZONES)


def times(trigger: Trigger, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    for _ in range(count):
        after = trigger.next_after(after)
        found.append(after)
    return found


def test_every_evening_at_eight_in_berlin() -> None:
    evening = Trigger(minute=20 * 60, zone=BERLIN)
    assert times(evening, datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == [
        datetime(2026, 3, 28, 19, tzinfo=UTC),
        datetime(2026, 3, 29, 18, tzinfo=UTC),  # summer time has begun
    ]
    assert times(evening, datetime(2026, 10, 24, 18, tzinfo=UTC), 1) == [datetime(2026, 10, 25, 19, tzinfo=UTC)]


def test_a_minute_that_is_skipped_or_comes_twice_counts_once() -> None:
    early = Trigger(minute=2 * 60 + 30, zone=BERLIN)
    assert times(early, datetime(2026, 3, 28, 2, tzinfo=UTC), 2) == [
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # the clock shows 3:30
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]
    assert times(early, datetime(2026, 10, 24, 2, tzinfo=UTC), 2) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the first of the two
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize("weekday", range(7))
def test_on_one_day_of_the_week(weekday: int) -> None:
    trigger = Trigger(minute=0, zone=BERLIN, weekdays=frozenset({weekday}))
    found = times(trigger, datetime(2026, 1, 1, tzinfo=UTC), 60)
    assert {at.astimezone(BERLIN).weekday() for at in found} == {weekday}
    days = [at.astimezone(BERLIN).date() for at in found]
    assert all(later - earlier == 7 * DAY for earlier, later in pairwise(days))


@given(after=instants, minute=minutes, zone=zones)
def test_each_day_has_one_time_at_its_minute_unless_that_is_skipped(
    after: datetime, minute: int, zone: ZoneInfo
) -> None:
    found = times(Trigger(minute=minute, zone=zone), after, 400)
    assert found == sorted(set(found))
    assert after < found[0] <= after + DAY + timedelta(hours=2)
    days = [at.astimezone(zone).date() for at in found]
    assert days == [days[0] + number * DAY for number in range(len(days))]
    for at in found:
        local = at.astimezone(zone)
        if local.hour * 60 + local.minute != minute:
            assert is_skipped(minute, local.date(), zone)
        else:
            assert local.fold == 0


def is_skipped(minute: int, day: date, zone: ZoneInfo) -> bool:
    """Whether no instant of the day shows the minute: a plain walk over all of them."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
    shown = ((midnight + timedelta(minutes=step)).astimezone(zone) for step in range(3 * 24 * 60))
    return not any(local.date() == day and local.hour * 60 + local.minute == minute for local in shown)


@given(after=instants, minute=minutes, zone=zones)
def test_the_next_time_is_the_same_from_wherever_one_looks(after: datetime, minute: int, zone: ZoneInfo) -> None:
    trigger = Trigger(minute=minute, zone=zone)
    at = trigger.next_after(after)
    assert trigger.next_after(at - timedelta(microseconds=1)) == at
    assert trigger.next_after(after + (at - after) / 2) == at
