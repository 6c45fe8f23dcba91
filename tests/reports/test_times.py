"""A report is due once on each day of the reader's calendar, whatever summer time does, wherever they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reports.times import TIMES, day_of, is_due_at, report_name
from domain.schedule.misfires import steps_of
from domain.schedule.triggers import Trigger
from domain.subscribers.subscriber import REPORTS, ReportName

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
zones = st.sampled_from(
    [BERLIN, NEW_YORK, *map(ZoneInfo, ("UTC", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo"))]
)
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
instants = st.integers(0, 4 * 366 * 86_400).map(lambda seconds: SINCE + timedelta(seconds=seconds))
reports = st.sampled_from(REPORTS)


@given(reports, zones, instants)
def test_each_day_has_one_and_its_window_ends_when_it_is_due(report: ReportName, zone: ZoneInfo, at: datetime) -> None:
    trigger = TIMES[report].trigger(zone)
    due = [at := trigger.next_after(at) for _ in range(20)]
    days = [day_of(zone, one) for one in due]
    assert len(set(days)) == len(days)
    for one in due:
        local = one.astimezone(zone)
        assert local.hour * 60 + local.minute == TIMES[report].minute
        assert local.weekday() in TIMES[report].weekdays
        assert is_due_at(report, zone, one)
        assert not is_due_at(report, zone, one + timedelta(minutes=1))
    if report == "daily":
        assert all(timedelta(hours=23) <= later - earlier <= timedelta(hours=25) for earlier, later in pairwise(due))


@given(st.integers(0, 1439), st.sampled_from([BERLIN, NEW_YORK]), instants)
def test_a_minute_that_the_clock_skips_or_shows_twice_is_due_once(minute: int, zone: ZoneInfo, at: datetime) -> None:
    trigger = Trigger(minute=minute, zone=zone)
    due = [at := trigger.next_after(at) for _ in range(10)]
    assert all(timedelta(hours=22) < later - earlier < timedelta(hours=26) for earlier, later in pairwise(due))


@pytest.mark.parametrize(
    ("zone", "day", "shown"),
    [
        (BERLIN, date(2027, 3, 28), "2027-03-28 01:30"),  # 02:30 is skipped there
        (BERLIN, date(2026, 10, 25), "2026-10-25 00:30"),  # and shown twice here: the first one
        (NEW_YORK, date(2027, 3, 14), "2027-03-14 07:30"),
        (NEW_YORK, date(2026, 11, 1), "2026-11-01 06:30"),
    ],
)
def test_half_past_two_in_the_night_of_the_change(zone: ZoneInfo, day: date, shown: str) -> None:
    minute = 150 if (zone, day.month) != (NEW_YORK, 11) else 90  # there it is 01:30 that comes twice
    before = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=4)
    due = Trigger(minute=minute, zone=zone).next_after(before)
    expected = shown if (zone, day.month) != (NEW_YORK, 11) else "2026-11-01 05:30"
    assert f"{due:%Y-%m-%d %H:%M}" == expected


@given(reports, zones, instants, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_of_what_was_missed_only_what_is_not_too_late_is_made_up_for(
    report: ReportName, zone: ZoneInfo, at: datetime, away: timedelta
) -> None:
    times = TIMES[report]
    trigger = times.trigger(zone)
    due = trigger.next_after(at)
    now = due + away
    steps = steps_of(due, now, "skip", times.too_late, trigger.next_after)
    done = [step.runs for step in steps if step.runs]
    assert len(done) <= 1
    assert all(now - one <= times.too_late for one in done)
    last = steps[-1].then
    assert last is not None
    assert last > now


def test_only_names_of_reports_are_names() -> None:
    assert report_name("daily") == "daily"
    assert report_name("hourly") is None
