"""When each report is due, of which time it tells, and how late it may come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from domain.schedule.triggers import Trigger
from domain.subscribers.subscriber import REPORTS, ReportName

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
SUNDAY: Final = 6
_EVERY_DAY: Final = frozenset(range(7))
_MOMENT: Final = timedelta(microseconds=1)
WINDOWS: Final = (1, 7, 30)
"""Days of which somebody may ask for a report."""


class ReportTime(Struct, frozen=True, kw_only=True):
    minute: int
    """Of the day, on the subscriber's clock."""
    weekdays: frozenset[int] = _EVERY_DAY
    window: timedelta = DAY
    """Of which it tells: so long before it was due."""
    too_late: timedelta
    """What was missed for longer is left out."""

    def trigger(self, zone: ZoneInfo) -> Trigger:
        return Trigger(minute=self.minute, zone=zone, weekdays=self.weekdays)


TIMES: Final[dict[ReportName, ReportTime]] = {
    "daily": ReportTime(minute=20 * 60, too_late=timedelta(hours=6)),
    "best": ReportTime(minute=21 * 60, too_late=timedelta(hours=6)),
    "weekly": ReportTime(minute=19 * 60, weekdays=frozenset({SUNDAY}), window=WEEK, too_late=2 * DAY),
    "presets": ReportTime(minute=20 * 60 + 30, too_late=timedelta(hours=6)),
    "preset_results": ReportTime(minute=19 * 60 + 30, weekdays=frozenset({SUNDAY}), window=WEEK, too_late=2 * DAY),
    "channels": ReportTime(minute=21 * 60 + 30, weekdays=frozenset({SUNDAY}), window=WEEK, too_late=2 * DAY),
}
PERSONAL: Final[frozenset[ReportName]] = frozenset({"daily", "weekly"})
"""About what the subscriber got; the others say the same to everybody."""


def report_name(text: str) -> ReportName | None:
    """Read a name that a button or a job carries."""
    return next((name for name in REPORTS if name == text), None)


def is_due_at(report: ReportName, zone: ZoneInfo, at: datetime) -> bool:
    """Whether a report is due in this zone at just this instant: somebody may have moved since the time was set."""
    return TIMES[report].trigger(zone).next_after(at - _MOMENT) == at


def day_of(zone: ZoneInfo, at: datetime) -> str:
    """Name the day on which a report is due, on the subscriber's calendar: there is one on each, wherever they go."""
    return at.astimezone(zone).date().isoformat()
