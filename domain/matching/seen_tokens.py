"""What the matcher remembers of a token: whom it was accepted for, and what was checked without success.

A rejection is not kept per subscriber. Everybody who changed nothing since was checked against the same channels
at the same moments, so subscribers fall into a few cohorts by the moment of their last change, and a record is
kept per cohort. Changes are numbered; a cohort is everybody whose last change has a number in its stretch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR, REJECTED_FOR
from domain.matching.directory import Slots

MAX_COHORTS: Final = 64
"""Per token. Beyond it the oldest newcomers are put together and checked again sooner than they had to be."""
MAX_CHANNELS: Final = 1_000
"""Per record. A token called by more channels within the hour is checked anew."""
MAX_CHANGES: Final = 1 << 20
"""Changes that are remembered. A token last checked before them is checked anew."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
ACCEPTED_FOR_US: Final = ACCEPTED_FOR // _MICROSECOND
REJECTED_FOR_US: Final = REJECTED_FOR // _MICROSECOND


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970: exact, where a float of seconds is not."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at_us: int) -> datetime:
    return _EPOCH + at_us * _MICROSECOND


class ChangeLog:
    """Who changed, in order; `count` changes so far."""

    def __init__(self) -> None:
        self.count = 0
        self._base = 0
        """Changes before this one are forgotten."""
        self._slots: Slots = np.zeros(1024, dtype=np.int32)
        self._last: npt.NDArray[np.int64] = np.full(1024, -1, dtype=np.int64)
        """(slots,) number of each slot's latest change."""

    def add(self, slots: Slots) -> None:
        """Note that these subscribers joined or changed something, each slot once."""
        if not len(slots):
            return
        kept = self.count - self._base
        if kept > MAX_CHANGES:
            forgotten = kept // 2
            self._slots = self._slots[forgotten:].copy()
            self._base += forgotten
            kept -= forgotten
        room = kept + len(slots)
        if room > len(self._slots):
            self._slots = np.concatenate([self._slots[:kept], np.zeros(room, dtype=np.int32)])
        self._slots[kept:room] = slots
        highest = int(slots.max())
        if highest >= len(self._last):
            self._last = np.concatenate([self._last, np.full(highest + 1, -1, dtype=np.int64)])
        self._last[slots] = np.arange(self.count, self.count + len(slots))
        self.count += len(slots)

    def reaches_back_to(self, change: int) -> bool:
        return change >= self._base

    def unchanged(self, slots: Slots, since: int) -> Slots:
        """Those of the slots whose latest change has a number below `since`."""
        return slots[self._last[slots] < since]

    def members(self, start: int, stop: int) -> Slots:
        """The subscribers whose latest change is one of `start` … `stop` - 1."""
        slots = self._slots[start - self._base : stop - self._base]
        return slots[self._last[slots] == np.arange(start, stop)]


class Cohort(Struct, gc=False):
    """The rejected record of everybody whose latest change is before `stop` (and not in the cohort before)."""

    stop: int
    checked_us: int = 0
    """The record's timestamp; it ends an hour later."""
    channels: dict[str, datetime] = {}
    """Channels checked and when they called. Empty: there is no record."""

    def is_like(self, other: Cohort) -> bool:
        return self.checked_us == other.checked_us and self.channels.keys() == other.channels.keys()


class Returned(Struct, gc=False):
    """Those whose acceptance ended together. Nobody checked them meanwhile, so their cohort's record is not theirs."""

    slots: Slots
    record: Cohort
    """It is theirs until they change something: `stop` is the number of changes when they returned."""


class TokenMemory:
    """Cohorts from those who changed nothing the longest to the newest; accepted slots with their expiry."""

    def __init__(self) -> None:
        self.cohorts: list[Cohort] = []
        self.returned: list[Returned] = []
        """No slot is in two of them, or in one and accepted."""
        self.accepted: list[tuple[int, Slots]] = []
        """(end in µs, slots), the slots that were accepted together."""

    @property
    def records(self) -> list[Cohort]:
        """Every rejected record, whoever it is of."""
        return [*self.cohorts, *(group.record for group in self.returned)] if self.returned else self.cohorts

    @property
    def accepted_count(self) -> int:
        return sum(len(slots) for _, slots in self.accepted)

    def accepted_slots(self) -> Slots:
        return np.concatenate([slots for _, slots in self.accepted])

    def accept(self, slots: Slots, end_us: int) -> None:
        if self.returned:
            self._take_from_returned(slots)
        self.accepted.append((end_us, slots))

    def end_accepted(self, now_us: int, changes: ChangeLog) -> int:
        """Let those go who were accepted 14 days ago or earlier, with no record of their own; how many those are."""
        ended = [slots for end_us, slots in self.accepted if end_us <= now_us]
        if not ended:
            return 0
        slots = np.concatenate(ended)
        self.accepted = [(end_us, slots) for end_us, slots in self.accepted if end_us > now_us]
        if any(cohort.channels for cohort in self.cohorts):
            self.returned.append(Returned(slots, Cohort(changes.count)))
            if len(self.returned) > MAX_COHORTS:
                self._join_returned(changes)
        return len(slots)

    def forget_accepted(self, slots: Slots) -> None:
        """These were not accepted after all."""
        kept = ((end_us, some[~np.isin(some, slots)]) for end_us, some in self.accepted)
        self.accepted = [(end_us, some) for end_us, some in kept if len(some)]

    def bring_up_to(self, now_us: int, changes: ChangeLog) -> None:
        """End the records that are an hour old, and give those who changed something since a cohort.

        After the clock was put back, a record from what is the future now counts as made at this moment.
        """
        cohorts = self.cohorts
        if cohorts and not changes.reaches_back_to(cohorts[0].stop):
            cohorts.clear()
        for record in self.records:
            record.checked_us = min(record.checked_us, now_us)
            if record.channels and now_us >= record.checked_us + REJECTED_FOR_US:
                record.checked_us, record.channels = 0, {}
        if self.returned:
            self._settle_returned(changes)
        if not cohorts or cohorts[-1].stop < changes.count:
            cohorts.append(Cohort(changes.count))

    def note_check(self, channel_id: str, called_at: datetime, now_us: int) -> None:
        """Everybody who had not been checked against this channel was, now."""
        for record in self.records:
            if channel_id not in record.channels:
                if len(record.channels) >= MAX_CHANNELS:
                    record.channels = {}
                record.channels[channel_id] = called_at
                record.checked_us = now_us
        if len(self.cohorts) > 1:
            self._join_alike()

    def _take_from_returned(self, slots: Slots) -> None:
        for group in self.returned:
            group.slots = group.slots[~np.isin(group.slots, slots)]
        self.returned = [group for group in self.returned if len(group.slots)]

    def _settle_returned(self, changes: ChangeLog) -> None:
        """Leave to their cohorts those who changed something since; and all, once nobody has a record any more."""
        for group in self.returned:
            group.slots = changes.unchanged(group.slots, group.record.stop)
        self.returned = [group for group in self.returned if len(group.slots)]
        if not any(record.channels for record in self.records):
            self.returned = []

    def _join_returned(self, changes: ChangeLog) -> None:
        """Put the two oldest groups together; they are checked again sooner than they had to be."""
        older, newer = self.returned[:2]
        both = older.record.channels.keys() & newer.record.channels.keys()
        slots = np.concatenate([changes.unchanged(older.slots, older.record.stop), newer.slots])
        channels = {channel: newer.record.channels[channel] for channel in both}
        checked_us = min(older.record.checked_us, newer.record.checked_us) if both else 0
        self.returned[:2] = [Returned(slots, Cohort(newer.record.stop, checked_us, channels))]

    def _join_alike(self) -> None:
        joined = self.cohorts[:1]
        for cohort in self.cohorts[1:]:
            if cohort.is_like(joined[-1]):
                joined[-1].stop = cohort.stop
            else:
                joined.append(cohort)
        if len(joined) > MAX_COHORTS:
            older, newer = joined[1:3]
            both = older.channels.keys() & newer.channels.keys()
            newer.channels = {channel: newer.channels[channel] for channel in both}
            newer.checked_us = min(older.checked_us, newer.checked_us) if both else 0
            del joined[1]
        self.cohorts = joined
