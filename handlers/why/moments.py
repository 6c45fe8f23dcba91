"""How moments read in explanations: in the zone of the person, with the day where an hour alone is not clear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.delivery.quiet import zone_of

_SOON: Final = timedelta(hours=20)
"""Within it an hour and a minute say which ones are meant."""


def shown_moment(at: datetime, zone: str, *, exact: bool = False) -> str:
    local = _local(at, zone)
    return f"{local:%d %b %Y, %H:%M}" if not exact else f"{local:%d %b %Y, }{shown_exactly(at, zone)}"


def shown_exactly(at: datetime, zone: str) -> str:
    """To the millisecond, without the day."""
    local = _local(at, zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def clock_or_day(at: datetime, now: datetime, zone: str) -> str:
    return shown_clock(at, zone) if abs(at - now) < _SOON else shown_moment(at, zone)


def shown_clock(at: datetime, zone: str) -> str:
    return f"{_local(at, zone):%H:%M}"


def shown_day(at: datetime, zone: str) -> str:
    return f"{_local(at, zone):%d %b %Y}"


def _local(at: datetime, zone: str) -> datetime:
    try:
        return at.astimezone(zone_of(zone))
    except OverflowError:  # the first and the last day that a calendar has
        return at.astimezone(UTC)
