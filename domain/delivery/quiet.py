"""Quiet hours by the clock on the subscriber's wall, whatever summer time does to it.

An instant is quiet when the wall clock shows a minute from `start_minute` up to, but not including, `end_minute`,
over midnight where the end is smaller. An hour that the clock shows twice is judged twice, one that it skips never.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from domain.reading.typed import Unsure, clip, plain
from domain.subscribers.subscriber import QuietHours
from domain.subscribers.zones import show_zone
from runtime.errors import UserFacingError

MINUTES_PER_DAY: Final = 24 * 60
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_MAX_MINUTES: Final = 2 * MINUTES_PER_DAY
"""No wall clock needs more minutes than this to show all its minutes."""
_NOON: Final = 12
_HALF_DAY: Final = MINUTES_PER_DAY // 2
_TIME: Final = r"(\d{1,2})(?:[:.h]?(\d{2})|h)? ?(am|pm|a\.m\.|p\.m\.)?"
_PART_OF_DAY: Final = re.compile(r" ?(?:in the (morning|afternoon|evening)|at (night))\b")
_NIGHT_BEGINS: Final = 6
"""At night, a smaller number is an hour after midnight."""
_EARLY: Final = 5 * 60
"""An hour before it is one of the night, where nothing says otherwise."""
_TIMES: Final = re.compile(rf"(?:(?:from|between) )?{_TIME} ?(?:-|~|\.\.|to|until|till|til|and) ?{_TIME}")


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return the zone; UTC for a name that this machine does not know (any more)."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory among the zones
        return ZoneInfo("UTC")


def shown_time(at: datetime, zone: str) -> str:
    """`24 Dec 2026, 18:00 (Europe/Berlin)`."""
    try:
        local = at.astimezone(zone_of(zone))
    except OverflowError:  # the last day that a calendar has
        return f"{at:%d %b %Y, %H:%M} (UTC)"
    return f"{local:%d %b %Y, %H:%M} ({show_zone(zone)})"


def is_quiet(quiet: QuietHours, time_zone: str, at: datetime) -> bool:
    local = at.astimezone(zone_of(time_zone))
    minute = local.hour * 60 + local.minute
    if quiet.start_minute <= quiet.end_minute:
        return quiet.start_minute <= minute < quiet.end_minute
    return minute >= quiet.start_minute or minute < quiet.end_minute


def quiet_until(quiet: QuietHours, time_zone: str, at: datetime) -> datetime:
    """Return the first instant from `at` on that is not quiet, in UTC."""
    if not is_quiet(quiet, time_zone, at):
        return at.astimezone(UTC)
    zone = zone_of(time_zone)
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    begun = at.astimezone(UTC) - timedelta(seconds=local.second, microseconds=local.microsecond)
    left = (quiet.end_minute - minute) % MINUTES_PER_DAY
    end = begun + timedelta(minutes=left)
    if local.utcoffset() == end.astimezone(zone).utcoffset():
        return end
    # The clock is put forward or back meanwhile: watch it minute by minute.
    steps = (begun + _MINUTE * step for step in range(1, _MAX_MINUTES))
    return next((step for step in steps if not is_quiet(quiet, time_zone, step)), end)


def next_full_hour(time_zone: str, at: datetime) -> datetime:
    """Return when the wall clock next shows a full hour, in UTC."""
    local = at.astimezone(zone_of(time_zone))
    passed = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at.astimezone(UTC) - passed + _HOUR


def parse_quiet_hours(text: str) -> tuple[int, int]:
    """Read `23-7`, `22:30 - 6:00`, `11pm to 7am` or `from 11 at night to 7 in the morning` as first and last minute.

    Raises `UserFacingError`; for hours that may be those of the afternoon, as in `10-6`, `Unsure`.
    """
    typed = clip(text)
    found = _TIMES.fullmatch(_with_halves(plain(text) or ""))
    start, end = (_minute(*found.groups()[:3]), _minute(*found.groups()[3:])) if found else (None, None)
    if found is None or start is None or end is None:
        raise UserFacingError("quiet.unreadable", typed=typed)
    if start == end:
        raise UserFacingError("quiet.empty", typed=typed)
    ends = found.groups()[:3], found.groups()[3:]
    is_open = [_is_open(*one) and not any(_is_of_24(*other) for other in ends) for one in ends]
    meant = tuple(_meant(start, end, is_open))
    if len(meant) > 1:
        readings = (f"{show_minute(first)}-{show_minute(last)}" for first, last in meant)
        raise Unsure("quiet.which", readings, typed=typed)
    return start, end


def _with_halves(typed: str) -> str:
    """Write parts of the day as `am` and `pm`."""

    def half(found: re.Match[str]) -> str:
        if found[1]:
            return "am" if found[1] == "morning" else "pm"
        hour = re.search(r"(\d{1,2})(?:[:.h]\d{2}|h)?$", typed[: found.start()])
        return "am" if hour is None or int(hour[1]) in {*range(_NIGHT_BEGINS), _NOON} else "pm"

    typed = re.sub(r"\bmidnight\b", "0:00", re.sub(r"\bnoon\b", "12:00", typed))
    return _PART_OF_DAY.sub(half, typed)


def _is_of_24(hours: str, _minutes: str | None, _half: str | None) -> bool:
    return int(hours) > _NOON


def _is_open(hours: str, minutes: str | None, half: str | None) -> bool:
    """Whether an hour may be one of the morning or of the afternoon."""
    return not minutes and not half and not hours.startswith("0") and int(hours) <= _NOON


def _meant(start: int, end: int, is_open: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """What was typed, last; first the other half of the day, or, where it was longer, nights of at most half a day."""
    if (end - start) % MINUTES_PER_DAY > _HALF_DAY:
        for first in (start + _HALF_DAY, start)[not is_open[0] :]:
            for last in (end, end + _HALF_DAY)[: 1 + is_open[1]]:
                if 0 < (last - first) % MINUTES_PER_DAY <= _HALF_DAY:
                    yield first % MINUTES_PER_DAY, last % MINUTES_PER_DAY
    elif all(is_open) and start >= _EARLY:
        yield (start + _HALF_DAY) % MINUTES_PER_DAY, (end + _HALF_DAY) % MINUTES_PER_DAY
    yield start, end


def show_minute(minute: int) -> str:
    """Show a minute of the day as `22:30`; `parse_quiet_hours` reads it."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(hours: str, minutes: str | None, half: str | None) -> int | None:
    hour, minute = int(hours), int(minutes or 0)
    if half:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if half.startswith("p") else 0)
    total = hour * 60 + minute
    if minute > 59 or total > MINUTES_PER_DAY:  # noqa: PLR2004 - minutes of an hour
        return None
    return total % MINUTES_PER_DAY
