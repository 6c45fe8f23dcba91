from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery.changes import snoozed_for
from domain.delivery.policy import parse_cap, parse_pass_score
from domain.delivery.quiet import is_quiet, next_full_hour, parse_quiet_hours, quiet_until, show_minute, zone_of
from domain.reading.typed import Unsure
from domain.subscribers.subscriber import QuietHours
from domain.subscribers.zones import parse_time_zone, show_zone
from runtime.errors import UserFacingError

MINUTE = timedelta(minutes=1)
zones = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",  # summer time moves the clock by half an hour
        "Pacific/Apia",  # left out a whole day in 2011
        "Africa/Casablanca",
        "America/St_Johns",
        "Asia/Kathmandu",
    ]
)
minutes = st.integers(0, 1439)
moments = st.datetimes(datetime(2010, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of a strategy are naive
changes = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
        datetime(2011, 12, 30, 10, tzinfo=UTC),
    ]
)


@st.composite
def near_a_change(draw: st.DrawFn) -> datetime:
    return draw(changes) + timedelta(seconds=draw(st.integers(-90_000, 90_000)))


around_changes = near_a_change()


@given(minutes, minutes, zones, moments | around_changes)
def test_quiet_hours_end_at_the_first_moment_that_is_not_quiet(start: int, end: int, zone: str, at: datetime) -> None:
    quiet = QuietHours(start_minute=start, end_minute=end)
    until = quiet_until(quiet, zone, at)
    assert not is_quiet(quiet, zone, until)
    assert at <= until <= at + timedelta(days=2)
    if is_quiet(quiet, zone, at):
        assert until > at
        last = until - MINUTE
        while last > at:
            assert is_quiet(quiet, zone, last)
            last -= 17 * MINUTE
    else:
        assert until == at


@given(minutes, minutes, zones, moments | around_changes)
def test_the_wall_clock_decides(start: int, end: int, zone: str, at: datetime) -> None:
    local = at.astimezone(zone_of(zone))
    shown = local.hour * 60 + local.minute
    within = (shown - start) % 1440 < (end - start) % 1440
    assert is_quiet(QuietHours(start_minute=start, end_minute=end), zone, at) == within


def test_a_night_in_which_the_clock_is_put_back() -> None:
    quiet = QuietHours(start_minute=23 * 60, end_minute=7 * 60)
    evening = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # half past midnight in Berlin, summer time
    assert quiet_until(quiet, "Europe/Berlin", evening) == datetime(2026, 10, 25, 6, tzinfo=UTC)
    assert quiet_until(quiet, "Europe/Berlin", evening - timedelta(days=1)) == datetime(2026, 10, 24, 5, tzinfo=UTC)


def test_an_end_that_the_clock_skips() -> None:
    quiet = QuietHours(start_minute=23 * 60, end_minute=2 * 60 + 30)
    night = datetime(2026, 3, 29, 0, 15, tzinfo=UTC)
    assert quiet_until(quiet, "Europe/Berlin", night) == datetime(2026, 3, 29, 1, tzinfo=UTC)


@given(zones, moments | around_changes)
def test_the_next_full_hour(zone: str, at: datetime) -> None:
    then = next_full_hour(zone, at)
    assert at < then <= at + timedelta(hours=1)


def test_an_unknown_zone_is_utc() -> None:
    assert str(zone_of("Mars/Olympus")) == "UTC"
    assert str(zone_of("../../etc/passwd")) == "UTC"
    assert str(zone_of("Europe")) == "UTC"


@given(minutes, minutes)
def test_what_is_shown_can_be_typed(start: int, end: int) -> None:
    typed = f"{show_minute(start)} - {show_minute(end)}"
    if start == end:
        with pytest.raises(UserFacingError, match=r"quiet\.empty"):
            parse_quiet_hours(typed)
    else:
        assert parse_quiet_hours(typed) == (start, end)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("23-7", (1380, 420)),
        ("22:30 - 6:00", (1350, 360)),
        ("22.30–6", (1350, 360)),
        ("11pm to 7am", (1380, 420)),
        ("12am-12pm", (0, 720)),
        ("from 1 until 24", (60, 0)),
        ("\u202a٢٣-٧\u202c", (1380, 420)),
        ("22h30 ～ 6h", (1350, 360)),
        ("11 p.m. to 7 a.m.", (1380, 420)),
        ("11pm-7", (1380, 420)),
        ("11 pm til 7 am", (1380, 420)),
        ("1830-1900", (1110, 1140)),
        ("930 to 1015", (570, 615)),
        ("between 23 and 7", (1380, 420)),
        ("1-7", (60, 420)),
        ("10:00-06:00", (600, 360)),
        ("from 11pm to 7 in the morning", (1380, 420)),
        ("from 11 at night until 7 in the morning", (1380, 420)),
        ("eleven in the evening to seven in the morning", (1380, 420)),
        ("2 at night to noon", (120, 720)),
        ("midnight to 6am", (0, 360)),
    ],
)
def test_quiet_hours_as_people_type_them(typed: str, expected: tuple[int, int]) -> None:
    assert parse_quiet_hours(typed) == expected


def paused(typed: str) -> object:
    return snoozed_for(typed, datetime(2026, 3, 29, tzinfo=UTC))


BEYOND = {"number.out_of_range", "number.too_small"}


@pytest.mark.parametrize(
    ("read", "typed", "number"),
    [
        (parse_cap, "two", 2),
        (parse_cap, "at most 10 an hour", 10),
        (parse_cap, "twenty or less", 20),
        (parse_pass_score, "at least 80", 80),
        (parse_pass_score, "80 or more", 80),
        (parse_pass_score, "0", 0),
    ],
)
def test_bounded_numbers_as_people_type_them(read: Callable[[str], int], typed: str, number: int) -> None:
    assert read(typed) == number


@pytest.mark.parametrize(
    ("read", "typed", "key"),
    [
        (parse_pass_score, "150", "number.out_of_range"),
        (parse_pass_score, "9" * 40, "number.out_of_range"),
        (parse_pass_score, "-5", "number.too_small"),
        (parse_pass_score, "at most 80", "level.unreadable"),
        (parse_cap, "1,000,000", "number.out_of_range"),
        (parse_cap, "0", "number.too_small"),
        (parse_cap, "at least 5", "cap.unreadable"),
        (parse_cap, "bananas", "cap.unreadable"),
        (paused, "400d", "number.out_of_range"),
        (paused, "99999 weeks", "number.out_of_range"),
        (paused, "0", "pause.unreadable"),
    ],
)
def test_a_number_beyond_its_bounds_is_said_to_be_that(read: Callable[[str], object], typed: str, key: str) -> None:
    assert key_of_refusal(read, typed) == key


typed_anything = st.text(max_size=40) | st.from_regex(r"\d{1,3}[:.]?\d{0,3} ?- ?\d{1,3}(am|pm)?", fullmatch=True)


def key_of_refusal(read: Callable[[str], object], typed: str) -> str | None:
    try:
        read(typed)
    except UserFacingError as error:
        return error.key
    return None


@given(typed_anything)
def test_anything_typed_is_read_or_refused_politely(typed: str) -> None:
    assert key_of_refusal(parse_quiet_hours, typed) in {None, "quiet.unreadable", "quiet.empty", "quiet.which"}
    assert key_of_refusal(parse_time_zone, typed) in {None, "zone.unknown", "zone.unreadable", "zone.which"}
    assert key_of_refusal(parse_cap, typed) in {None, "cap.unreadable", *BEYOND}
    assert key_of_refusal(parse_pass_score, typed) in {
        None,
        "level.unreadable",
        "number.out_of_range",
        "number.too_small",
    }


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("UTC", "UTC"),
        ("utc+2", "Etc/GMT-2"),
        ("GMT-5", "Etc/GMT+5"),
        ("+5:30", "Asia/Kolkata"),
        ("UTC−3", "Etc/GMT+3"),
        ("\u202aUTC+٢\u202c", "Etc/GMT-2"),
        ("São Paulo", "America/Sao_Paulo"),
        ("Ber\u200blin", "Europe/Berlin"),
        ("JST", "Asia/Tokyo"),
        ("America/New York", "America/New_York"),
    ],
)
def test_time_zones_as_people_type_them(typed: str, zone: str) -> None:
    assert parse_time_zone(typed) == zone
    assert str(zone_of(zone)) == zone


def test_a_misspelled_place_gets_suggestions() -> None:
    with pytest.raises(Unsure) as refused:
        parse_time_zone("Berln")
    assert "Europe/Berlin" in refused.value.readings


@pytest.mark.parametrize(
    ("typed", "regions"),
    [
        ("EST", {"America/New_York", "America/Panama", "Australia/Sydney"}),
        ("pst", {"America/Los_Angeles", "Asia/Manila"}),
        ("Pacific", {"America/Los_Angeles", "America/Vancouver"}),
        ("CET", {"Europe/Berlin", "Africa/Algiers"}),
        ("IST", {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"}),
        ("GMT", {"Europe/London", "UTC"}),
    ],
)
def test_an_abbreviation_is_no_place(typed: str, regions: set[str]) -> None:
    with pytest.raises(Unsure) as doubt:
        parse_time_zone(typed)
    assert doubt.value.key == "zone.which"
    assert regions <= {*doubt.value.readings}
    assert [parse_time_zone(region) for region in doubt.value.readings] == [*doubt.value.readings]


@pytest.mark.parametrize("typed", ["XYZT", "", "EST!", "\u200b", "PMST"])
def test_no_abbreviation_is_suggested_for_another(typed: str) -> None:
    assert key_of_refusal(parse_time_zone, typed) == "zone.unreadable"


@given(st.sampled_from(sorted(available_timezones())) | st.integers(-12, 14).map(lambda hours: f"UTC{hours:+}"))
def test_a_zone_that_is_shown_can_be_typed(typed: str) -> None:
    try:
        zone = parse_time_zone(typed)
    except UserFacingError:
        return
    assert parse_time_zone(show_zone(zone)) == zone


@pytest.mark.parametrize(
    ("typed", "readings"),
    [
        ("10-6", ("22:00-06:00", "10:00-18:00", "10:00-06:00")),
        ("5 to 7", ("17:00-19:00", "05:00-07:00")),
        ("12-8", ("00:00-08:00", "12:00-20:00", "12:00-08:00")),
        ("11 - 7am", ("23:00-07:00", "11:00-07:00")),
        ("9am-5", ("09:00-17:00", "09:00-05:00")),
    ],
)
def test_hours_that_may_be_those_of_the_afternoon_are_asked_back(typed: str, readings: tuple[str, ...]) -> None:
    with pytest.raises(Unsure) as doubt:
        parse_quiet_hours(typed)
    assert doubt.value.readings == readings
    for reading in readings:
        start, end = parse_quiet_hours(reading)
        assert f"{show_minute(start)}-{show_minute(end)}" == reading


@pytest.mark.parametrize("typed", ["80", "٨٠", "80+", "80/100", "\u200b80", "８０"])
def test_a_level_as_it_is_typed_and_shown(typed: str) -> None:
    assert parse_pass_score(typed) == 80


@pytest.mark.parametrize("typed", ["10", "10 per hour", "10/h", "١٠"])
def test_a_cap_as_it_is_typed(typed: str) -> None:
    assert parse_cap(typed) == 10
