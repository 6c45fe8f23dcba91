"""Times that come again: every day, or on some days of the week, at a minute of the wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

_EVERY_DAY: Final = frozenset(range(7))
_DAY: Final = timedelta(days=1)


class Trigger(Struct, frozen=True, kw_only=True):
    """Once on each of these days, however often or seldom the clock shows the minute on it.

    Where a minute comes twice, as summer time ends, the first one counts; where it is skipped, as summer time begins,
    the instant at which the clock would have shown it.
    """

    minute: int
    """Of the day, 0 to 1439."""
    zone: ZoneInfo
    weekdays: frozenset[int] = _EVERY_DAY
    """0 is Monday; at least one."""

    def next_after(self, at: datetime) -> datetime:
        """Return the first time after an instant, in UTC."""
        day = at.astimezone(self.zone).date() - _DAY  # the clock may have been put back past midnight
        while True:
            if day.weekday() in self.weekdays and (due := self._on(day)) > at:
                return due
            day += _DAY

    def _on(self, day: date) -> datetime:
        hour, minute = divmod(self.minute, 60)
        return datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)
