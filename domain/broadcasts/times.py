"""When something is to begin, as somebody types it: `18:00`, `tomorrow 9:30`, `2026-12-24 18:00`, `in 2h`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from domain.delivery.quiet import zone_of
from domain.filters.lists import Unreadable
from domain.filters.numbers import Assumed, read_value
from domain.reading.typed import clip, plain
from runtime.errors import UserFacingError

LATEST: Final = timedelta(days=365)
_MOMENT: Final = re.compile(r"(?:(\d{4})-(\d{1,2})-(\d{1,2})[ t]+|(today|tomorrow)[, ]+)?(?:at )?(\d{1,2})[:.](\d{2})")
_IN: Final = re.compile(r"in (.{1,32})")


def read_moment(text: str, now: datetime, time_zone: str) -> datetime:
    """Return the time that is meant on that clock, in UTC. Raises `UserFacingError`, also for what has passed."""
    typed = plain(text) or ""
    if span := _IN.fullmatch(typed):
        at = now + _span(span[1], text)
    elif found := _MOMENT.fullmatch(typed):
        at = _moment(found, now, time_zone, text)
    else:
        raise UserFacingError("moment.unreadable", typed=clip(text))
    if not now < at <= now + LATEST:
        raise UserFacingError("moment.passed", typed=clip(text))
    return at.astimezone(UTC).replace(microsecond=0)


def _span(typed: str, text: str) -> timedelta:
    try:
        return timedelta(seconds=read_value(typed, "duration", Assumed()))
    except (Unreadable, OverflowError) as error:
        raise UserFacingError("moment.unreadable", typed=clip(text)) from error


def _moment(found: re.Match[str], now: datetime, time_zone: str, text: str) -> datetime:
    zone = zone_of(time_zone)
    local = now.astimezone(zone)
    year, month, day, word, hours, minutes = found.groups()
    try:
        on = date(int(year), int(month), int(day)) if year else local.date()
        at = datetime(on.year, on.month, on.day, int(hours), int(minutes), tzinfo=zone)
    except ValueError as error:
        raise UserFacingError("moment.unreadable", typed=clip(text)) from error
    is_next = word == "tomorrow" or (not year and word is None and at <= now)
    return at + timedelta(days=1) if is_next else at
